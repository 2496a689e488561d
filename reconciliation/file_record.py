"""Records the fold of one file: its state, its outcomes, the uses of events, its mismatches; in one transaction."""

from __future__ import annotations

from typing import Any

from payments.config import AcquirerSection
from payments.due_times import results_due
from payments.keys import file_chain
from payments.ports import Transaction
from payments.records import Attempt, Mismatch, OutboundFile
from payments.states import (
    BESIDE_THE_ROW_KINDS,
    CLOSED_FILE_STATES,
    FILE_TRANSITIONS,
    IN_ACQUIRERS_HANDS,
    SPOKEN_HOLD,
    FileState,
    MismatchKind,
    check_file_transition,
)
from reconciliation.differences import compare, of_file, refused
from reconciliation.file_alarms import numbers_missing
from reconciliation.file_fold import FileFold, state_of
from reconciliation.successors import follow, linked

SPOKEN_OF = f"{SPOKEN_HOLD}, though it is certain that nothing of it was placed"
SOURCE_KINDS = (str(MismatchKind.CHANGED_AFTER_SEALED), str(MismatchKind.RECALL_NEEDED))
"""Mismatches that the source causes: assemble keeps them, no result ends them."""


def record_fold(tx: Transaction, fold: FileFold, acquirer: AcquirerSection) -> OutboundFile:
    """Bring the ledger to what the fold says. Raises Busy when the file changed meanwhile: then it is folded again."""
    file = fold.file
    changes: dict[str, Any] = {
        "matched": fold.totals["matched"],
        "mismatched": fold.totals["mismatched"],
        "awaiting": fold.totals["awaiting"],
        "matched_key": fold.key,
        "overdue": fold.overdue and bool(fold.totals["awaiting"].count),
    }
    file = _evidence(tx, fold, acquirer)
    state = _next_state(fold, FileState(file.state))
    if state != file.state:
        changes["state"] = str(state)
        body = {"was": file.state, "reason_code": fold.word.reason, **_signed(fold)}
        tx.audit.append(file_chain(file.file_id), str(state), body)
    changed = tx.files.change(file, **changes)
    _record_uses(tx, fold)
    add, change = compare(*linked(_wanted(fold, changed), _known(tx, changed)), fold.at)
    tx.replace_mismatches(add, change)
    follow(tx, changed, fold.matched.rows, fold.gone, fold.at)
    tx.audit.append(
        file_chain(file.file_id),
        "folded",
        {
            "key": fold.key,
            **{name: total.to_json(digest=True) for name, total in fold.totals.items()},
            "mismatches": {"added": len(add), "changed": len(change)},
        },
    )
    return changed


def _evidence(tx: Transaction, fold: FileFold, acquirer: AcquirerSection) -> OutboundFile:
    """Whatever names a delivering or in-doubt file ends the doubt; what names a sealed one stops its delivery."""
    file = fold.file
    if fold.mentioned and file.state == FileState.DELIVERING and (attempt := _uploading(tx, file)) is not None:
        # It cannot be there by this attempt: its word is about something that we do not know. Nothing of it is placed now.
        tx.attempts.change(attempt, state="revoked", ended_at=fold.at)
        tx.audit.append(file_chain(file.file_id), "attempt_revoked", {"attempt": attempt.attempt})
        check_file_transition(file.name, FileState.DELIVERING, FileState.SEALED)
        tx.audit.append(file_chain(file.file_id), "held", {"why": SPOKEN_OF})
        return tx.files.change(file, state=str(FileState.SEALED), held=SPOKEN_OF)
    if fold.heard_at is not None and file.state in {FileState.DELIVERING, FileState.IN_DOUBT}:
        check_file_transition(file.name, FileState(file.state), FileState.DELIVERED)
        due = results_due(acquirer, fold.heard_at)
        tx.audit.append(
            file_chain(file.file_id), "delivered", {"verified_by": "the acquirer names it", **_signed(fold)}
        )
        return tx.files.change(
            file, state=str(FileState.DELIVERED), delivered_at=fold.heard_at, results_due_at=due, note=""
        )
    if fold.mentioned and file.state == FileState.SEALED and not file.held:
        tx.audit.append(file_chain(file.file_id), "held", {"why": SPOKEN_OF})
        return tx.files.change(file, held=SPOKEN_OF)
    return file


def _uploading(tx: Transaction, file: OutboundFile) -> Attempt | None:
    """The attempt under way, as long as its rename is not intended: until then it has placed nothing."""
    last = next(iter(tx.attempts.find(file_id=file.file_id, order="-attempt", limit=1)), None)
    return last if last is not None and last.state == "started" else None


def _signed(fold: FileFold) -> dict[str, str]:
    return {"signed_by": fold.signed_by} if fold.signed_by else {}


def _next_state(fold: FileFold, now: FileState) -> FileState:
    """The state that follows, along the published transitions only."""
    if fold.file.returned_in is not None:
        return now  # its rows are back or on their way: no word of the acquirer makes this assignment live again (I2)
    if now not in IN_ACQUIRERS_HANDS and now != FileState.REFUSED:
        return now
    wanted = state_of(fold)
    if wanted == now or (now == FileState.REFUSED and not fold.word.status):
        return now
    if wanted in FILE_TRANSITIONS[now]:
        return wanted
    # Two steps, each of them published: over the state that only says that the file is there.
    check_file_transition(fold.file.name, now, FileState.DELIVERED)
    check_file_transition(fold.file.name, FileState.DELIVERED, wanted)
    return wanted


def _record_uses(tx: Transaction, fold: FileFold) -> None:
    acquirer, file_id = fold.file.acquirer, fold.file.file_id
    for books in tx.result_books.find(acquirer=acquirer, file_id=file_id):
        uses = fold.matched.uses.get(books.sha256, {})
        counts = {name: uses.get(name, 0) for name in ("applied", "duplicate", "unknown")}
        if counts != {name: getattr(books, name) for name in counts}:
            tx.result_books.change(books, **counts)


def _wanted(fold: FileFold, file: OutboundFile) -> list[Mismatch]:
    found = of_file(file, fold.matched, fold.at)
    if file.state in CLOSED_FILE_STATES:
        # The rows of a closed file are not expected to agree; what is beside the row stays.
        found = [each for each in found if each.kind in BESIDE_THE_ROW_KINDS]
    if file.state == FileState.REFUSED:
        found.append(refused(file, fold.word.reason, fold.at))
    found += numbers_missing(file, fold.holes, fold.at)
    return found


def _known(tx: Transaction, file: OutboundFile) -> list[Mismatch]:
    return [each for each in tx.mismatches.find(file_id=file.file_id) if each.kind not in SOURCE_KINDS]
