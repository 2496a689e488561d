"""Deliver: takes the acquirer's lease and places every file that is due, one verdict per file, in the order of numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from payments.config import AcquirerSection
from payments.errors import AskPerson, Busy, HostKeyRefused, TieoutError, TryAgain, Unreachable, WrongConfiguration
from payments.keys import file_chain
from payments.leasing import TTL, drain
from payments.ports import Clock, Lease, Ledger, ObjectStore, RemoteDrop, Transaction
from payments.records import OutboundFile
from payments.states import FileState
from transfer.windows_firing import is_shut_out

if TYPE_CHECKING:
    from transfer.flight import Way

log = logging.getLogger(__name__)

UNSETTLED = tuple(
    str(state)
    for state in (FileState.PLANNED, FileState.SEALED, FileState.DELIVERING, FileState.IN_DOUBT, FileState.CANCELLED)
)


@dataclass(frozen=True)
class DeliverPorts:
    """What deliver needs of the world, for one acquirer."""

    ledger: Ledger
    store: ObjectStore
    clock: Clock
    acquirer: AcquirerSection
    connect: Callable[[], AbstractContextManager[RemoteDrop]]
    holder: str
    spool: Path


def deliver(ports: DeliverPorts) -> bool:
    """Place everything that is due. False: another worker is at it, and will look again."""

    def pending() -> bool:
        with ports.ledger.begin() as tx:
            return bool(due_files(tx, ports.acquirer, ports.clock.now()))

    name = f"deliver:{ports.acquirer.name}"
    return drain(ports.ledger.leases, name, pending=pending, step=lambda lease: _session(ports, lease))


def due_files(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> list[OutboundFile]:
    """Files that may be tried now, by number. With `sequence = strict` the first that may not blocks those behind it."""
    files = tx.files.find(acquirer=acquirer.name, state=UNSETTLED, order="sequence")
    replaced = {file.sequence for file in tx.files.find(acquirer=acquirer.name) if file.state != FileState.CANCELLED}
    due = []
    for file in files:
        if file.state == FileState.CANCELLED and file.sequence in replaced:
            continue
        if may_be_tried(file, now) and not is_shut_out(tx, acquirer, file, now):
            due.append(file)
        elif acquirer.sequence == "strict":
            break
    return due


def may_be_tried(file: OutboundFile, now: datetime) -> bool:
    """Whether nobody holds it, its state allows an attempt, and its pause is over."""
    if file.held or file.state not in {FileState.SEALED, FileState.DELIVERING}:
        return False
    return file.next_attempt_at is None or file.next_attempt_at <= now


def blocked_by(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> str:
    """For people: which file stops the ones behind it, and why; empty when none does."""
    if acquirer.sequence != "strict":
        return ""
    files = tx.files.find(acquirer=acquirer.name, state=UNSETTLED, order="sequence")
    replaced = {file.sequence for file in tx.files.find(acquirer=acquirer.name) if file.state != FileState.CANCELLED}
    for file in files:
        if file.state == FileState.CANCELLED and file.sequence in replaced:
            continue
        if not may_be_tried(file, now) and file is not files[-1]:
            return (
                f"{file.name} ({file.held or file.state}) blocks the files behind it: the acquirer wants strict order"
            )
        return ""
    return ""


def _session(ports: DeliverPorts, lease: Lease) -> bool:
    """One connection, as many files as are due. False: nothing was due, or the server could not be reached."""
    with ports.ledger.begin() as tx:
        due = due_files(tx, ports.acquirer, ports.clock.now())
    if not due:
        return False
    try:
        with ports.connect() as drop:
            _fly(ports, drop, due, lease)
    except (Unreachable, HostKeyRefused, WrongConfiguration) as error:
        # Who lost the lease has nothing to say about files that another worker delivers now.
        ports.ledger.leases.renew(lease, ttl=TTL)
        postpone(ports, due, error)
        return False
    return True


def _fly(ports: DeliverPorts, drop: RemoteDrop, due: list[OutboundFile], lease: Lease) -> None:
    from transfer.flight import Departure, Flight, Terms

    def departure(file: OutboundFile) -> Departure:
        return Departure(lambda: _try(ports, drop, file), alone=file.attempts > 0)

    terms = Terms(
        ports.ledger,
        strict=ports.acquirer.sequence == "strict",
        width=1 if ports.acquirer.sftp is None else ports.acquirer.sftp.files_in_flight,
        renew=lambda: ports.ledger.leases.renew(lease, ttl=TTL),
    )
    Flight(drop, terms).go(map(departure, due))


def _try(ports: DeliverPorts, drop: RemoteDrop, file: OutboundFile) -> Way:
    """One file: what goes wrong with it alone makes it wait, and never stops its neighbours. True: delivered."""
    from transfer.attempt import deliver_file

    try:
        return (yield from deliver_file(ports, lambda: drop.host_key, file))
    except (Unreachable, HostKeyRefused):
        raise
    except Busy:
        return False  # somebody else changed it: the next look at the ledger says what it is now
    except TieoutError as error:
        postpone(ports, [file], error)
    except Exception as error:  # noqa: BLE001  (a failure we do not know: its text may hold anything, so only its type is said)
        postpone(ports, [file], TryAgain(f"file {file.name}: unexpected {type(error).__name__}"))
    return False


def postpone(ports: DeliverPorts, files: list[OutboundFile], error: TieoutError) -> None:
    """The server cannot be reached, or is not the one we know: all wait, so that retries cannot lock an account."""
    level = logging.ERROR if isinstance(error, AskPerson) else logging.WARNING  # nobody but a person ends the former
    log.log(level, "acquirer %s: %s: %s. %s", ports.acquirer.name, type(error).__name__, error, error.next_step)
    now = ports.clock.now()
    with ports.ledger.begin() as tx:
        for file in files:
            current = tx.files.get(file.file_id)
            if current is None or current.state not in {FileState.SEALED, FileState.DELIVERING}:
                continue
            if current.next_attempt_at is not None and current.next_attempt_at > now:
                continue  # its own attempt has said already when it is due
            tries = current.attempts + 1
            tx.files.change(
                current, attempts=tries, next_attempt_at=now + pause(ports.acquirer, tries), note=str(error)[:500]
            )
            tx.audit.append(file_chain(file.file_id), "postponed", {"error": type(error).__name__})


def pause(acquirer: AcquirerSection, tries: int) -> timedelta:
    """How long to wait after so many tries."""
    retry = acquirer.retry
    return timedelta(seconds=min(retry.first_s * retry.factor ** min(tries - 1, 20), retry.longest_s))
