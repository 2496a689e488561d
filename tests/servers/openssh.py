"""Starts a real OpenSSH server that speaks SFTP only, on a free port of 127.0.0.1, and stops it again."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.servers.process import accepts, free_port, running
from tests.servers.sftp_account import SftpAccount, private_key, public_line, start_directory

MISSING = "openssh-server is missing; make test installs it"


def sshd() -> str | None:
    """The path of the server, which is rarely on PATH; None when it is not installed."""
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def openssh_server(
    folder: Path,
    *,
    host_keys: Sequence[str] = ("ed25519",),
    client_key: str = "ed25519",
    more: Mapping[str, str] | None = None,
) -> Iterator[SftpAccount]:
    """A server for the user that runs the test, whose files live under `folder`.

    `host_keys` and `client_key` are kinds of sftp_account.private_key; the account names the last host key. `more` are
    lines for sshd_config. Raises ServerFailed when it does not start.
    """
    binary = sshd()
    if binary is None:
        raise FileNotFoundError(MISSING)
    if os.geteuid() == 0:
        # As root sshd gives up its rights in an empty directory that the system service would have made.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    root, ours, port = start_directory(folder), private_key(client_key), free_port()
    hosts = [private_key(kind) for kind in host_keys]
    user = pwd.getpwuid(os.geteuid()).pw_name
    for at, key in enumerate(hosts):
        _secret(folder / f"host_key_{at}", key)
    (folder / "authorized_keys").write_text(public_line(ours) + "\n")
    config = folder / "sshd_config"
    config.write_text(_config(folder, root, port, len(hosts), more or {}))
    subprocess.run([binary, "-t", "-f", str(config)], check=True, stdin=subprocess.DEVNULL)
    command = [binary, "-D", "-e", "-f", str(config)]
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    with running(command, ready=lambda: accepts(port), log=folder / "sshd.log", env=environment):
        yield SftpAccount("127.0.0.1", port, user, ours, public_line(hosts[-1]), root)


def _secret(path: Path, key: bytes) -> None:
    path.write_bytes(key)
    path.chmod(0o600)


def _config(folder: Path, root: Path, port: int, host_keys: int, more: Mapping[str, str]) -> str:
    lines = {
        "ListenAddress": f"127.0.0.1:{port}",
        "PidFile": "none",
        "AuthorizedKeysFile": str(folder / "authorized_keys"),
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PrintMotd": "no",
        "Subsystem": "sftp internal-sftp",
        "ForceCommand": f"internal-sftp -d {root}",
        **more,
    }
    keys = [f"HostKey {folder / f'host_key_{at}'}" for at in range(host_keys)]
    return "\n".join([*keys, *(f"{name} {value}" for name, value in lines.items())]) + "\n"
