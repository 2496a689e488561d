"""Whether the acquirer's marker of a file counts: it was seen, and none of the results that came with it was set aside."""

from __future__ import annotations

from payments.config import AcquirerSection
from payments.keys import mismatch_id
from payments.markers import SAID, marker_of
from payments.ports import Transaction
from payments.records import OutboundFile
from payments.states import OPEN_MISMATCH_STATES


def is_marked(tx: Transaction, acquirer: AcquirerSection, file: OutboundFile) -> bool:
    """A result that cannot be read may be one of this file's: then the set is not complete, whatever its marker says."""
    if acquirer.complete_when != "marker":
        return False
    marker = tx.sightings.get(acquirer.name, marker_of(acquirer, file.name))
    if marker is None or marker.state not in SAID:
        return False
    for result in tx.results.find(acquirer=acquirer.name, state="unreadable"):
        alarm = tx.mismatches.get(mismatch_id("result", acquirer.name, result.sha256))
        if result.collected_at >= file.created_at and alarm is not None and alarm.state in OPEN_MISMATCH_STATES:
            return False
    return True
