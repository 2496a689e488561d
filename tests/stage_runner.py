"""Runs the stages in this process, handlers and queues included, so that a test can break something between any two of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from functions import batch
from local.acquirer.clock import time_of
from local.router import local_world
from local.virtual import VirtualClock
from local.worker import Worker
from payments.records import OutboundFile
from runtime.ledger.clock import LedgerClock
from runtime.ledger.queue import LedgerQueue
from runtime.schedule import due_wakes
from runtime.wakes import wake
from runtime.wiring import World
from tests.servers.process import until

FIRST_READING = "2026-03-02T05:30:00Z"
ACK_AND_RESULTS = timedelta(hours=1, minutes=1)
TURNS_MAX = 500


class Stages:
    """A prepared demo directory, one worker and its clock; nothing happens but what a test asks for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.world: World = local_world(str(directory / "tieout.toml"))
        self._worker = Worker(self.world)
        clock = self.world.clock
        assert isinstance(clock, LedgerClock)
        self.clock = VirtualClock(clock, directory / "clock", directory / "acquirer" / "clock")
        self.clock.move(time_of(FIRST_READING))

    def later(self, by: timedelta) -> None:
        """Move time on."""
        self.clock.move(self.clock.now() + by)

    def acquirer_done(self) -> None:
        """Wait until the acquirer that runs apart has done everything due now."""
        tick = self.clock.ask()
        until(lambda: self.clock.answer(tick) is not None, "the acquirer's answer")

    def send(self, queue: str, subject: str) -> None:
        """Wake somebody, and let all the work that follows be done."""
        self.world.queue.send(queue, wake(subject))
        self.settle()

    def revive(self) -> None:
        """What a service does at its start for workers that died, and the work that follows."""
        queue = self.world.queue
        assert isinstance(queue, LedgerQueue)
        queue.release_held("worker-", forgiven=True)
        self.world.ledger.leases.release_held("worker-")
        self.settle()

    def settle(self) -> None:
        """Work until nothing is due; messages that failed rest in their queue."""
        for _ in range(TURNS_MAX):
            if self._worker.turn():
                continue
            with self.world.ledger.look() as tx:
                wakes = [each for each in due_wakes(tx, self.world.configuration, self.clock.now()) if not each.firing]
            fresh = [each for each in wakes if self.world.queue.depth(each.queue) == (0, 0)]
            if not fresh:
                return
            for each in fresh:
                self.world.queue.send(each.queue, wake(each.subject))
        raise AssertionError("the stages do not come to rest")

    def files(self) -> list[OutboundFile]:
        """Every outbound file, in the order of its number."""
        with self.world.ledger.look() as tx:
            return sorted(tx.files.find(), key=lambda each: (each.acquirer, each.sequence))

    def stored(self, prefix: str) -> list[Path]:
        """The files that hold the objects under a prefix."""
        return [self.directory / "store" / key for key in self.world.store.keys(prefix)]


@contextlib.contextmanager
def stages(directory: Path) -> Iterator[Stages]:
    """As a worker of a service would see the world; afterwards no handler knows it any more."""
    before = os.environ.get("TIEOUT_INSTANCE")
    os.environ["TIEOUT_INSTANCE"] = "worker-test-0"
    made = Stages(directory)
    batch.use(made.world)
    try:
        yield made
    finally:
        batch._worlds.clear()
        made.world.ledger.engine.dispose()
        if before is None:
            del os.environ["TIEOUT_INSTANCE"]
        else:
            os.environ["TIEOUT_INSTANCE"] = before
