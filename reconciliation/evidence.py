"""Whether what a result file says of one of our files as a whole is evidence: signed where it must be, and about what we sent."""

from __future__ import annotations

from datetime import datetime

from formats.reported import Reading
from payments.config import AcquirerSection
from payments.config_files import unwrapped_names
from payments.keys import mismatch_id
from payments.ports import Transaction
from payments.records import OutboundFile, ResultFile
from payments.states import OPEN_MISMATCH_STATES, MismatchKind, MismatchState
from reconciliation.file_alarms import open_once
from reconciliation.naming import MAY_HAVE_LEFT, meant
from reconciliation.opened import Opened

REFUSALS = frozenset({"RJCT", "CANC"})
KINDS = tuple(map(str, (MismatchKind.SEQUENCE_GAP, MismatchKind.COUNT_DIFFERS, MismatchKind.FILE_UNREADABLE)))


def dispute(
    tx: Transaction, acquirer: AcquirerSection, result: ResultFile, opened: Opened, reading: Reading, now: datetime
) -> str:
    """Why it moves no file of ours; empty when it may. What contradicts a file of ours is an alarm.

    A refusal is believed whatever it counts or hashes: that it got other bytes may be why.
    """
    file = _file_of(tx, result, reading)
    if acquirer.results.evidence == "signed" and not opened.signed_by:
        why = "what it says of our file as a whole is not signed, and counts for nothing"
        if reading.group_status is not None:
            _alarm(tx, result, file, MismatchKind.FILE_UNREADABLE, why, now)
        return why
    found = None if file is None else _contradiction(acquirer, file, reading)
    if file is None or found is None:
        if file is not None and reading.group_status is not None:
            _end(tx, result, file, now)
        return ""
    kind, why = found
    _alarm(tx, result, file, kind, why, now)
    return why


def _contradiction(acquirer: AcquirerSection, file: OutboundFile, reading: Reading) -> tuple[MismatchKind, str] | None:
    """What is stated about the file otherwise than it was sent. Only what is stated is compared."""
    if reading.original_file is not None and reading.original_file not in unwrapped_names(file.name):
        return MismatchKind.FILE_UNREADABLE, "it names our file by another name"
    number = reading.original_sequence
    if acquirer.sequence == "strict" and number is not None and number != file.sequence:
        return MismatchKind.SEQUENCE_GAP, f"it names our file by another number: {number}, ours is {file.sequence}"
    if reading.group_status is None or reading.group_status in REFUSALS:
        return None
    if reading.original_count is not None and reading.original_count != file.total.count:
        ours, theirs = file.total.count, reading.original_count
        return MismatchKind.COUNT_DIFFERS, f"it says that our file holds {theirs} payments; {ours} were sent"
    if reading.original_size is not None and reading.original_size != file.size:
        return MismatchKind.FILE_UNREADABLE, f"it names {reading.original_size} bytes; our file has {file.size}"
    if reading.original_sha256 is not None and reading.original_sha256 != file.sha256:
        return (
            MismatchKind.FILE_UNREADABLE,
            f"it names the SHA-256 {reading.original_sha256[:16]}; our file has another",
        )
    return None


def _file_of(tx: Transaction, result: ResultFile, reading: Reading) -> OutboundFile | None:
    """The file that is named by more than its number, as of when the result was collected."""
    if reading.original_msg_id:
        known = tx.files.get(reading.original_msg_id)
        return known if known is not None and known.acquirer == result.acquirer else None
    if not reading.original_file:
        return None
    found = tx.files.find(acquirer=result.acquirer, name=reading.original_file, state=MAY_HAVE_LEFT)
    return meant(found, result.collected_at)


def _end(tx: Transaction, result: ResultFile, file: OutboundFile, now: datetime) -> None:
    """A later word on the same file that fits ends what an earlier one raised."""
    states = tuple(str(state) for state in OPEN_MISMATCH_STATES)
    for known in tx.mismatches.find(acquirer=result.acquirer, kind=KINDS, state=states):
        cause = tx.results.get(result.acquirer, known.result_sha256)
        ours = known.id == mismatch_id("evidence", result.acquirer, known.result_sha256)
        if ours and known.detail.get("file") == file.name and cause and cause.collected_at < result.collected_at:
            closed = str(MismatchState.CLOSED_BY_LATE_RESULT)
            tx.mismatches.change(known, state=closed, updated_at=now, closed_at=now)


def _alarm(
    tx: Transaction, result: ResultFile, file: OutboundFile | None, kind: MismatchKind, why: str, now: datetime
) -> None:
    detail = {"why": why, "name": result.name, **({"file": file.name} if file is not None else {})}
    open_once(tx, result, "evidence", result.sha256, kind, detail, now)
