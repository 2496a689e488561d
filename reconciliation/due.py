"""Says whether a pass of reconcile has something to do: from the ledger alone, so that whoever only wakes reads no columns."""

from __future__ import annotations

from datetime import datetime

from payments.ports import Transaction
from payments.records import OutboundFile
from payments.states import FileState


def is_pending(tx: Transaction, acquirer: str, now: datetime) -> bool:
    if tx.results.count(acquirer=acquirer, state="collected") or tx.sightings.count(
        acquirer=acquirer, state="fetching"
    ):
        return False
    return bool(
        tx.results.count(acquirer=acquirer, state="read", reconciled=False)
        or tx.sightings.count(acquirer=acquirer, state="complete")
        or overdue_files(tx, acquirer, now)
    )


def overdue_files(tx: Transaction, acquirer: str, now: datetime) -> list[OutboundFile]:
    """Files whose results were due and that nobody has looked at since."""
    states = tuple(str(s) for s in (FileState.DELIVERED, FileState.ACKNOWLEDGED, FileState.PARTIALLY_ACCEPTED))
    files = tx.files.find(acquirer=acquirer, state=states, overdue=False)
    return [
        file for file in files if file.results_due_at is not None and file.results_due_at <= now and file.awaiting.count
    ]
