"""Puts the marker or checksum file beside a delivered file: by temporary name and rename, once, never over anything.

    file delivered -> [started] -> upload to a temporary name -> name free? -> [rename_intended] -> rename -> [placed]
                          |                                                         |
           begun anew by whoever comes next                 looked for by whoever comes next: placed, due again, or in doubt

Square brackets are transactions, each by compare-and-set: whoever was taken over changes nothing and places nothing any more.
The file itself stays delivered whatever happens here: it is in the acquirer's hands. Parts of a file's way, see transfer/flight.py.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from payments.companions import SUFFIX, Companion, content_of, is_owed
from payments.delivery_stops import is_stopped
from payments.errors import Busy, DeliveryFailed, HostKeyRefused, TargetExists, TieoutError, Unreachable
from payments.keys import file_chain
from payments.ports import Transaction
from payments.records import OutboundFile
from transfer.companions import may_be_placed
from transfer.deliver import DeliverPorts, pause
from transfer.flight import Write
from transfer.looks import clean, found_ours, inbox, is_there, same_bytes, stat
from transfer.many_acts import Act
from transfer.verdicts import Part

log = logging.getLogger(__name__)


def put_beside(ports: DeliverPorts, file_id: str, ready: str = "") -> Part[bool]:
    """Bring the companion of a file as far as it goes now. True: it is placed, or none is owed.

    `ready`: the temporary name under which this session has uploaded it already. Raises Unreachable, HostKeyRefused.
    """
    try:
        found = yield Write(lambda tx: _begin(tx, ports, file_id, ready))
        if found is None:
            if ready:
                yield from clean(ports, ready)
            return True
        file, companion, before = found
        if companion == before:
            if companion.state != "rename_intended":
                return False
            # Somebody was cut off behind the intent, and may still be there, paused.
            return bool((yield from _settle(ports, file, companion)).state == "placed")
        if companion.state == "started":
            if before.temporary_name:
                yield from clean(ports, before.temporary_name)
            companion = yield from _upload(ports, file, companion)
        if companion.state == "rename_intended":
            companion = yield from _rename(ports, file, companion)
    except Busy:
        return False  # somebody took over: what becomes of it is another worker's business
    return bool(companion.state == "placed")


def upload_beside(ports: DeliverPorts, file: OutboundFile, companion: Companion, temporary_name: str) -> Part[None]:
    """Its bytes under a temporary name. Raises TargetExists when its own name is taken, and what an upload raises."""
    if (yield stat(inbox(ports, companion.name))) is not None:
        raise TargetExists(f"file {file.name}: the inbox of {file.acquirer} already holds {companion.name}")
    with tempfile.TemporaryDirectory(dir=ports.spool) as folder:
        local = Path(folder) / "beside"
        local.write_bytes(content_of(companion, file))
        yield Act("upload", (local, inbox(ports, temporary_name)))


def _begin(
    tx: Transaction, ports: DeliverPorts, file_id: str, ready: str
) -> tuple[OutboundFile, Companion, Companion] | None:
    """The file, its companion as it goes on, and as it was found: equal when nothing may be begun. None: none is owed."""
    companion, file = tx.companions.get(file_id), tx.files.get(file_id)
    if companion is None or file is None or not is_owed(companion, file):
        return None
    if (
        companion.state == "rename_intended"
        or is_stopped(tx)
        or not may_be_placed(ports.acquirer, companion, ports.clock.now())
    ):
        return file, companion, companion
    if ready and ready == companion.temporary_name:
        return file, tx.companions.change(companion, state="rename_intended"), companion
    number = companion.attempts + 1
    name = f".{file_id}-beside-{number}{SUFFIX}"
    begun = tx.companions.change(companion, state="started", temporary_name=name, attempts=number, next_attempt_at=None)
    return file, begun, companion


def _upload(ports: DeliverPorts, file: OutboundFile, companion: Companion) -> Part[Companion]:
    """Up to the intent; or as it is when it was there already, or failed for now."""
    target = inbox(ports, companion.name)
    try:
        if (yield stat(target)) is not None and (yield from same_bytes(ports, target, _sha256(companion, file))):
            return (yield from _written(lambda tx: _placed(tx, ports, companion, "found there, bytes compared")))
        yield from upload_beside(ports, file, companion, companion.temporary_name)
        yield Act("free", (target,))
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # an unknown exception is a failure, never a success (I6)
        cause = error
        failed = yield from _written(lambda tx: _failed(tx, ports, companion, cause))
        yield from clean(ports, companion.temporary_name)
        if isinstance(error, Unreachable | HostKeyRefused):
            raise
        return failed
    try:
        return (yield from _written(lambda tx: _intend(tx, companion)))
    except Busy:
        yield from clean(ports, companion.temporary_name)
        raise


def _intend(tx: Transaction, companion: Companion) -> Companion:
    file = tx.files.get(companion.file_id)
    if file is None or is_stopped(tx) or not is_owed(companion, file):
        raise Busy(f"{companion.name} is not wanted any more, or nothing may leave now")
    return tx.companions.change(companion, state="rename_intended")


def _rename(ports: DeliverPorts, file: OutboundFile, companion: Companion) -> Part[Companion]:
    size = len(content_of(companion, file))
    target = inbox(ports, companion.name)
    try:
        if ports.chosen.looks_again:
            yield Act("free", (target,))  # this server would replace what came there since it was asked
        seen = yield Act("place", (inbox(ports, companion.temporary_name), target))
    except (DeliveryFailed, TargetExists):
        return (yield from _settle(ports, file, companion))
    # No other exception ends here: the reply is lost, and whoever comes next looks for evidence.
    if seen is None and (yield from is_there(inbox(ports, companion.temporary_name))):
        return (yield from _settle(ports, file, companion))  # a yes that left everything where it was
    if seen is not None and seen.size != size:
        why = f"the inbox shows {seen.size} bytes, {size} were sent"
        return (yield from _written(lambda tx: _doubt(tx, companion, why)))
    how = "rename confirmed" if seen is None else "rename confirmed, size compared"
    return (yield from _written(lambda tx: _placed(tx, ports, companion, how)))


def _settle(ports: DeliverPorts, file: OutboundFile, companion: Companion) -> Part[Companion]:
    """The verdict on a rename whose answer is lost or was no. First the temporary file goes: then no late rename can win."""
    try:
        removed = yield Act("remove", (inbox(ports, companion.temporary_name),))
    except DeliveryFailed as refused:  # some accounts may not remove: then nothing proves that it was not placed
        log.warning("%s of file %s: %s", companion.kind, file.name, refused)
        removed = False
    found = yield from found_ours(ports, companion.name, _sha256(companion, file))
    if found is not None and found[1]:
        how = f"found in {found[0]}, bytes compared"
        return (yield from _written(lambda tx: _placed(tx, ports, companion, how)))
    if removed and ports.acquirer.drop.rename_atomic:
        error = DeliveryFailed("the rename did not happen" if found is None else "another file has its name")
        return (yield from _written(lambda tx: _failed(tx, ports, companion, error)))
    why = "it is nowhere to be seen" if found is None else f"{found[0]} holds another file of this name"
    return (
        yield from _written(lambda tx: _doubt(tx, companion, f"the answer to its rename proves nothing, and {why}"))
    )


def _placed(tx: Transaction, ports: DeliverPorts, companion: Companion, how: str) -> Companion:
    changed = tx.companions.change(
        companion, state="placed", placed_at=ports.clock.now(), next_attempt_at=None, note=""
    )
    _audit(tx, companion, "placed", verified_by=how)
    return changed


def _failed(tx: Transaction, ports: DeliverPorts, companion: Companion, error: BaseException) -> Companion:
    # The text of an exception we do not know may hold anything: only its type is shown (I7).
    text = str(error) if isinstance(error, TieoutError) else f"unexpected {type(error).__name__}"
    log.warning("%s of file %s failed: %s: %s", companion.kind, companion.file_id, type(error).__name__, text)
    due = ports.clock.now() + pause(ports.acquirer, companion.attempts)
    changed = tx.companions.change(companion, state="due", next_attempt_at=due, note=text[:500])
    _audit(tx, companion, "failed", error=type(error).__name__)
    return changed


def _doubt(tx: Transaction, companion: Companion, why: str) -> Companion:
    log.error("%s %s is in doubt: %s. Ask the acquirer; it is not placed again.", companion.kind, companion.name, why)
    changed = tx.companions.change(companion, state="doubtful", next_attempt_at=None, note=why)
    _audit(tx, companion, "in_doubt", why=why)
    return changed


def _audit(tx: Transaction, companion: Companion, fact: str, **body: Any) -> None:
    told = {"name": companion.name, "attempt": companion.attempts, **body}
    tx.audit.append(file_chain(companion.file_id), f"{companion.kind}_{fact}", told)


def _written(work: Callable[[Transaction], Companion]) -> Part[Companion]:
    changed: Companion = yield Write(work)
    return changed


def _sha256(companion: Companion, file: OutboundFile) -> str:
    return hashlib.sha256(content_of(companion, file)).hexdigest()
