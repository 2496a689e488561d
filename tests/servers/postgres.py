"""Starts a real PostgreSQL on a free port of 127.0.0.1, in a directory of its own that goes away with it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import ServerFailed, free_port, running

USER = "tieout"
MISSING = "postgresql is missing; make test installs it"
STARTS_MAX = 3
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # The data lives for one test session: durability would only cost time.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "timezone": "UTC",
}


def binaries() -> Path | None:
    """The directory that holds initdb and postgres: the one on PATH, else Debian's newest; None when there is none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name), reverse=True)
    on_path = [Path(found).parent for found in [shutil.which("initdb")] if found]
    for folder in [*on_path, *debian]:
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    return None


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL `postgresql://user@127.0.0.1:port/postgres` of a running, empty server without passwords.

    Raises ServerFailed when the binaries are missing or it does not start.
    """
    folder = binaries()
    if folder is None:
        raise ServerFailed(MISSING)
    # PostgreSQL refuses to run as root, so root lends the directory to an account without rights.
    account = _account() if os.geteuid() == 0 else None
    directory = Path(tempfile.mkdtemp(prefix="tieout-postgres-"))
    try:
        if account:
            os.chown(directory, account.pw_uid, account.pw_gid)
        data = _initialised(folder, directory, account)
        with _started(folder, data, directory / "log", account) as port:
            yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerFailed(
        "neither postgres nor nobody is an account of this machine, and PostgreSQL refuses to run as root"
    )


def _environment() -> dict[str, str]:
    # None of the caller's PG* variables: they would change the server behind our back.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _initialised(folder: Path, directory: Path, account: pwd.struct_passwd | None) -> Path:
    data = directory / "data"
    command = [str(folder / "initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
    done = subprocess.run(
        command,
        env=_environment(),
        cwd="/",
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise ServerFailed(f"initdb ended with status {done.returncode}\n{done.stderr}")
    return data


@contextlib.contextmanager
def _started(folder: Path, data: Path, log: Path, account: pwd.struct_passwd | None) -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        for start in range(1, STARTS_MAX + 1):
            port = free_port()
            try:
                stack.enter_context(
                    running(
                        [str(folder / "postgres"), "-D", str(data), "-p", str(port), *_options()],
                        ready=lambda port=port: _answers(port),  # type: ignore[misc]
                        log=log,
                        env=_environment(),
                        user=account.pw_uid if account else None,
                        group=account.pw_gid if account else None,
                        stop_signal=signal.SIGINT,  # "fast": sessions are ended, not waited for
                    )
                )
            except ServerFailed:
                # Somebody may have taken the port between our look and its start.
                if start == STARTS_MAX:
                    raise
            else:
                break
        yield port


def _options() -> list[str]:
    return [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]


def _answers(port: int) -> bool:
    import psycopg

    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres", connect_timeout=2).close()
        return True
    return False
