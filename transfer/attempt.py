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

import logging
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from payments.errors import (
    Busy,
    DeliveryFailed,
    HostKeyRefused,
    Tampered,
    TargetExists,
    TieoutError,
    Unreachable,
)
from payments.hashing import sha256_of
from payments.keys import file_chain, outbound_key
from payments.ports import RemoteFile, Transaction
from payments.records import Attempt, OutboundFile
from payments.states import FileState, check_file_transition
from transfer.deliver import DeliverPorts, may_be_tried
from transfer.flight import OutOfTurn, Turn, Way, Write
from transfer.many_acts import Act
from transfer.verdicts import Part, delivered, doubt, ended, failed
from transfer.windows_firing import is_shut_out

log = logging.getLogger(__name__)


def deliver_file(ports: DeliverPorts, host_key: Callable[[], str], file: OutboundFile) -> Way:
    """Bring one file as far as it goes now. True: delivered. Raises Unreachable when the connection is gone.

    `host_key` tells the fingerprint that the server proved to hold.
    """
    if file.state == FileState.DELIVERING:
        taken = yield from _take_over(ports, host_key, file)
        if not may_be_tried(taken, ports.clock.now()):
            return taken.state == FileState.DELIVERED
        if (yield Write(lambda tx: is_shut_out(tx, ports.acquirer, taken, ports.clock.now()))):
            return False  # its window closed while nobody was at it
        file = taken
    try:
        file, attempt = yield Write(lambda tx: _start(tx, ports, file))
    except Busy:
        return False
    try:
        verified = yield from _upload(ports, file, attempt)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # an unknown exception is a failure, never a success (I6, T1)
        try:
            yield from failed(ports, file, attempt, error)
        except Busy:
            # It was revoked meanwhile: what becomes of the file is another worker's business, our leftovers are ours.
            yield from _clean(ports, attempt)
            return False
        yield from _clean(ports, attempt)
        if isinstance(error, Unreachable | HostKeyRefused):
            raise
        return False
    try:
        yield Turn()
        attempt = yield Write(lambda tx: tx.attempts.change(attempt, state="rename_intended"))
    except OutOfTurn:
        yield from _give_back(ports, file, attempt)
        return False
    except Busy:
        yield from _clean(ports, attempt)
        return False  # somebody took over and revoked this attempt: nothing may be renamed any more
    # From that commit on nobody uploads this file again without a verdict.
    return (yield from _rename(ports, host_key, file, attempt, verified))


def _start(tx: Transaction, ports: DeliverPorts, file: OutboundFile) -> tuple[OutboundFile, Attempt]:
    check_file_transition(file.name, FileState(file.state), FileState.DELIVERING)
    number = file.attempts + 1
    changed = tx.files.change(file, state=str(FileState.DELIVERING), attempts=number, next_attempt_at=None)
    # The temporary name carries file and attempt: two workers never write to one name, and it fits no partner's pattern.
    name = f".{file.file_id}-{number}.part"
    attempt = Attempt(file.file_id, number, "started", name, ports.holder, ports.clock.now())
    tx.attempts.add(attempt)
    tx.audit.append(file_chain(file.file_id), "delivering", {"attempt": number})
    return changed, attempt


def _upload(ports: DeliverPorts, file: OutboundFile, attempt: Attempt) -> Part[str]:
    """Returns what was proved beyond the size, for the receipt."""
    temporary = _inbox(ports, attempt.temporary_name)
    yield from _clear_earlier(ports, attempt)
    key = outbound_key(file.acquirer, file.business_date, file.file_id, file.name)
    with ports.store.local(key) as path:
        if sha256_of(path) != file.sha256:
            raise Tampered(f"file {file.name}: the stored bytes are not those that were sealed; nothing was sent")
        if (yield _stat(_inbox(ports, file.name))) is not None:
            raise TargetExists(f"file {file.name}: the inbox of {file.acquirer} already holds a file of this name")
        yield Act("upload", (path, temporary))
    return (yield from _verify(ports, file, temporary))


def _verify(ports: DeliverPorts, file: OutboundFile, temporary: str) -> Part[str]:
    match ports.acquirer.verify:
        case "size":
            return ""
        case "read_back":
            same, how = (yield from _same_bytes(ports, temporary, file)), ", bytes read back before it"
        case "hash_extension":
            same, how = (yield Act("sha256", (temporary,))) == file.sha256, ", hash by the server before it"
    if not same:
        raise DeliveryFailed(
            f"file {file.name}: what {ports.acquirer.name} holds is not what was sent; it was not renamed",
            next_step="Ask the acquirer what changes files on its server; it is tried again.",
        )
    return how


def _give_back(ports: DeliverPorts, file: OutboundFile, attempt: Attempt) -> Part[None]:
    """It was uploaded ahead, and a file before it was not delivered: nothing of it was placed, and it waits for that one."""

    def write(tx: Transaction) -> None:
        ended(tx, file, attempt, FileState.SEALED, {}, state="revoked", ended_at=ports.clock.now())
        tx.audit.append(file_chain(file.file_id), "attempt_revoked", {"attempt": attempt.attempt})

    with suppress(Busy):  # it was taken over meanwhile: what becomes of the file is another worker's business
        yield Write(write)
    yield from _clean(ports, attempt)


def _rename(
    ports: DeliverPorts, host_key: Callable[[], str], file: OutboundFile, attempt: Attempt, verified: str
) -> Part[bool]:
    target = _inbox(ports, file.name)
    try:
        yield Act("rename", (_inbox(ports, attempt.temporary_name), target))
    except (DeliveryFailed, TargetExists):
        return (yield from _settle(ports, host_key, file, attempt)).state == FileState.DELIVERED
    # No other exception ends here: the reply is lost, the state stays rename_intended, and take-over looks for evidence.
    seen = yield from _seen(target)
    if seen is not None and seen.size != file.size:
        yield from doubt(ports, file, attempt, f"the inbox shows {seen.size} bytes, {file.size} were sent")
        return False
    # Not there any more: the acquirer was quick. The server's own yes to the rename is the evidence.
    how = "rename confirmed" if seen is None else "rename confirmed, size compared"
    yield from delivered(ports, host_key, file, attempt, how + verified)
    return True


def _seen(target: str) -> Part[RemoteFile | None]:
    """A last look at what was placed. A link that breaks now takes away nothing of what the server confirmed before."""
    try:
        found: RemoteFile | None = yield _stat(target)
    except TieoutError as error:
        log.info("%s was placed; it could not be looked at again: %s", target, error)
        return None
    return found


def _take_over(ports: DeliverPorts, host_key: Callable[[], str], file: OutboundFile) -> Part[OutboundFile]:
    """An attempt that its worker did not end. We hold the lease; the worker may be dead or only paused."""
    file, attempt = yield Write(lambda tx: _revoke(tx, ports, file))
    if attempt.state == "rename_intended":
        # Nobody refused anything, a worker was cut off: the file need not wait.
        return (yield from _settle(ports, host_key, file, attempt, at_once=True))
    yield from _clean(ports, attempt)
    return file


def _revoke(tx: Transaction, ports: DeliverPorts, file: OutboundFile) -> tuple[OutboundFile, Attempt]:
    """The file's last attempt as it was found; one that placed nothing yet is over now, and the file sealed again."""
    attempt = tx.attempts.find(file_id=file.file_id, order="-attempt", limit=1)[0]
    if attempt.state != "started":
        return file, attempt
    tx.attempts.change(attempt, state="revoked", ended_at=ports.clock.now())
    tx.audit.append(file_chain(file.file_id), "attempt_revoked", {"attempt": attempt.attempt})
    check_file_transition(file.name, FileState(file.state), FileState.SEALED)
    return tx.files.change(file, state=str(FileState.SEALED)), attempt


def _settle(
    ports: DeliverPorts, host_key: Callable[[], str], file: OutboundFile, attempt: Attempt, *, at_once: bool = False
) -> Part[OutboundFile]:
    """The verdict on a rename whose answer is lost or was no. First the temporary file goes: then no late rename can win."""
    removed = yield Act("remove", (_inbox(ports, attempt.temporary_name),))
    for directory in (ports.acquirer.drop.inbox, ports.acquirer.drop.archive):
        path = f"{directory}/{file.name}"
        if not directory or (yield _stat(path)) is None:
            continue
        if (yield from _same_bytes(ports, path, file)):
            how = f"found in {directory}, bytes compared"
            return (yield from delivered(ports, host_key, file, attempt, how))
        return (yield from doubt(ports, file, attempt, f"{directory} holds another file of this name"))
    if removed and ports.acquirer.drop.rename_atomic:
        refused = DeliveryFailed("the rename did not happen")
        return (yield from failed(ports, file, attempt, refused, at_once=at_once))
    answer = "was lost" if at_once else "was no, which proves nothing here,"
    why = f"the answer to the rename {answer} and the file is nowhere to be seen"
    return (yield from doubt(ports, file, attempt, why))


def _same_bytes(ports: DeliverPorts, path: str, file: OutboundFile) -> Part[bool]:
    with tempfile.TemporaryDirectory(dir=ports.spool) as folder:
        local = Path(folder) / "read-back"
        yield Act("download", (path, local))
        return sha256_of(local) == file.sha256


def _clean(ports: DeliverPorts, attempt: Attempt) -> Part[None]:
    """Best effort: a temporary file that stays behind is harmless, its name fits no pattern."""
    try:
        yield Act("remove", (_inbox(ports, attempt.temporary_name),))
    except TieoutError as error:
        log.info("temporary file of attempt %s stays behind: %s", attempt.attempt, error)


def _stat(path: str) -> Act:
    return Act("stat", (path,))


def _clear_earlier(ports: DeliverPorts, attempt: Attempt) -> Part[None]:
    """What attempts before this one left behind when their link broke. They have ended: nobody renames it any more."""
    if attempt.attempt == 1:
        return
    with ports.ledger.look() as tx:
        earlier = tx.attempts.find(file_id=attempt.file_id, state=("failed", "revoked"))
    for each in earlier:
        yield from _clean(ports, each)


def _inbox(ports: DeliverPorts, name: str) -> str:
    return f"{ports.acquirer.drop.inbox}/{name}"
