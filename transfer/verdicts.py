"""How an attempt ends in the ledger: delivered with a receipt, failed with a pause, or in doubt; each in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from payments.companions import companion_of, temporary_beside
from payments.due_times import results_due
from payments.errors import AskPerson, NotAllowed, Tampered, TargetExists, TieoutError
from payments.keys import file_chain
from payments.ports import Transaction
from payments.records import Attempt, OutboundFile, Receipt
from payments.states import FileState, check_file_transition
from transfer.deliver import DeliverPorts, pause
from transfer.flight import Soon, Turn, Write
from transfer.many_acts import Act

log = logging.getLogger(__name__)
T = TypeVar("T")
Part = Generator[Act | Write | Soon | Turn, Any, T]
"""A part of a file's way."""


def delivered(
    ports: DeliverPorts,
    host_key: Callable[[], str],
    file: OutboundFile,
    attempt: Attempt,
    how: str,
    *,
    ahead: bool = False,
) -> Part[OutboundFile]:
    """It is in the acquirer's hands, and `how` says by which evidence. Raises Busy when the attempt was taken over.

    From now on its marker or checksum file is owed; `ahead`: that is uploaded already, and only its rename is left to do.
    """
    now, target = ports.clock.now(), f"{ports.acquirer.drop.inbox}/{file.name}"
    changes = {
        "delivered_at": now,
        "results_due_at": results_due(ports.acquirer, now),
        "note": "",
    }
    receipt = Receipt(file.file_id, attempt.attempt, target, file.size, file.sha256, how, host_key(), now)

    def write(tx: Transaction) -> OutboundFile:
        changed = ended(tx, file, attempt, FileState.DELIVERED, changes, state="done", ended_at=now, error="")
        tx.receipts.add(receipt)
        tx.audit.append(file_chain(file.file_id), "delivered", {"attempt": attempt.attempt, "verified_by": how})
        if ports.acquirer.after_rename is not None:
            companion = companion_of(ports.acquirer.after_rename, file, now)
            if ahead:
                temporary = temporary_beside(attempt.temporary_name)
                companion = replace(companion, state="started", temporary_name=temporary, attempts=1)
            tx.companions.add(companion)
        return changed

    return (yield Write(write))  # type: ignore[no-any-return]


def doubt(ports: DeliverPorts, file: OutboundFile, attempt: Attempt, why: str) -> Part[OutboundFile]:
    """Nobody here can know whether it was placed. Raises Busy when the attempt was taken over."""
    log.error("file %s is in doubt: %s. Ask the acquirer; it is not sent again without evidence.", file.name, why)
    now = ports.clock.now()

    def write(tx: Transaction) -> OutboundFile:
        changed = ended(tx, file, attempt, FileState.IN_DOUBT, {"note": why}, state="doubtful", ended_at=now, error=why)
        tx.audit.append(file_chain(file.file_id), "in_doubt", {"attempt": attempt.attempt, "why": why})
        return changed

    return (yield Write(write))  # type: ignore[no-any-return]


def failed(
    ports: DeliverPorts, file: OutboundFile, attempt: Attempt, error: BaseException, *, at_once: bool = False
) -> Part[OutboundFile]:
    """It is certain that this attempt placed nothing: the file is sealed again and waits, or is held for a person."""
    # The text of an exception we do not know may hold anything: only its type is shown (I7).
    text = str(error) if isinstance(error, TieoutError) else f"unexpected {type(error).__name__}"
    level = logging.ERROR if isinstance(error, AskPerson) else logging.WARNING  # nobody but a person ends the former
    log.log(level, "file %s, attempt %s failed: %s: %s", file.name, attempt.attempt, type(error).__name__, text)
    now = ports.clock.now()
    held = ""
    if isinstance(error, Tampered | TargetExists | NotAllowed):
        held = text
    elif attempt.attempt >= ports.acquirer.retry.attempts:
        held = f"{attempt.attempt} attempts failed, the last: {text}"
    due = now if at_once else now + pause(ports.acquirer, attempt.attempt)
    changes = {"held": held, "note": text, "next_attempt_at": due}

    def write(tx: Transaction) -> OutboundFile:
        changed = ended(tx, file, attempt, FileState.SEALED, changes, state="failed", ended_at=now, error=text)
        tx.audit.append(
            file_chain(file.file_id), "attempt_failed", {"attempt": attempt.attempt, "error": type(error).__name__}
        )
        return changed

    return (yield Write(write))  # type: ignore[no-any-return]


def ended(
    tx: Transaction,
    file: OutboundFile,
    attempt: Attempt,
    verdict: FileState,
    changes: Mapping[str, Any],
    **ended: Any,
) -> OutboundFile:
    """The end of an attempt and what it means for the file.

    The attempt is the fence: whoever lost it to a take-over gets Busy here and changes nothing. The file itself may have
    changed meanwhile: where the acquirer spoke of it first, its word stands.
    """
    tx.attempts.change(attempt, **ended)
    current = tx.files.get(file.file_id)
    if current is None or current.state != FileState.DELIVERING:
        return current or file
    check_file_transition(file.name, FileState(current.state), verdict)
    return tx.files.change(current, state=str(verdict), **changes)
