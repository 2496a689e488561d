"""The alarm about a result file that is not used, or not all of it: opened once, and ended by a whole version or by reading it again."""

from __future__ import annotations

from datetime import datetime

from payments.keys import mismatch_id
from payments.ports import Transaction
from payments.records import Mismatch, ResultFile
from payments.states import OPEN_MISMATCH_STATES, MismatchKind, MismatchState

WHY_LENGTH_MAX = 500


def kind_of(fatal: str) -> MismatchKind:
    """The kind that a reason begins with; else the file is unreadable."""
    for kind in (MismatchKind.COUNT_DIFFERS, MismatchKind.SUM_DIFFERS, MismatchKind.FILE_REFUSED):
        if fatal.startswith(kind):
            return kind
    return MismatchKind.FILE_UNREADABLE


def open_alarm(tx: Transaction, result: ResultFile, kind: MismatchKind, why: str, now: datetime) -> None:
    """One per result file. Read once more to no avail, it says why now."""
    identity = mismatch_id("result", result.acquirer, result.sha256)
    detail = {"why": why[:WHY_LENGTH_MAX], "name": result.name}
    known = tx.mismatches.get(identity)
    if known is not None:
        if known.state in OPEN_MISMATCH_STATES:
            tx.mismatches.change(known, kind=str(kind), detail=detail, updated_at=now)
        return
    # Files are read in any order: the version that ends this alarm may have been read already.
    ended = result.state == "unreadable" and any(
        _ends(tx, later, result) for later in tx.results.find(acquirer=result.acquirer, name=result.name, state="read")
    )
    fresh = Mismatch(
        id=identity,
        acquirer=result.acquirer,
        business_date=result.business_date,
        kind=str(kind),
        state=str(MismatchState.CLOSED_BY_LATE_RESULT if ended else MismatchState.OPEN),
        opened_at=now,
        updated_at=now,
        closed_at=now if ended else None,
        result_sha256=result.sha256,
        detail=detail,
    )
    tx.replace_mismatches([fresh], [])


def close_alarms(tx: Transaction, result: ResultFile, now: datetime) -> None:
    """A good version of a file that was cut off before ends that alarm; and so does the file itself, read after all."""
    _close(tx, result, now)
    for earlier in tx.results.find(acquirer=result.acquirer, name=result.name, state="unreadable"):
        if _ends(tx, result, earlier):
            _close(tx, earlier, now)


def _close(tx: Transaction, result: ResultFile, now: datetime) -> None:
    known = tx.mismatches.get(mismatch_id("result", result.acquirer, result.sha256))
    if known is not None and known.state in OPEN_MISMATCH_STATES:
        tx.mismatches.change(known, state=str(MismatchState.CLOSED_BY_LATE_RESULT), updated_at=now, closed_at=now)


def _ends(tx: Transaction, later: ResultFile, earlier: ResultFile) -> bool:
    """Whether `later`, of the same name, is a whole and faultless version of `earlier`."""
    fault = tx.mismatches.get(mismatch_id("result", later.acquirer, later.sha256))
    return later.collected_at >= earlier.collected_at and (
        fault is None or fault.state == MismatchState.CLOSED_BY_LATE_RESULT
    )
