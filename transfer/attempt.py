"""One attempt to place one file, and what is done about an attempt that somebody else left behind (design section 5).

    sealed -> [attempt started] -> upload to a temporary name -> [rename_intended] -> rename -> [receipt] -> delivered
                    |                                                  |
       nothing can be placed yet:                          it may have been placed:
       revoke, upload afresh                               remove the temporary file, then look for the target

Square brackets are transactions. Between the last two of them only a verdict from evidence ends the attempt.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from payments.errors import (
    Busy,
    DeliveryFailed,
    HostKeyRefused,
    NotAllowed,
    Tampered,
    TargetExists,
    TieoutError,
    Unreachable,
)
from payments.hashing import sha256_of
from payments.keys import file_chain, outbound_key
from payments.ports import RemoteDrop, RemoteFile, Transaction
from payments.records import Attempt, OutboundFile, Receipt
from payments.states import FileState, check_file_transition
from transfer.deliver import DeliverPorts, may_be_tried, pause

log = logging.getLogger(__name__)


def deliver_file(ports: DeliverPorts, drop: RemoteDrop, file: OutboundFile) -> bool:
    """Bring one file as far as it goes now. True: delivered. Raises Unreachable when the connection is gone."""
    if file.state == FileState.DELIVERING:
        taken = _take_over(ports, drop, file)
        if not may_be_tried(taken, ports.clock.now()):
            return taken.state == FileState.DELIVERED
        file = taken
    try:
        file, attempt = _start(ports, file)
    except Busy:
        return False
    try:
        _upload(ports, drop, file, attempt)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # an unknown exception is a failure, never a success (I6, T1)
        try:
            _failed(ports, file, attempt, error)
        except Busy:
            # It was revoked meanwhile: what becomes of the file is another worker's business, our leftovers are ours.
            _clean(drop, ports, attempt)
            return False
        _clean(drop, ports, attempt)
        if isinstance(error, Unreachable | HostKeyRefused):
            raise
        return False
    try:
        attempt = _intend(ports, attempt)
    except Busy:
        _clean(drop, ports, attempt)
        return False  # somebody took over and revoked this attempt: nothing may be renamed any more
    return _rename(ports, drop, file, attempt)


def _start(ports: DeliverPorts, file: OutboundFile) -> tuple[OutboundFile, Attempt]:
    check_file_transition(file.name, FileState(file.state), FileState.DELIVERING)
    with ports.ledger.begin() as tx:
        number = file.attempts + 1
        changed = tx.files.change(file, state=str(FileState.DELIVERING), attempts=number, next_attempt_at=None)
        # The temporary name carries file and attempt: two workers never write to one name, and it fits no partner's pattern.
        name = f".{file.file_id}-{number}.part"
        attempt = Attempt(file.file_id, number, "started", name, ports.holder, ports.clock.now())
        tx.attempts.add(attempt)
        tx.audit.append(file_chain(file.file_id), "delivering", {"attempt": number})
    return changed, attempt


def _upload(ports: DeliverPorts, drop: RemoteDrop, file: OutboundFile, attempt: Attempt) -> None:
    key = outbound_key(file.acquirer, file.business_date, file.file_id, file.name)
    with ports.store.local(key) as path:
        if sha256_of(path) != file.sha256:
            raise Tampered(f"file {file.name}: the stored bytes are not those that were sealed; nothing was sent")
        if drop.stat(_inbox(ports, file.name)) is not None:
            raise TargetExists(f"file {file.name}: the inbox of {file.acquirer} already holds a file of this name")
        drop.upload(path, _inbox(ports, attempt.temporary_name))


def _intend(ports: DeliverPorts, attempt: Attempt) -> Attempt:
    """Once this is committed, nobody uploads this file again without a verdict."""
    with ports.ledger.begin() as tx:
        return tx.attempts.change(attempt, state="rename_intended")


def _rename(ports: DeliverPorts, drop: RemoteDrop, file: OutboundFile, attempt: Attempt) -> bool:
    target = _inbox(ports, file.name)
    try:
        drop.rename(_inbox(ports, attempt.temporary_name), target)
    except (DeliveryFailed, TargetExists):
        return _settle(ports, drop, file, attempt).state == FileState.DELIVERED
    # No other exception ends here: the reply is lost, the state stays rename_intended, and take-over looks for evidence.
    seen = _seen(drop, target)
    if seen is not None and seen.size != file.size:
        _doubt(ports, file, attempt, f"the inbox shows {seen.size} bytes, {file.size} were sent")
        return False
    # Not there any more: the acquirer was quick. The server's own yes to the rename is the evidence.
    _delivered(ports, drop, file, attempt, "rename confirmed" if seen is None else "rename confirmed, size compared")
    return True


def _seen(drop: RemoteDrop, target: str) -> RemoteFile | None:
    """A last look at what was placed. A link that breaks now takes away nothing of what the server confirmed before."""
    try:
        return drop.stat(target)
    except TieoutError as error:
        log.info("%s was placed; it could not be looked at again: %s", target, error)
        return None


def _take_over(ports: DeliverPorts, drop: RemoteDrop, file: OutboundFile) -> OutboundFile:
    """An attempt that its worker did not end. We hold the lease; the worker may be dead or only paused."""
    with ports.ledger.begin() as tx:
        attempt = tx.attempts.find(file_id=file.file_id, order="-attempt", limit=1)[0]
        if attempt.state == "started":
            tx.attempts.change(attempt, state="revoked", ended_at=ports.clock.now())
            tx.audit.append(file_chain(file.file_id), "attempt_revoked", {"attempt": attempt.attempt})
            check_file_transition(file.name, FileState(file.state), FileState.SEALED)
            file = tx.files.change(file, state=str(FileState.SEALED))
    if attempt.state == "rename_intended":
        # Nobody refused anything, a worker was cut off: the file need not wait.
        return _settle(ports, drop, file, attempt, at_once=True)
    _clean(drop, ports, attempt)
    return file


def _settle(
    ports: DeliverPorts, drop: RemoteDrop, file: OutboundFile, attempt: Attempt, *, at_once: bool = False
) -> OutboundFile:
    """The verdict on a rename whose answer is lost or was no. First the temporary file goes: then no late rename can win."""
    removed = drop.remove(_inbox(ports, attempt.temporary_name))
    for directory in (ports.acquirer.sftp.inbox, ports.acquirer.sftp.archive):
        path = f"{directory}/{file.name}"
        if not directory or drop.stat(path) is None:
            continue
        if _same_bytes(ports, drop, path, file):
            return _delivered(ports, drop, file, attempt, f"found in {directory}, bytes compared")
        return _doubt(ports, file, attempt, f"{directory} holds another file of this name")
    if removed and ports.acquirer.sftp.rename_atomic:
        return _failed(ports, file, attempt, DeliveryFailed("the rename did not happen"), at_once=at_once)
    return _doubt(ports, file, attempt, "the answer to the rename was lost and the file is nowhere to be seen")


def _same_bytes(ports: DeliverPorts, drop: RemoteDrop, path: str, file: OutboundFile) -> bool:
    with tempfile.TemporaryDirectory(dir=ports.spool) as folder:
        local = Path(folder) / "read-back"
        drop.download(path, local)
        return sha256_of(local) == file.sha256


def _delivered(ports: DeliverPorts, drop: RemoteDrop, file: OutboundFile, attempt: Attempt, how: str) -> OutboundFile:
    now, target = ports.clock.now(), _inbox(ports, file.name)
    changes = {
        "delivered_at": now,
        "results_due_at": now + timedelta(seconds=ports.acquirer.results.due_after_s),
        "note": "",
    }
    with ports.ledger.begin() as tx:
        changed = _ended(tx, file, attempt, FileState.DELIVERED, changes, state="done", ended_at=now)
        tx.receipts.add(Receipt(file.file_id, attempt.attempt, target, file.size, file.sha256, how, drop.host_key, now))
        tx.audit.append(file_chain(file.file_id), "delivered", {"attempt": attempt.attempt, "verified_by": how})
    return changed


def _doubt(ports: DeliverPorts, file: OutboundFile, attempt: Attempt, why: str) -> OutboundFile:
    log.error("file %s is in doubt: %s. Ask the acquirer; it is not sent again without evidence.", file.name, why)
    now = ports.clock.now()
    with ports.ledger.begin() as tx:
        changed = _ended(
            tx, file, attempt, FileState.IN_DOUBT, {"note": why}, state="doubtful", ended_at=now, error=why
        )
        tx.audit.append(file_chain(file.file_id), "in_doubt", {"attempt": attempt.attempt, "why": why})
    return changed


def _failed(
    ports: DeliverPorts, file: OutboundFile, attempt: Attempt, error: BaseException, *, at_once: bool = False
) -> OutboundFile:
    """It is certain that this attempt placed nothing: the file is sealed again and waits, or is held for a person."""
    # The text of an exception we do not know may hold anything: only its type is shown (I7).
    text = str(error) if isinstance(error, TieoutError) else f"unexpected {type(error).__name__}"
    log.warning("file %s, attempt %s failed: %s", file.name, attempt.attempt, text)
    now = ports.clock.now()
    held = ""
    if isinstance(error, Tampered | TargetExists | NotAllowed):
        held = text
    elif attempt.attempt >= ports.acquirer.retry.attempts:
        held = f"{attempt.attempt} attempts failed, the last: {text}"
    due = now if at_once else now + pause(ports.acquirer, attempt.attempt)
    changes = {"held": held, "note": text, "next_attempt_at": due}
    with ports.ledger.begin() as tx:
        changed = _ended(tx, file, attempt, FileState.SEALED, changes, state="failed", ended_at=now, error=text)
        tx.audit.append(
            file_chain(file.file_id), "attempt_failed", {"attempt": attempt.attempt, "error": type(error).__name__}
        )
    return changed


def _ended(
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


def _clean(drop: RemoteDrop, ports: DeliverPorts, attempt: Attempt) -> None:
    """Best effort: a temporary file that stays behind is harmless, its name fits no pattern."""
    try:
        drop.remove(_inbox(ports, attempt.temporary_name))
    except TieoutError as error:
        log.info("temporary file of attempt %s stays behind: %s", attempt.attempt, error)


def _inbox(ports: DeliverPorts, name: str) -> str:
    return f"{ports.acquirer.sftp.inbox}/{name}"
