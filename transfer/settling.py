"""Finds the verdict on an attempt that its worker did not end, or whose rename was answered by no or by nothing.

    started            nothing can be placed yet: revoked
    rename_intended    it may have been placed: the temporary file goes first, then inbox and archive are looked into,
                       the archive only where no earlier file can lie there (transfer/archive_evidence.py)

Parts of a file's way, see transfer/flight.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial

from payments.companions import temporary_beside
from payments.errors import Busy, DeliveryFailed
from payments.keys import file_chain
from payments.ports import Transaction
from payments.records import Attempt, OutboundFile
from payments.states import FileState, check_file_transition
from transfer.archive_evidence import proves_nothing
from transfer.deliver import DeliverPorts
from transfer.flight import Write
from transfer.looks import clean, found_ours, inbox
from transfer.many_acts import Act
from transfer.verdicts import Part, delivered, doubt, failed

log = logging.getLogger(__name__)
LEFT_OVER = "the acquirer spoke of the file before its rename was answered"


def take_over(ports: DeliverPorts, host_key: Callable[[], str], file: OutboundFile) -> Part[OutboundFile]:
    """An attempt that its worker did not end. We hold the lease; the worker may be dead or only paused."""
    file, attempt = yield Write(lambda tx: _revoke(tx, ports, file))
    if attempt.state == "rename_intended":
        # Nobody refused anything, a worker was cut off: the file need not wait.
        return (yield from settle(ports, host_key, file, attempt, at_once=True))
    yield from clean_up(ports, attempt)
    return file


def _revoke(tx: Transaction, ports: DeliverPorts, file: OutboundFile) -> tuple[OutboundFile, Attempt]:
    """The file's last attempt as it was found; one that placed nothing yet is over now, and the file sealed again."""
    attempt = tx.attempts.find(file_id=file.file_id, order="-attempt", limit=1)[0]
    if attempt.state not in {"started", "rename_intended"}:
        raise Busy(f"file {file.name}: its attempt {attempt.attempt} ended meanwhile")
    if attempt.state != "started":
        return file, attempt
    tx.attempts.change(attempt, state="revoked", ended_at=ports.clock.now())
    tx.audit.append(file_chain(file.file_id), "attempt_revoked", {"attempt": attempt.attempt})
    check_file_transition(file.name, FileState(file.state), FileState.SEALED)
    return tx.files.change(file, state=str(FileState.SEALED)), attempt


def settle(
    ports: DeliverPorts,
    host_key: Callable[[], str],
    file: OutboundFile,
    attempt: Attempt,
    *,
    at_once: bool = False,
    said: str = "was no, which proves nothing here,",
) -> Part[OutboundFile]:
    """The verdict on a rename whose answer is lost or was no. First the temporary file goes: then no late rename can win."""
    removed = yield from _removed(ports, file, attempt)
    yield from clean_beside(ports, attempt)
    void = proves_nothing(ports, file, attempt)
    try:
        found = yield from found_ours(ports, file.name, file.sha256, in_archive=not void)
    except DeliveryFailed as error:
        if file.attempts < ports.acquirer.retry.attempts:
            raise  # it waits, and is looked for again
        why = f"the server does not let us look for it: {error}"
        return (yield from doubt(ports, file, attempt, why))
    if found is not None:
        directory, is_ours = found
        if is_ours:
            how = f"found in {directory}, bytes compared"
            return (yield from delivered(ports, host_key, file, attempt, how))
        return (yield from doubt(ports, file, attempt, f"{directory} holds another file of this name"))
    if removed and ports.acquirer.drop.rename_atomic:
        refused = DeliveryFailed("the rename did not happen")
        return (yield from failed(ports, file, attempt, refused, at_once=at_once))
    answer = "was lost" if at_once else said
    seen = f"is not in the inbox; the archive proves nothing, for {void}" if void else "is nowhere to be seen"
    why = f"the answer to the rename {answer} and the file {seen}"
    return (yield from doubt(ports, file, attempt, why))


def end_left_over(ports: DeliverPorts, file: OutboundFile) -> Part[None]:
    """End what stayed open of a file that is not delivering any more: the acquirer spoke of it before its rename was answered.

    Its worker is dead or paused, for we hold the lease. Without its temporary file it renames nothing when it wakes.
    """
    with ports.ledger.look() as tx:
        open_ = tx.attempts.find(file_id=file.file_id, state="rename_intended")
    for attempt in open_:
        removed = yield from _removed(ports, file, attempt)
        yield from clean_beside(ports, attempt)
        yield Write(partial(_end, attempt=attempt, state="failed" if removed else "doubtful", at=ports.clock.now()))


def _end(tx: Transaction, attempt: Attempt, state: str, at: datetime) -> None:
    tx.attempts.change(attempt, state=state, error=LEFT_OVER, ended_at=at)
    tx.audit.append(file_chain(attempt.file_id), "attempt_ended", {"attempt": attempt.attempt, "state": state})


def _removed(ports: DeliverPorts, file: OutboundFile, attempt: Attempt) -> Part[bool]:
    """Whether the temporary file was there and is gone. Some accounts may not remove: that proves nothing."""
    try:
        return bool((yield Act("remove", (inbox(ports, attempt.temporary_name),))))
    except DeliveryFailed as error:
        log.warning("file %s: %s", file.name, error)
        return False


def clean_up(ports: DeliverPorts, attempt: Attempt) -> Part[None]:
    """What this attempt left behind under temporary names."""
    yield from clean(ports, attempt.temporary_name)
    yield from clean_beside(ports, attempt)


def clean_beside(ports: DeliverPorts, attempt: Attempt) -> Part[None]:
    if ports.acquirer.after_rename is not None:
        yield from clean(ports, temporary_beside(attempt.temporary_name))
