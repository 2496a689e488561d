"""Alarms about whole files: numbers that leave a gap, results that must have come, a name that was used twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments.keys import mismatch_id
from payments.ports import Transaction
from payments.records import Mismatch, OutboundFile, ResultFile
from payments.states import OPEN_MISMATCH_STATES, FileState, MismatchKind, MismatchState
from reconciliation.naming import is_younger

EVER_LEFT = tuple(
    str(state) for state in FileState if state not in {FileState.PLANNED, FileState.SEALED, FileState.CANCELLED}
)
NEWEST_MAX = 100
"""So many of the newest files are looked at: more do not leave between the collection of a result and its reading."""


def numbers_missing(file: OutboundFile, holes: Sequence[int], at: datetime) -> list[Mismatch]:
    """One `file_missing` for all result files of ours that the acquirer numbered and never gave."""
    if not holes:
        return []
    detail = {"name": file.name, "numbers": list(holes), "why": "the numbers of its result files leave a hole"}
    return [
        Mismatch(
            id=mismatch_id("result-numbers", file.file_id),
            acquirer=file.acquirer,
            business_date=file.business_date,
            kind=str(MismatchKind.FILE_MISSING),
            state=str(MismatchState.OPEN),
            opened_at=at,
            updated_at=at,
            file_id=file.file_id,
            detail=detail,
        )
    ]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What an acknowledgement says: it speaks of our number `named`, and `following` is expected next."""

    named: int
    following: int
    refused: bool


def compare_numbers(tx: Transaction, result: ResultFile, said: Numbers, at: datetime, *, strict: bool) -> None:
    """Does the number that the acquirer expects next fit what we sent?

    It does not when the acquirer counts a number that never left, or (`strict`) still waits for one before the file that it
    speaks of. The alarm ends with the first later acknowledgement that fits.
    """
    spoken_of = tx.files.find(acquirer=result.acquirer, sequence=said.named, state=EVER_LEFT)
    left = _newest_that_left(tx, result, spoken_of)
    if not spoken_of or not left:
        return  # it speaks of a file that we never sent: `unknown_to_us` says so
    last = max(left)
    # A refused file leaves the acquirer waiting for its number.
    first = said.named if said.refused else said.named + 1
    if (not strict or said.following >= first) and said.following <= last + 1:
        _end(tx, result, at)
        return
    missed = said.following < first
    why = "the acquirer misses an earlier file" if missed else "the acquirer counts a file that never left"
    detail = {"name": result.name, "sequence": said.named, "next": said.following, "ours": last + 1, "why": why}
    open_once(tx, result, "sequence", result.sha256, MismatchKind.SEQUENCE_GAP, detail, at)


def _newest_that_left(tx: Transaction, result: ResultFile, spoken_of: Sequence[OutboundFile]) -> list[int]:
    """Numbers that had left when it was collected. A clock by which even the file it speaks of is younger does not tell which."""
    newest = tx.files.find(acquirer=result.acquirer, state=EVER_LEFT, order="-sequence", limit=NEWEST_MAX)
    at = result.collected_at
    behind = all(is_younger(each, at) for each in spoken_of)
    return [each.sequence for each in newest if behind or not is_younger(each, at)]


def name_used_again(tx: Transaction, result: ResultFile, at: datetime) -> None:
    """Two result files that were read bear one name: the acquirer replaced what we had used already."""
    twins = [each for each in tx.results.find(acquirer=result.acquirer, name=result.name) if each.state == "read"]
    if any(each.sha256 != result.sha256 for each in twins):
        detail = {"name": result.name, "why": "new content under a name that was read before"}
        open_once(tx, result, "version", result.name, MismatchKind.FILE_UNREADABLE, detail, at)


def open_once(
    tx: Transaction, result: ResultFile, what: str, which: str, kind: MismatchKind, detail: dict[str, Any], at: datetime
) -> None:
    """Raise an alarm about a result file, once for `what` and `which`: said again, nothing changes."""
    identity = mismatch_id(what, result.acquirer, which)
    if tx.mismatches.get(identity) is not None:
        return
    fresh = Mismatch(
        id=identity,
        acquirer=result.acquirer,
        business_date=result.business_date,
        kind=str(kind),
        state=str(MismatchState.OPEN),
        opened_at=at,
        updated_at=at,
        result_sha256=result.sha256,
        detail=detail,
    )
    tx.replace_mismatches([fresh], [])


def _end(tx: Transaction, result: ResultFile, at: datetime) -> None:
    states = tuple(str(state) for state in OPEN_MISMATCH_STATES)
    for known in tx.mismatches.find(acquirer=result.acquirer, kind=str(MismatchKind.SEQUENCE_GAP), state=states):
        if known.id != mismatch_id("sequence", result.acquirer, known.result_sha256):
            continue  # another alarm about numbers, with another end
        cause = tx.results.get(result.acquirer, known.result_sha256)
        if cause is not None and cause.collected_at < result.collected_at:
            closed = str(MismatchState.CLOSED_BY_LATE_RESULT)
            tx.mismatches.change(known, state=closed, updated_at=at, closed_at=at)
