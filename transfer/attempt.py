"""One attempt to place one file, and what is done about an attempt that somebody else left behind (design section 5).

    sealed -> [attempt started] -> upload to a temporary name -> [rename_intended] -> rename -> [receipt] -> delivered
                    |                                                  |
       nothing can be placed yet:                          it may have been placed:
       revoke, upload afresh                               remove the temporary file, then look for the target

Square brackets are transactions. Between the last two of them only a verdict from evidence ends the attempt.

Everything here is a way in the sense of transfer/flight.py: it yields each act and each write, so that many files may be
on their way at once. Of one file nothing happens but in the order written here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from payments.companions import companion_of, temporary_beside
from payments.delivery_stops import is_stopped
from payments.errors import (
    Busy,
    DeliveryFailed,
    HostKeyRefused,
    Tampered,
    TargetExists,
    Unreachable,
)
from payments.hashing import sha256_of
from payments.keys import file_chain, outbound_key
from payments.ports import Transaction
from payments.records import Attempt, OutboundFile
from payments.states import FileState, check_file_transition
from transfer.archive_evidence import seen_before
from transfer.companion_attempt import put_beside, upload_beside
from transfer.deliver import DeliverPorts, may_be_tried
from transfer.flight import OutOfTurn, Soon, Turn, Way, Write
from transfer.looks import inbox, is_there, stat
from transfer.many_acts import Act
from transfer.settled_stop import hold_if_settled, settled_in
from transfer.settling import clean_beside, clean_up, end_left_over, settle, take_over
from transfer.verdicts import Part, delivered, doubt, ended, failed
from transfer.verifying import verify_before, verify_behind
from transfer.windows_firing import is_shut_out

NOT_DELIVERED = (False, "")


def deliver_file(ports: DeliverPorts, host_key: Callable[[], str], file: OutboundFile) -> Way:
    """Bring one file, and what belongs beside it, as far as they go now. True: delivered, with all that belongs to it.

    `host_key` tells the fingerprint that the server proved to hold. Raises Unreachable when the connection is gone.
    """
    ready = ""
    if file.state in {FileState.SEALED, FileState.DELIVERING}:
        is_delivered, ready = yield from _deliver(ports, host_key, file)
        if not is_delivered or ports.acquirer.after_rename is None:
            return is_delivered
    else:
        yield from end_left_over(ports, file)
    return (yield from put_beside(ports, file.file_id, ready))


def _deliver(ports: DeliverPorts, host_key: Callable[[], str], file: OutboundFile) -> Part[tuple[bool, str]]:
    """Whether it is delivered; and where its marker or checksum file waits, uploaded by this session (empty: nowhere)."""
    if file.state == FileState.DELIVERING:
        taken = yield from take_over(ports, host_key, file)
        if not may_be_tried(ports.acquirer, taken, ports.clock.now()):
            return taken.state == FileState.DELIVERED, ""
        if (yield Write(lambda tx: is_shut_out(tx, ports.acquirer, taken, ports.clock.now()))):
            return NOT_DELIVERED  # its window closed while nobody was at it
        file = taken
    try:
        started = yield Write(lambda tx: _start(tx, ports, file))
    except Busy:
        return NOT_DELIVERED
    if started is None:
        return NOT_DELIVERED  # it is held, or all are
    file, attempt = started
    try:
        verified = yield from _upload(ports, file, attempt)
        void = yield from seen_before(ports, file)  # ahead of Soon, so that it costs strict order nothing
        yield Soon()
        yield from _ask_names(ports, file)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except OutOfTurn:
        yield from _give_back(ports, file, attempt)
        return NOT_DELIVERED
    except BaseException as error:  # an unknown exception is a failure, never a success (I6, T1)
        try:
            yield from failed(ports, file, attempt, error)
        except Busy:
            # It was revoked meanwhile: what becomes of the file is another worker's business, our leftovers are ours.
            yield from clean_up(ports, attempt)
            return NOT_DELIVERED
        yield from clean_up(ports, attempt)
        if isinstance(error, Unreachable | HostKeyRefused):
            raise
        return NOT_DELIVERED
    try:
        yield Turn()
        attempt = yield Write(lambda tx: _intend(tx, ports, file, attempt, void))
    except OutOfTurn:
        yield from _give_back(ports, file, attempt)
        return NOT_DELIVERED
    except Busy:
        yield from clean_up(ports, attempt)
        return NOT_DELIVERED  # somebody took over and revoked this attempt: nothing may be renamed any more
    is_delivered = yield from _rename(ports, host_key, file, attempt, verified)
    return is_delivered, temporary_beside(attempt.temporary_name)


def _start(tx: Transaction, ports: DeliverPorts, file: OutboundFile) -> tuple[OutboundFile, Attempt] | None:
    """None: all deliveries are stopped; or a payment of it was settled meanwhile, and it is held."""
    if is_stopped(tx) or hold_if_settled(tx, ports.store, file):
        return None
    check_file_transition(file.name, FileState(file.state), FileState.DELIVERING)
    number = file.attempts + 1
    changed = tx.files.change(file, state=str(FileState.DELIVERING), attempts=number, next_attempt_at=None)
    # The temporary name carries file and attempt: two workers never write to one name, and it fits no partner's pattern.
    name = f".{file.file_id}-{number}.part"
    attempt = Attempt(file.file_id, number, "started", name, ports.holder, ports.clock.now())
    tx.attempts.add(attempt)
    tx.audit.append(file_chain(file.file_id), "delivering", {"attempt": number, "plan": ports.chosen.hash})
    return changed, attempt


def _intend(tx: Transaction, ports: DeliverPorts, file: OutboundFile, attempt: Attempt, void: str) -> Attempt:
    """From this commit on nobody uploads the file again without a verdict. Raises OutOfTurn when it must not go after all.

    `void` is kept for whoever settles it: why the archive will prove nothing.
    """
    current = tx.files.get(file.file_id)
    # The attempt alone is no fence: whoever moves the file on, by evidence or by an act, need not know of it.
    if current is None or current.state != FileState.DELIVERING:
        raise OutOfTurn
    if is_stopped(tx) or settled_in(tx, ports.store, file):
        raise OutOfTurn
    return tx.attempts.change(attempt, state="rename_intended", error=void)


def _upload(ports: DeliverPorts, file: OutboundFile, attempt: Attempt) -> Part[str]:
    """Returns what was proved beyond the size, for the receipt."""
    temporary = inbox(ports, attempt.temporary_name)
    yield from _clear_earlier(ports, attempt)
    key = outbound_key(file.acquirer, file.business_date, file.file_id, file.name)
    with ports.store.local(key) as path:
        if sha256_of(path) != file.sha256:
            raise Tampered(f"file {file.name}: the stored bytes are not those that were sealed; nothing was sent")
        if (yield stat(inbox(ports, file.name))) is not None:
            raise TargetExists(f"file {file.name}: the inbox of {file.acquirer} already holds a file of this name")
        yield Act("upload", (path, temporary))
    verified = yield from verify_before(ports, file, temporary)
    if ports.acquirer.after_rename is not None:
        # Here already, so that behind the rename only another rename is left to do.
        beside = companion_of(ports.acquirer.after_rename, file, ports.clock.now())
        yield from upload_beside(ports, file, beside, temporary_beside(attempt.temporary_name))
    return verified


def _ask_names(ports: DeliverPorts, file: OutboundFile) -> Part[None]:
    """Raises TargetExists as long as nothing is placed: a file whose marker could not follow it would only lie there."""
    yield Act("free", (inbox(ports, file.name),))
    if ports.acquirer.after_rename is not None:
        yield Act("free", (inbox(ports, ports.acquirer.after_rename.name_for(file.name)),))


def _give_back(ports: DeliverPorts, file: OutboundFile, attempt: Attempt) -> Part[None]:
    """It was uploaded ahead, and a file before it was not delivered: nothing of it was placed, and it waits for that one."""

    def write(tx: Transaction) -> None:
        ended(tx, file, attempt, FileState.SEALED, {}, state="revoked", ended_at=ports.clock.now())
        tx.audit.append(file_chain(file.file_id), "attempt_revoked", {"attempt": attempt.attempt})

    with suppress(Busy):  # it was taken over meanwhile: what becomes of the file is another worker's business
        yield Write(write)
    yield from clean_up(ports, attempt)


def _rename(
    ports: DeliverPorts, host_key: Callable[[], str], file: OutboundFile, attempt: Attempt, verified: str
) -> Part[bool]:
    target = inbox(ports, file.name)
    try:
        if ports.chosen.looks_again:
            yield Act("free", (target,))  # this server would replace what came there since it was asked
        seen = yield Act("place", (inbox(ports, attempt.temporary_name), target))
    except (DeliveryFailed, TargetExists):
        return (yield from settle(ports, host_key, file, attempt)).state == FileState.DELIVERED
    # No other exception ends here: the reply is lost, the state stays rename_intended, and take-over looks for evidence.
    if seen is not None and seen.size != file.size:
        yield from doubt(ports, file, attempt, f"the inbox shows {seen.size} bytes, {file.size} were sent")
        yield from clean_beside(ports, attempt)
        return False
    if seen is None and (yield from is_there(inbox(ports, attempt.temporary_name))):
        # A yes to a rename that left everything where it was: it says no more than a no.
        return (
            yield from settle(ports, host_key, file, attempt, said="was yes, but its temporary file still lay there,")
        ).state == FileState.DELIVERED
    # Not there any more: the acquirer was quick. The server's own yes to the rename is the evidence.
    how = f"rename confirmed{', size compared' if seen is not None else ''}{verified}"
    if seen is not None:
        is_same, again = yield from verify_behind(ports, file)
        if not is_same:
            yield from doubt(ports, file, attempt, again)
            yield from clean_beside(ports, attempt)
            return False
        how += again
    yield from delivered(ports, host_key, file, attempt, how, ahead=True)
    return True


def _clear_earlier(ports: DeliverPorts, attempt: Attempt) -> Part[None]:
    """What attempts before this one left behind when their link broke. They have ended: nobody renames it any more."""
    if attempt.attempt == 1:
        return
    with ports.ledger.look() as tx:
        earlier = tx.attempts.find(file_id=attempt.file_id, state=("failed", "revoked"))
    for each in earlier:
        yield from clean_up(ports, each)
