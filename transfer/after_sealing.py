"""Records what the source changed after we sealed: changed_after_sealed, recall_needed, and the end of both."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from payments.keys import mismatch_id
from payments.ports import Transaction
from payments.records import Mismatch, OutboundFile
from payments.states import MISMATCH_TRANSITIONS, OPEN_MISMATCH_STATES, MismatchKind, MismatchState
from transfer.versions import Assigned, Findings


def record_findings(tx: Transaction, findings: Findings, at: datetime) -> None:
    """Open, change or close one mismatch per payment that the source touched after sealing."""
    for kind, found in (
        (MismatchKind.CHANGED_AFTER_SEALED, findings.changed_after_sealed),
        (MismatchKind.RECALL_NEEDED, findings.recall_needed),
    ):
        for payment, sealed in sorted(found.items()):
            _open(tx, kind, payment, sealed, at)
    for payment, sealed in sorted(findings.reverted.items()):
        if payment not in findings.recall_needed:
            _close(tx, tx.mismatches.get(source_mismatch_id(sealed.file_id, payment)), "the source went back", at)


def close_of_file(tx: Transaction, file: OutboundFile, at: datetime, why: str) -> None:
    """A file that never left, or whose rows went back, binds nobody: what the source changed later is no mismatch any more."""
    kinds = (str(MismatchKind.CHANGED_AFTER_SEALED), str(MismatchKind.RECALL_NEEDED))
    for mismatch in tx.mismatches.find(file_id=file.file_id, kind=kinds):
        _close(tx, mismatch, why, at)


def close_of_payments(tx: Transaction, file: OutboundFile, payments: Iterable[str], at: datetime, why: str) -> None:
    """The same for chosen payments (payment_id) of a file."""
    mine = {source_mismatch_id(file.file_id, payment) for payment in payments}
    kinds = (str(MismatchKind.CHANGED_AFTER_SEALED), str(MismatchKind.RECALL_NEEDED))
    for mismatch in tx.mismatches.find(file_id=file.file_id, kind=kinds):
        if mismatch.id in mine:
            _close(tx, mismatch, why, at)


def close_silence_of_file(tx: Transaction, file: OutboundFile, at: datetime) -> None:
    """A file that never arrived owes no results: that its payments are missing there is explained."""
    for mismatch in tx.mismatches.find(file_id=file.file_id, kind=str(MismatchKind.MISSING_AT_ACQUIRER)):
        _close(tx, mismatch, "the acquirer never received the file", at)


def source_mismatch_id(file: str, payment: str) -> str:
    """One per assignment, whatever the source does to it next."""
    return mismatch_id("source", file, payment)


def _open(tx: Transaction, kind: MismatchKind, payment: str, sealed: Assigned, at: datetime) -> None:
    known = tx.mismatches.get(source_mismatch_id(sealed.file_id, payment))
    if known is not None:
        state = known.state if known.state in OPEN_MISMATCH_STATES else str(MismatchState.REOPENED)
        tx.mismatches.change(known, kind=str(kind), state=state, updated_at=at, closed_at=None)
        return
    file = tx.files.get(sealed.file_id)
    tx.replace_mismatches(
        [
            Mismatch(
                id=source_mismatch_id(sealed.file_id, payment),
                acquirer=sealed.acquirer,
                business_date=at.date() if file is None else file.business_date,
                kind=str(kind),
                state=str(MismatchState.OPEN),
                file_id=sealed.file_id,
                payment_id=payment,
                reference=sealed.reference,
                detail={"why": "the source changed or stopped this payment after its file was sealed"},
                opened_at=at,
                updated_at=at,
            )
        ],
        [],
    )


def _close(tx: Transaction, mismatch: Mismatch | None, why: str, at: datetime) -> None:
    closed = MismatchState.CLOSED_BY_LATE_RESULT
    # One that two people approved is theirs to end.
    if mismatch is None or closed not in MISMATCH_TRANSITIONS[MismatchState(mismatch.state)]:
        return
    tx.mismatches.change(
        mismatch, state=str(closed), updated_at=at, closed_at=at, detail={**mismatch.detail, "closed": why}
    )
