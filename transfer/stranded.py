"""Finds files whose worker died at them and that may not leave: in strict order, one before them may not.

1 in doubt    2 delivering, started    3 delivering, started    4 sealed
              `------ nothing of them is placed ------'
              revoked, temporary file removed, sealed again: their turn comes with the end of the doubt
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING

from payments.config import AcquirerSection
from payments.ports import Transaction
from payments.records import OutboundFile
from payments.states import FileState
from transfer.deliver import DeliverPorts, due_files, may_be_tried

if TYPE_CHECKING:
    from transfer.flight import Way


def is_anything_due(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> bool:
    """Whether a session with the acquirer has something to do: to deliver, or to clear up."""
    due = due_files(tx, acquirer, now)
    return bool(due or stranded(tx, acquirer, due, now))


def stranded(
    tx: Transaction, acquirer: AcquirerSection, due: Collection[OutboundFile], now: datetime
) -> list[OutboundFile]:
    """Files, by number, whose attempt placed nothing and was left under way, behind what keeps them from being `due`.

    They are to be cleared up and not to be delivered, so `due_files` does not count them.
    """
    if acquirer.sequence != "strict":
        return []
    known = {each.file_id for each in due}
    found = tx.files.find(acquirer=acquirer.name, state=str(FileState.DELIVERING), order="sequence")
    left = [each for each in found if each.file_id not in known and may_be_tried(acquirer, each, now)]
    return [each for each in left if _placed_nothing(tx, each)]


def _placed_nothing(tx: Transaction, file: OutboundFile) -> bool:
    return any(each.state == "started" for each in tx.attempts.find(file_id=file.file_id, order="-attempt", limit=1))


def cleared_up(ports: DeliverPorts, host_key: Callable[[], str], file: OutboundFile) -> Way:
    """Its attempt is taken over, and none begins: the file stays behind the one that it must not overtake."""
    from transfer.settling import take_over

    return (yield from take_over(ports, host_key, file)).state == FileState.DELIVERED
