"""Starts ministack, an emulator of AWS, on a free port of 127.0.0.1 from an environment of its own, and ends all it started.

It deploys CloudFormation templates and runs Python functions from their zips and layers, each in a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers.certificate import self_signed
from tests.servers.process import free_port, running, until

PROGRAM = Path(__file__).parents[2] / ".venv-ministack" / "bin" / "ministack"
MISSING = "ministack is missing: make .venv-ministack/stamp (make test does it)"
ACCOUNT, REGION = "111122223333", "eu-central-1"
GONE_S_MAX = 20.0
MEMORY, MEMORY_BYTES_MIN = "/dev/shm", 16 << 30


@dataclass(frozen=True)
class Emulator:
    """A running emulator: `log` is what it and its functions wrote, `pid` its process, the parent of its functions'.

    It is reached over TLS; `certificate` is its own, which nobody but these tests trusts.
    """

    endpoint: str
    log: Path
    pid: int
    certificate: Path

    def workers(self, function: str = "") -> dict[int, str]:
        """Process id -> name of each function that lives; with `function` only those of this one."""
        found = {pid: _function_of(pid) for pid in children_of(self.pid)}
        return {pid: name for pid, name in found.items() if name and function in {"", name}}


@contextlib.contextmanager
def ministack(more: Mapping[str, str] | None = None) -> Iterator[Emulator]:
    """An empty emulator; its functions get `more` variables. Raises FileNotFoundError without its environment, ServerFailed when it does not start."""
    if not PROGRAM.exists():
        raise FileNotFoundError(MISSING)
    port = free_port()
    endpoint = f"https://127.0.0.1:{port}"
    directory = Path(tempfile.mkdtemp(prefix="tieout-ministack-", dir=_scratch()))
    log = directory / "log"
    certificate, key = self_signed(directory)
    environment = {
        # Nothing of ours: functions get what is here, and their own variables.
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "S3_DATA_DIR": str(directory / "s3"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # Every call is checked against the policies of whoever signed it: a function's role, or the account's root.
        "AUTH": "true",
        # Policies refuse what does not come over TLS. Functions are told to trust its certificate.
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(certificate),
        "MINISTACK_SSL_KEY": str(key),
        "DOCKER_HOST": f"unix://{directory}/no-docker",
        **(more or {}),
    }
    started: set[int] = set()
    try:
        # It has nothing to keep, and would wait for its functions.
        with running(
            [str(PROGRAM)],
            ready=lambda: _answers(endpoint, certificate),
            log=log,
            env=environment,
            stop_signal=signal.SIGKILL,
        ) as process:
            try:
                yield Emulator(endpoint, log, process.pid, certificate)
            finally:
                started = set(children_of(process.pid))
    finally:
        _end(started)
        shutil.rmtree(directory, ignore_errors=True)


def _scratch() -> str | None:
    """Where functions unpack code and layers, thousands of files each: in memory where there is plenty, else where all do."""
    with contextlib.suppress(OSError):
        runs_programs = not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
        if runs_programs and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN:
            return MEMORY
    return None


def children_of(parent: int) -> list[int]:
    """Process ids of the children of one process, of all its threads."""
    found = []
    for path in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in path.read_text().split()]
    return found


def _function_of(pid: int) -> str:
    """The name that a function's process has in its variables; empty for other processes and for those that are gone."""
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            name, _, value = each.partition(b"=")
            if name == b"AWS_LAMBDA_FUNCTION_NAME":
                return value.decode()
    return ""


def _end(pids: set[int]) -> None:
    """Functions end when the emulator, who speaks to them, is gone; those in the middle of their work are ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(_lives(pid) for pid in pids), "the functions of the emulator to be gone", GONE_S_MAX)


def _lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _answers(endpoint: str, certificate: Path) -> bool:
    with contextlib.suppress(urllib.error.URLError, OSError, ValueError):
        context = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(certificate)))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), context)
        with opener.open(f"{endpoint}/_ministack/health", timeout=2) as answer:
            return bool(json.load(answer)["services"])
    return False
