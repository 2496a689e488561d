"""What each acquirer owes us by now: an acknowledgement of every file that it has, and an answer to every payment in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from payments.concerns import Concern
from payments.config import AcquirerSection
from payments.due_times import acknowledgement_due
from payments.ports import Transaction
from payments.records import OutboundFile
from payments.states import FileState

ANSWERABLE = tuple(str(s) for s in (FileState.DELIVERED, FileState.ACKNOWLEDGED, FileState.PARTIALLY_ACCEPTED))


@dataclass(frozen=True, slots=True)
class Owed:
    """A file whose acquirer is late. `what`: acknowledgement or results; `payments` are those that await an answer."""

    acquirer: str
    name: str
    what: str
    due_at: datetime
    payments: int

    def to_json(self) -> dict[str, object]:
        """As `tieout status --json` lists it."""
        return {
            "acquirer": self.acquirer,
            "file": self.name,
            "what": self.what,
            "due_at": self.due_at.isoformat(),
            "payments": self.payments,
        }

    @property
    def concern(self) -> Concern:
        return Concern(str(self), ("file", self.name, "show"))

    def __str__(self) -> str:
        what = "no acknowledgement" if self.what == "acknowledgement" else f"no result of {self.payments:,} payments"
        return f"{self.name}: {what} since {self.due_at:%Y-%m-%d %H:%M} UTC; ask {self.acquirer}"


def owed(tx: Transaction, acquirers: Iterable[AcquirerSection], now: datetime) -> list[Owed]:
    """Everything overdue, the longest first. An entry ends by itself when the answer comes."""
    found = []
    for acquirer in acquirers:
        for file in tx.files.find(acquirer=acquirer.name, state=ANSWERABLE):
            found += _of_file(tx, acquirer, file, now)
    return sorted(found, key=lambda each: (each.due_at, each.name, each.what))


def due_times(tx: Transaction, acquirer: AcquirerSection) -> list[datetime]:
    """When acknowledgements that have not come yet are due."""
    if not acquirer.results.acknowledged_after_s:
        return []
    silent = tx.files.find(acquirer=acquirer.name, state=str(FileState.DELIVERED))
    return [due for file in silent if (due := _acknowledgement(tx, acquirer, file)) is not None]


def _of_file(tx: Transaction, acquirer: AcquirerSection, file: OutboundFile, now: datetime) -> list[Owed]:
    found = []
    acknowledgement = _acknowledgement(tx, acquirer, file)
    if acknowledgement is not None and acknowledgement <= now:
        found.append(Owed(acquirer.name, file.name, "acknowledgement", acknowledgement, file.awaiting.count))
    if file.results_due_at is not None and file.results_due_at <= now and file.awaiting.count:
        found.append(Owed(acquirer.name, file.name, "results", file.results_due_at, file.awaiting.count))
    return found


def _acknowledgement(tx: Transaction, acquirer: AcquirerSection, file: OutboundFile) -> datetime | None:
    """When it is due; None when none is owed any more: whatever the acquirer says of a file shows that it has it."""
    if file.state != FileState.DELIVERED or file.delivered_at is None:
        return None
    if tx.result_books.count(acquirer=file.acquirer, file_id=file.file_id):
        return None
    return acknowledgement_due(acquirer, file.delivered_at)
