"""Runs a server as a child process: a free port, a wait with a deadline until it answers, a certain end."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

READY_S_MAX = 60.0
STOP_S_MAX = 15.0
PORTS_FROM = 10_000
PORTS_EACH = 1_000
"""A part of the ports for each test process, all below those that Linux gives to connections going out: between the moment in
which a port is found free and that in which a server takes it, nobody else does."""
PARTS = 22


class ServerFailed(Exception):
    """A server did not start; the message ends with the last lines that it wrote."""


_numbers = itertools.count(os.getpid())


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now, and that this process gave to nobody lately."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    first = PORTS_FROM + int(worker) % PARTS * PORTS_EACH
    for number in itertools.islice(_numbers, PORTS_EACH):
        port = first + number % PORTS_EACH
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
    message = f"no port of {PORTS_EACH} from {first} is free"
    raise ServerFailed(message)


def until(condition: Callable[[], bool], what: str, seconds: float = READY_S_MAX, *, every_s: float = 0.02) -> None:
    """Look at a condition again and again until it holds. Raises TimeoutError, naming what was awaited."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            message = f"waited {seconds:.0f} s in vain for: {what}"
            raise TimeoutError(message)
        time.sleep(every_s)


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on this port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def running(
    command: list[str],
    *,
    ready: Callable[[], bool],
    log: Path,
    env: dict[str, str],
    user: int | None = None,
    group: int | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """The server from when `ready` holds to the end of the context; all it writes goes to `log`.

    `user` and `group` are the numbers to run as, for servers that refuse to run as root. Raises ServerFailed.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd="/",
            user=user,
            group=group,
            extra_groups=[] if user is not None else None,
        )
    try:
        _await_ready(process, ready, log, command[0])
        yield process
    finally:
        _stop(process, stop_signal)


def _await_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, name: str) -> None:
    try:
        until(lambda: process.poll() is not None or ready(), f"{name} to answer")
    except TimeoutError as error:
        raise ServerFailed(f"{error}\n{_tail(log)}") from error
    if process.poll() is not None:
        raise ServerFailed(f"{name} ended with status {process.returncode}\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(stop_signal)
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(STOP_S_MAX)
