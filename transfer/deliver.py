"""Deliver: takes the acquirer's lease and places every file that is due, one verdict per file, in the order of numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from payments.companions import OPEN, Companion
from payments.config import AcquirerSection
from payments.contacts import REASON_LENGTH_MAX, failed, is_failing, of_inbox, reached
from payments.delivery_stops import said, stop_in_force
from payments.errors import AskPerson, Busy, HostKeyRefused, TieoutError, TryAgain, Unreachable, WrongConfiguration
from payments.keys import day_chain, file_chain
from payments.leasing import TTL, MayBegin, always, drain
from payments.masking import masked
from payments.ports import Clock, Lease, Ledger, ObjectStore, Transaction
from payments.records import OutboundFile
from payments.remote_ports import RemoteDrop
from payments.states import FileState
from payments.waiting import due_at
from transfer.companions import may_be_placed, owed, why
from transfer.left_over import left_over
from transfer.windows_firing import is_shut_out

if TYPE_CHECKING:
    from transfer.delivery_plan import DeliveryPlan
    from transfer.flight import Way

log = logging.getLogger(__name__)

WINDOW_AHEAD_MAX = timedelta(days=14)
"""No weekend and no holidays keep the next window away for longer."""
ALONE_AFTER = 2
"""Where order is free, a file whose attempts failed more often flies alone: it may be what ends the sessions of all others."""
BLOCKS = "blocks the files behind it: the acquirer wants strict order"
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
    plan: DeliveryPlan | None = None
    may_begin: MayBegin = always

    @property
    def chosen(self) -> DeliveryPlan:
        """The plan of the open session: before there is one nothing is delivered."""
        assert self.plan is not None, "a session keeps to a plan"
        return self.plan


def deliver(ports: DeliverPorts) -> bool:
    """Place everything that is due. False: another worker is at it, and will look again."""
    from transfer.stranded import is_anything_due

    def pending() -> bool:
        with ports.ledger.begin() as tx:
            return is_anything_due(tx, ports.acquirer, ports.clock.now())

    with ports.ledger.look() as tx:
        stopped = stop_in_force(tx)
    if stopped is not None:
        log.warning("acquirer %s: %s", ports.acquirer.name, said(stopped))
    name = f"deliver:{ports.acquirer.name}"
    step = lambda lease: _session(ports, lease)  # noqa: E731
    return drain(ports.ledger.leases, name, pending=pending, step=step, may_begin=ports.may_begin)


def due_files(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> list[OutboundFile]:
    """Files that may be tried now, by number; then those with an attempt that is still to be ended.

    Delivered ones are among them whose marker or checksum file is still owed.

    With `sequence = strict` the first that may not blocks those behind it. While deliveries are stopped only those are due
    that somebody left under way: they get their verdict, and go no further.
    """
    due, stopped = [], stop_in_force(tx) is not None
    for file, companion in _unsettled(tx, acquirer):
        if stopped and not _is_under_way(file, companion):
            continue
        if companion is None:
            is_due = may_be_tried(acquirer, file, now) and not is_shut_out(tx, acquirer, file, now)
        else:
            is_due = may_be_placed(acquirer, companion, now)
        if is_due:
            due.append(file)
        elif acquirer.sequence == "strict":
            break
    return [*due, *(each for each in left_over(tx, acquirer, now, pause) if each not in due)]


def _unsettled(tx: Transaction, acquirer: AcquirerSection) -> list[tuple[OutboundFile, Companion | None]]:
    """What is still to be done, by number: files to deliver, and delivered ones with the companion that they lack."""
    files = tx.files.find(acquirer=acquirer.name, state=UNSETTLED, order="sequence")
    replaced = {file.sequence for file in tx.files.find(acquirer=acquirer.name) if file.state != FileState.CANCELLED}
    open_: list[tuple[OutboundFile, Companion | None]] = [
        (file, None) for file in files if file.state != FileState.CANCELLED or file.sequence not in replaced
    ]
    return sorted([*open_, *owed(tx, acquirer.name)], key=lambda each: each[0].sequence)


def _is_under_way(file: OutboundFile, companion: Companion | None) -> bool:
    return file.state == FileState.DELIVERING if companion is None else companion.state == "rename_intended"


def may_be_tried(acquirer: AcquirerSection, file: OutboundFile, now: datetime) -> bool:
    """Whether nobody holds it, its state allows an attempt, and its pause is over."""
    if file.held or file.state not in {FileState.SEALED, FileState.DELIVERING}:
        return False
    return due_at(file.next_attempt_at, now, _wait_max(acquirer)) <= now


def _wait_max(acquirer: AcquirerSection) -> timedelta:
    """How far ahead the next attempt at a file can be: a pause, or the way to the next window."""
    return max(timedelta(seconds=acquirer.retry.longest_s), WINDOW_AHEAD_MAX if acquirer.window else timedelta())


def blocked_by(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> str:
    """For people: which file stops the ones behind it, and why; empty when none does."""
    if acquirer.sequence != "strict":
        return ""
    files = _unsettled(tx, acquirer)
    if len(files) < 2:
        return ""
    file, companion = files[0]
    if companion is not None:
        return "" if may_be_placed(acquirer, companion, now) else f"{why(companion, file)}: {BLOCKS}"
    return "" if may_be_tried(acquirer, file, now) else f"{file.name} ({file.held or file.state}) {BLOCKS}"


def _session(ports: DeliverPorts, lease: Lease) -> bool:
    """One connection, as many files as are due. False: nothing was due, or the server could not be reached."""
    from transfer.stranded import stranded

    with ports.ledger.begin() as tx:
        now = ports.clock.now()
        due = due_files(tx, ports.acquirer, now)
        behind = stranded(tx, ports.acquirer, due, now)
    if not due and not behind:
        return False
    try:
        with ports.connect() as drop:
            ports = _planned(ports, drop)
            _note_reached(ports)
            _fly(ports, drop, due, behind, lease)
    except (Unreachable, HostKeyRefused, WrongConfiguration) as error:
        # Who lost the lease has nothing to say about files that another worker delivers now.
        ports.ledger.leases.renew(lease, ttl=TTL)
        _postpone_all(ports, [*due, *behind], error)
        return False
    return True


def _planned(ports: DeliverPorts, drop: RemoteDrop) -> DeliverPorts:
    """With the plan for this session, which the audit chain of the acquirer's day keeps. Raises WrongConfiguration."""
    from transfer.business_day import business_date
    from transfer.delivery_plan import delivery_plan, keep_to

    acquirer, now = ports.acquirer, ports.clock.now()
    with ports.ledger.look() as tx:
        plan = delivery_plan(acquirer, tx.profiles.get(acquirer.name), drop.host_key, now)
    plan.check(acquirer)
    with ports.ledger.begin() as tx:
        kept = {"hash": plan.hash, **plan.to_json()}
        tx.audit.append(day_chain(acquirer.name, business_date(acquirer, now)), "delivery_planned", kept)
    keep_to(plan, drop)
    return replace(ports, plan=plan)


def _fly(
    ports: DeliverPorts, drop: RemoteDrop, due: list[OutboundFile], behind: list[OutboundFile], lease: Lease
) -> None:
    """First those that are due leave; then what dead workers left of those `behind` is cleared up."""
    from transfer.attempt import deliver_file
    from transfer.flight import Departure, Flight, Terms
    from transfer.stranded import cleared_up

    strict = ports.acquirer.sequence == "strict"

    def departure(file: OutboundFile) -> Departure:
        alone = _tries(file) > (0 if strict else ALONE_AFTER)
        return Departure(lambda: _try(ports, deliver_file, drop, file), alone)

    def clearing(file: OutboundFile) -> Departure:
        return Departure(lambda: _try(ports, cleared_up, drop, file), alone=False)

    terms = Terms(
        ports.ledger,
        strict=strict,
        width=int(ports.chosen.files_in_flight.value),
        renew=lambda: ports.ledger.leases.renew(lease, ttl=TTL),
        may_begin=ports.may_begin,
    )
    # What ended sessions before must not end this one before the others left.
    Flight(drop, terms).go(map(departure, due if strict else sorted(due, key=_tries)))
    # Nothing of these is placed, so that none waits for the one before it.
    Flight(drop, replace(terms, strict=False)).go(map(clearing, behind))


def _tries(file: OutboundFile) -> int:
    """How often it was tried and did not leave. One that lacks only what belongs beside it has left."""
    return file.attempts if file.state in {FileState.SEALED, FileState.DELIVERING} else 0


def _try(ports: DeliverPorts, act: Callable[..., Way], drop: RemoteDrop, file: OutboundFile) -> Way:
    """One file: what goes wrong with it alone makes it wait, and never stops its neighbours. True: delivered."""
    try:
        # Made here and held by nobody else: whoever lets this one go closes that one first.
        return (yield from act(ports, lambda: drop.host_key, file))
    except (Unreachable, HostKeyRefused):
        raise
    except Busy:
        return False  # somebody else changed it: the next look at the ledger says what it is now
    except TieoutError as error:
        _postpone_one(ports, file, error)
    except Exception as error:  # noqa: BLE001  (a failure we do not know: its text may hold anything, so only its type is said)
        _postpone_one(ports, file, TryAgain(f"file {file.name}: unexpected {type(error).__name__}"))
    return False


def _note_reached(ports: DeliverPorts) -> None:
    subject = of_inbox(ports.acquirer.name)
    with ports.ledger.look() as tx:
        failing = is_failing(tx, subject)
    if failing:
        with ports.ledger.begin() as tx:
            reached(tx, subject, ports.clock.now())


def _postpone_all(ports: DeliverPorts, files: list[OutboundFile], error: TieoutError) -> None:
    """The server cannot be reached, or is not the one we know: all wait, so that retries cannot lock an account.

    That is no attempt of any file: an outage, however long, brings none of them nearer to a hold.
    """
    _say(ports, error)
    now, reason = ports.clock.now(), masked(str(error))[:REASON_LENGTH_MAX]
    with ports.ledger.begin() as tx:
        failures = failed(tx, of_inbox(ports.acquirer.name), now, type(error).__name__, reason)
        for file in files:
            _postpone(tx, ports, file, error, now + pause(ports.acquirer, failures))


def _postpone_one(ports: DeliverPorts, file: OutboundFile, error: TieoutError) -> None:
    """Something about this file alone stopped it, which counts as a try of it."""
    _say(ports, error)
    with ports.ledger.begin() as tx:
        current = tx.files.get(file.file_id) or file
        tries = current.attempts + 1
        _postpone(tx, ports, file, error, ports.clock.now() + pause(ports.acquirer, tries), attempts=tries)


def _say(ports: DeliverPorts, error: TieoutError) -> None:
    level = logging.ERROR if isinstance(error, AskPerson) else logging.WARNING  # nobody but a person ends the former
    log.log(level, "acquirer %s: %s: %s. %s", ports.acquirer.name, type(error).__name__, error, error.next_step)


def _postpone(
    tx: Transaction, ports: DeliverPorts, file: OutboundFile, error: TieoutError, due: datetime, **counted: int
) -> None:
    current = tx.files.get(file.file_id)
    if current is None or current.state not in {FileState.SEALED, FileState.DELIVERING}:
        _postpone_companion(tx, ports, file.file_id, error)
        return
    now = ports.clock.now()
    if due_at(current.next_attempt_at, now, _wait_max(ports.acquirer)) > now:
        return  # its own attempt has said already when it is due
    tx.files.change(current, next_attempt_at=due, note=str(error)[:500], **counted)
    tx.audit.append(file_chain(file.file_id), "postponed", {"error": type(error).__name__})


def _postpone_companion(tx: Transaction, ports: DeliverPorts, file_id: str, error: TieoutError) -> None:
    companion, now = tx.companions.get(file_id), ports.clock.now()
    if companion is None or companion.state not in OPEN or not may_be_placed(ports.acquirer, companion, now):
        return
    tries = companion.attempts + 1
    due = now + pause(ports.acquirer, tries)
    tx.companions.change(companion, attempts=tries, next_attempt_at=due, note=str(error)[:500])


def pause(acquirer: AcquirerSection, tries: int) -> timedelta:
    """How long to wait after so many tries."""
    retry = acquirer.retry
    return timedelta(seconds=min(retry.first_s * retry.factor ** min(tries - 1, 20), retry.longest_s))
