"""Turns what matching found into mismatches, and compares them with those the ledger holds: add, change, close, reopen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from payments.keys import mismatch_id
from payments.masking import masked_word
from payments.records import Mismatch, OutboundFile, ResultFile
from payments.redeliveries import LATER_STATUS
from payments.states import OPEN_MISMATCH_STATES, MismatchKind, MismatchState
from reconciliation.matching import Matched

CLOSED_BY_RESULT = str(MismatchState.CLOSED_BY_LATE_RESULT)
STATED = ("status", "reason_code", "reported_currency", "reported_direction", "acquirer_reference")


def of_file(file: OutboundFile, matched: Matched, at: datetime) -> list[Mismatch]:
    """The mismatches that matching one file calls for, each under its lasting id."""
    found = [_pair(file, row, at) for row in matched.differing]
    found += [_event(file.acquirer, file, MismatchKind.DUPLICATE_RESULT, row, at) for row in matched.duplicates]
    found += [_event(file.acquirer, file, MismatchKind.UNKNOWN_TO_US, row, at) for row in matched.unknown]
    found += [_late(file, row, at) for row in matched.settled]
    return found


def of_lost(
    result: ResultFile, kind: MismatchKind, rows: Iterable[Mapping[str, Any]], at: datetime, *, format_: str
) -> list[Mismatch]:
    """Events of a result file that belong to none of our files, or to more than one; `format_` is that of our files."""
    lost = [{**row, "sha": result.sha256, "direction": row["direction"] or _implied(format_)} for row in rows]
    return [_event(result.acquirer, None, kind, row, at, result) for row in lost]


def _implied(format_: str) -> str:
    """A pain.002 states no direction: what it answers, a pain.001, holds credit transfers only."""
    return "CRDT" if format_.startswith("pain.001") else ""


def refused(file: OutboundFile, reason: str, at: datetime) -> Mismatch:
    """The acquirer refused a whole file."""
    return Mismatch(
        id=mismatch_id("refused", file.file_id),
        acquirer=file.acquirer,
        business_date=file.business_date,
        kind=str(MismatchKind.FILE_REFUSED),
        state=str(MismatchState.OPEN),
        opened_at=at,
        updated_at=at,
        file_id=file.file_id,
        detail={"reason_code": reason, "name": file.name, "count": file.total.count},
    )


def _pair(file: OutboundFile, row: Mapping[str, Any], at: datetime) -> Mismatch:
    detail = {name: masked_word(row[name]) for name in STATED if row[name] is not None}
    if row["reported_date"] is not None and row["kind"] == MismatchKind.DATE_DIFFERS:
        detail |= {"date": "requested_date", "reported_date": row["reported_date"].isoformat()}
    if row["kind"] == MismatchKind.STATUS_REJECTED and row["last_status"] != row["status"]:
        # The rejection stands, but it was not the last word: such a payment is not sent again.
        detail |= {LATER_STATUS: row["last_status"]}
    return Mismatch(
        id=mismatch_id("payment", file.file_id, row["payment_id"]),
        acquirer=file.acquirer,
        business_date=file.business_date,
        kind=row["kind"],
        state=str(MismatchState.OPEN),
        opened_at=at,
        updated_at=at,
        file_id=file.file_id,
        payment_id=row["payment_id"],
        reference=row["end_to_end_id"],
        result_sha256=row["result_sha256"] or "",
        expected_minor=row["amount_minor"],
        reported_minor=row["reported_minor"],
        currency=row["currency"],
        direction=row["direction"],
        detail={**detail, "differing": row["differing"]},
    )


def _event(
    acquirer: str,
    file: OutboundFile | None,
    kind: MismatchKind,
    row: Mapping[str, Any],
    at: datetime,
    result: ResultFile | None = None,
) -> Mismatch:
    """One event of a result file, named by that file and its line."""
    day = file.business_date if file is not None else result.business_date if result is not None else at.date()
    reference = row["end_to_end_id"] or ""
    return Mismatch(
        id=mismatch_id("event", acquirer, row["sha"], str(row["line"])),
        acquirer=acquirer,
        business_date=day,
        kind=str(kind),
        state=str(MismatchState.OPEN),
        opened_at=at,
        updated_at=at,
        file_id="" if file is None else file.file_id,
        # One that is not ours may hold anything; where it stands is said by the file and the line.
        reference=masked_word(reference) if kind == MismatchKind.UNKNOWN_TO_US else reference,
        result_sha256=row["sha"],
        reported_minor=row["amount_minor"],
        currency=row["currency"] or "",
        direction=row["direction"] or ("" if file is None else _implied(file.format)),
        detail={
            "line": row["line"],
            "status": row["status"],
            "original_file": row["original_file"] and masked_word(row["original_file"]),
        },
    )


def _late(file: OutboundFile, row: Mapping[str, Any], at: datetime) -> Mismatch:
    """A positive result on a closed assignment: the highest severity, for the money may have moved twice."""
    return Mismatch(
        id=mismatch_id("closed", file.file_id, row["payment_id"]),
        acquirer=file.acquirer,
        business_date=file.business_date,
        kind=str(MismatchKind.SETTLED_AFTER_REDELIVERY),
        state=str(MismatchState.OPEN),
        opened_at=at,
        updated_at=at,
        file_id=file.file_id,
        payment_id=row["payment_id"],
        reference=row["end_to_end_id"],
        result_sha256=row["result_sha256"] or "",
        expected_minor=row["amount_minor"],
        reported_minor=row["reported_minor"],
        currency=row["currency"],
        direction=row["direction"],
        # The last word: whether the money is there in the end is what counts.
        detail={"status": row["last_status"], "severity": "highest", "file_state": file.state},
    )


def compare(
    wanted: Iterable[Mismatch], known: Iterable[Mismatch], at: datetime
) -> tuple[list[Mismatch], list[Mismatch]]:
    """(to add, to change). A known one that is wanted no more closes; one that a person decided stays as it is."""
    stored = {each.id: each for each in known}
    add, change = [], []
    for each in wanted:
        old = stored.pop(each.id, None)
        if old is None:
            add.append(each)
        elif old.state in OPEN_MISMATCH_STATES:
            if _facts(old) != _facts(each):
                # New facts void a proposal: nobody approves what was proposed on other figures.
                state = str(MismatchState.ASSIGNED) if old.state == MismatchState.PROPOSED else old.state
                change.append(_updated(old, each, state, at))
        elif old.state == CLOSED_BY_RESULT:
            change.append(_updated(old, each, str(MismatchState.REOPENED), at))
    gone = [each for each in stored.values() if each.state in OPEN_MISMATCH_STATES - {MismatchState.APPROVED}]
    change += [
        replace(each, state=CLOSED_BY_RESULT, updated_at=at, closed_at=at, revision=each.revision + 1) for each in gone
    ]
    return add, change


def _facts(mismatch: Mismatch) -> tuple[Any, ...]:
    return (mismatch.kind, mismatch.reported_minor, mismatch.expected_minor, mismatch.result_sha256, mismatch.detail)


def _updated(old: Mismatch, new: Mismatch, state: str, at: datetime) -> Mismatch:
    return replace(
        new,
        state=state,
        opened_at=old.opened_at,
        updated_at=at,
        closed_at=None,
        assignee=old.assignee,
        revision=old.revision + 1,
    )
