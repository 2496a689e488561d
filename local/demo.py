"""The demo: prepares a sample, starts the stand-in acquirer beside the service, and runs until the books can be shown."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local.router import local_world
from local.service import Service
from payments.errors import Unreachable
from reconciliation.statement import Statement, statement
from runtime.wiring import World

READY = b"acquirer ready"
READY_S_MAX = 20.0


def run_demo(
    directory: Path,
    *,
    page: bool,
    watch: Callable[[World], None] = lambda _world: None,
    ended: Callable[[World], None] = lambda _world: None,
) -> Statement:
    """Run the prepared demo in `directory` to the end of its virtual time; with `page` then serve until stopped."""
    world = local_world(str(directory / "tieout.toml"))
    service = Service(world, page=page)
    told = False

    def look() -> None:
        nonlocal told
        watch(world)
        if service.ended and not told:
            told = True
            ended(world)

    with acquirer(directory), _stopped_by_signals(service):
        service.run(look, stay=page)
    with world.ledger.look() as tx:
        return statement(tx)


@contextmanager
def acquirer(directory: Path) -> Iterator[None]:
    """The stand-in acquirer as a process of its own: the other side shares nothing with us but files and a clock."""
    arguments = [sys.executable, "-m", "local.acquirer", "--dir", str(directory)]
    with (directory / "acquirer.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  (our own module)
            arguments, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            _wait_until_ready(process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _wait_until_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    deadline, said = time.monotonic() + READY_S_MAX, b""
    while READY not in said:
        left = deadline - time.monotonic()
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, left))
        piece = os.read(process.stdout.fileno(), 4096) if readable else b""
        if not piece:
            raise Unreachable(
                "the stand-in acquirer did not start", next_step="Look at acquirer.log in the demo's folder."
            )
        said += piece


@contextmanager
def _stopped_by_signals(service: Service) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the service in order."""
    before = {number: signal.signal(number, lambda *_: service.stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
