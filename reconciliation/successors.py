"""Carries mismatches of payments that were sent again: they stay open until the payment matches in a later file.

first file:  status_rejected, open -- redelivered in the second -- closed when the second matches it, reopened when it
second file: awaiting ------------------------------------------- matched, or a mismatch of its own       no longer does
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from payments.ports import Transaction
from payments.records import Mismatch, OutboundFile
from payments.redeliveries import MATCHED_IN, REDELIVERED_IN, SUCCESSOR
from payments.states import IN_ACQUIRERS_HANDS, OPEN_MISMATCH_STATES, MismatchState

if TYPE_CHECKING:
    import pyarrow as pa

LINK = (REDELIVERED_IN, SUCCESSOR)


def linked(wanted: Iterable[Mismatch], known: Sequence[Mismatch]) -> tuple[list[Mismatch], list[Mismatch]]:
    """(wanted, known) as they are to be compared: results do not undo what assembly or a later file said.

    A link to the next file stays. What closed because the payment matched there is neither wanted nor known any more.
    """
    stored = {each.id: each for each in known}
    elsewhere = {each.id for each in known if MATCHED_IN in each.detail}
    found = []
    for each in wanted:
        if each.id not in elsewhere:
            old = stored.get(each.id)
            link = {} if old is None else {name: old.detail[name] for name in LINK if name in old.detail}
            found.append(replace(each, detail={**each.detail, **link}) if link else each)
    return found, [each for each in known if each.id not in elsewhere]


def follow(tx: Transaction, file: OutboundFile, rows: pa.Table, gone: Collection[str], at: datetime) -> None:
    """Close what earlier files left open of payments that match in this one; reopen what no longer does.

    `rows` are the outcomes of this file (MATCHED), `gone` payments (payment_id) that were taken out of it again.
    """
    open_behind = [each for each in _behind(tx, file) if SUCCESSOR in each.detail]
    if not open_behind:
        return
    import pyarrow as pa  # only here: what the page shows needs no columns
    import pyarrow.compute as pc

    wanted = pa.array(sorted({each.payment_id for each in open_behind}), pa.string())
    mine = rows.filter(pc.is_in(rows["payment_id"], wanted)).select(["payment_id", "outcome"]).to_pydict()
    outcomes = dict(zip(mine["payment_id"], mine["outcome"], strict=True))
    live = file.state in IN_ACQUIRERS_HANDS and file.returned_in is None
    matched = {each for each, outcome in outcomes.items() if live and outcome == "matched" and each not in gone}
    change = []
    for each in open_behind:
        if each.payment_id in matched and each.state in OPEN_MISMATCH_STATES - {MismatchState.APPROVED}:
            change.append(
                _moved(each, MismatchState.CLOSED_BY_LATE_RESULT, at, {**each.detail, MATCHED_IN: file.file_id})
            )
        elif each.payment_id not in matched and each.detail.get(MATCHED_IN) == file.file_id:
            detail = {name: value for name, value in each.detail.items() if name != MATCHED_IN}
            change.append(_moved(each, MismatchState.REOPENED, at, detail))
    tx.replace_mismatches([], change)


def _behind(tx: Transaction, file: OutboundFile) -> list[Mismatch]:
    """The mismatches of all files from which payments of this one may have come."""
    known, waiting = {file.file_id}, [file]
    found: list[Mismatch] = []
    while waiting:
        current = waiting.pop()
        names = {each.file_id for each in tx.redeliveries.find(returned_in=current.assembly)} | {current.replaces}
        for name in sorted(names - known - {""}):
            known.add(name)
            found += tx.mismatches.find(file_id=name)
            if (earlier := tx.files.get(name)) is not None:
                waiting.append(earlier)
    return found


def _moved(mismatch: Mismatch, state: MismatchState, at: datetime, detail: dict[str, object]) -> Mismatch:
    closed = None if state == MismatchState.REOPENED else at
    return replace(
        mismatch, state=str(state), updated_at=at, closed_at=closed, detail=detail, revision=mismatch.revision + 1
    )


def spoken_for(mismatches: Iterable[Mismatch]) -> set[str]:
    """The ids of open mismatches whose money a newer one of the same payment stands for: it is missing once, not twice.

    Only such are given that miss money which we expect.
    """
    by_payment: dict[str, list[Mismatch]] = {}
    for each in mismatches:
        if each.payment_id:
            by_payment.setdefault(each.payment_id, []).append(each)
    found: set[str] = set()
    for several in by_payment.values():
        if any(SUCCESSOR in each.detail for each in several):
            newest = max(several, key=lambda each: (each.opened_at, SUCCESSOR not in each.detail, each.id))
            found |= {each.id for each in several if each is not newest and SUCCESSOR in each.detail}
    return found
