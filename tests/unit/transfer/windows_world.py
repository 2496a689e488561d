"""A small world for windows: assemble and deliver as the service does, on a clock that tests set; for tests only."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from payments.config import AcquirerSection
from payments.config_windows import Window
from payments.errors import Unreachable
from payments.records import OutboundFile
from runtime.schedule import due_wakes, next_due
from tests.unit.transfer.assemble_world import AssembleWorld, Pay, acquirer
from tests.unit.transfer.deliver_world import Fault, Server
from transfer.deliver import DeliverPorts, deliver


def at(text: str) -> datetime:
    """`2026-03-02T08:00` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(name: str = "main", opens: str = "08:00", cutoff: str = "16:00", **given: object) -> Window:
    return Window(name=name, opens=opens, cutoff=cutoff, **given)  # type: ignore[arg-type]


def section(*windows: Window, **given: Any) -> AcquirerSection:
    return acquirer(window=list(windows) or [window()], **given)


class WindowsWorld(AssembleWorld):
    """`settle` does everything that is due now; `run_until` goes from one due time to the next, as a virtual clock does."""

    def __init__(self, folder: Path, *acquirers: AcquirerSection, now: str = "2026-03-02T06:00") -> None:
        super().__init__(folder, *acquirers)
        self.server = Server()
        self.clock.at = at(now)
        self.is_down = False

    def go(self, text: str) -> None:
        """To a time of the first day, or `date T time`; then everything that is due."""
        self.clock.at = at(text if "T" in text else f"2026-03-02T{text}")
        self.settle()

    def settle(self) -> None:
        for _ in range(10):
            queues = {each.queue for each in self.wakes()}
            if not queues:
                return
            if "assemble" in queues:
                self.assemble()
            elif not self.deliver():
                return
        raise AssertionError(f"still due after ten turns: {self.wakes()}")

    def wakes(self) -> list[Any]:
        with self.ledger.look() as tx:
            found = due_wakes(tx, self.configuration, self.clock.now())
        return [each for each in found if each.queue in {"assemble", "deliver"}]

    def deliver(self) -> bool:
        """False: the server is down."""
        if self.is_down:
            self.server.faults = [Fault("connect", "before", Unreachable("the server does not answer"))]
        for each in self.configuration.acquirer:
            deliver(
                DeliverPorts(self.ledger, self.store, self.clock, each, self.server.connect, "worker:1", self.spool)
            )
        self.server.faults = []
        return not self.is_down

    def run_until(self, text: str) -> list[datetime]:
        """The times at which something was due, up to a time."""
        seen: list[datetime] = []
        self.settle()
        while True:
            with self.ledger.look() as tx:
                due = next_due(tx, self.configuration, self.clock.now())
            due = self._without_polls(due)
            if due is None or due > at(text):
                return seen
            self.clock.at = due
            seen.append(due)
            self.settle()

    def _without_polls(self, due: datetime | None) -> datetime | None:
        """Outboxes are never looked at here: their poll is always due, and no part of the story."""
        from payments.firings import mark_fired

        with self.ledger.begin() as tx:
            for each in self.configuration.acquirer:
                mark_fired(tx, f"collect:{each.name}", datetime(2100, 1, 1, tzinfo=UTC))
            return next_due(tx, self.configuration, self.clock.now())

    def pay(self, *keys: str, **given: Any) -> None:
        """A run that is complete now."""
        self.run(*(Pay(key, **given) for key in keys))
        self.settle()

    def placed(self) -> list[str]:
        """Names in the order in which they appeared in the inbox."""
        return [name.removeprefix("inbox/") for name, _ in self.server.placed]

    def where(self) -> dict[str, tuple[str, str, str]]:
        """Source key -> (business date and window, state, what is said: held or note) of the file that holds it."""
        found = {}
        for file in self.files():
            said = file.held or file.note
            for key in self.payments_of(file):
                found[key] = (f"{file.business_date:%d} {file.window}", str(file.state), said[:5])
        return found

    def firings(self) -> list[str]:
        with self.ledger.begin() as tx:
            return [each.name for each in tx.firings.find() if each.name.startswith("window:")]

    def waiting(self) -> dict[str, Any]:
        said: dict[str, Any] = self.assemblies()[-1].plan.get("waiting", {})
        return said

    def file_of(self, key: str) -> OutboundFile:
        return next(file for file in self.files() if key in self.payments_of(file))
