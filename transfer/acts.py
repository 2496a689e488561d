"""Acts of people on outbound files: hold, release, cancel, redeliver, not received, nothing there. Each is one transaction.

    hold, cancel               one person, while nothing of the file can be at the acquirer
    release                    one person; another one than the person who held it
    not_received, redeliver    two people, except for a file that never left
    nothing_there              two people, of a file that never left and that the acquirer speaks of all the same

An act that could place a payment twice is refused as long as anything the acquirer said speaks of the file, and two people
have not answered exactly that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from payments.acting import DONE, PROPOSED, Act, Actor, proposal, record
from payments.errors import NotAllowed
from payments.keys import file_chain
from payments.ports import Clock, Ledger, Transaction
from payments.records import OutboundFile
from payments.states import SETTLED_HOLD, SPOKEN_HOLD, FileState, check_file_transition
from transfer.after_sealing import close_of_file, close_silence_of_file
from transfer.gone_back import RETURN_ASKED
from transfer.spoken import NOTHING_THERE, is_unanswered, said_hash, spoken_of

_F = FileState
ALLOWED: Mapping[str, frozenset[FileState]] = {
    "hold": frozenset({_F.PLANNED, _F.SEALED}),
    "release": frozenset({_F.PLANNED, _F.SEALED}),
    "cancel": frozenset({_F.PLANNED, _F.SEALED}),
    "redeliver": frozenset({_F.CANCELLED, _F.REFUSED, _F.NOT_RECEIVED}),
    "not_received": frozenset({_F.IN_DOUBT, _F.DELIVERED}),
    NOTHING_THERE: frozenset({_F.SEALED, _F.NOT_RECEIVED}),
}
"""Verb -> states in which the act is allowed."""

NEXT_STEP: Mapping[FileState, str] = {
    _F.DELIVERING: "An attempt is under way: look again when it has ended.",
    _F.IN_DOUBT: "Ask the acquirer; if it never came, two people say `tieout file NAME not-received`.",
    _F.CANCELLED: "`tieout file NAME redeliver` puts its payments into a new file.",
    _F.REFUSED: "Two people may say `tieout file NAME redeliver`.",
    _F.NOT_RECEIVED: "Two people may say `tieout file NAME redeliver`.",
    _F.SEALED: "It has not left: `tieout file NAME cancel` takes it back.",
    _F.PLANNED: "It has not left: `tieout file NAME cancel` takes it back.",
}
THE_ACQUIRER_HAS_IT = "The acquirer has it: only the acquirer can refuse it or give payments back."
ASK = "`tieout trace` shows its results; ask the acquirer what became of the file."
ASK_FIRST = f"{ASK} If it has nothing of it, two people say `tieout file NAME nothing-there`."
REJECTED_ONLY = "`tieout file NAME redeliver --rejected` sends again what the acquirer rejected of it."

UNWRITABLE = "cannot be written: "
HELD_BY = "held by "


@dataclass(frozen=True)
class ActPorts:
    """What the acts need of the world."""

    ledger: Ledger
    clock: Clock


@dataclass(frozen=True, slots=True)
class Acted:
    """The file after the act. `done` is false for a proposal that waits for a second person."""

    file: OutboundFile
    done: bool


def find_file(tx: Transaction, name: str) -> OutboundFile:
    """By file_id or file name. Raises NotAllowed when there is none, or when several files have this name."""
    known = tx.files.get(name)
    found = [known] if known is not None else tx.files.find(name=name)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotAllowed(f"there is no outbound file {name!a}", next_step="`tieout status` lists the latest files.")
    ids = ", ".join(each.file_id for each in found)
    raise NotAllowed(f"{len(found)} outbound files are called {name!a}", next_step=f"Name one by its id: {ids}.")


def hold(ports: ActPorts, name: str, actor: Actor, why: str = "") -> Acted:
    """Keep a file from leaving until somebody else releases it."""
    with ports.ledger.begin() as tx:
        file, act = _look(tx, ports, name, "hold", actor, why)
        if file.held:
            raise NotAllowed(f"file {file.name} is held already ({file.held})")
        record(tx, act)
        changed = tx.files.change(file, held=f"{HELD_BY}{actor.name}")
        audit_act(tx, changed, "held", act)
    return Acted(changed, done=True)


def release(ports: ActPorts, name: str, actor: Actor, why: str = "") -> Acted:
    """Let a held file leave, at once. A limit is answered by one person, a person's hold by a different one."""
    with ports.ledger.begin() as tx:
        file, act = _look(tx, ports, name, "release", actor, why)
        _check_release(tx, file, actor)
        record(tx, act, held=file.held)
        changed = tx.files.change(file, held="", next_attempt_at=None)
        audit_act(tx, changed, "released", act)
    return Acted(changed, done=True)


def cancel(ports: ActPorts, name: str, actor: Actor, why: str = "") -> Acted:
    """Take back a file that never left. Its number is used again by its replacement."""
    with ports.ledger.begin() as tx:
        file, act = _look(tx, ports, name, "cancel", actor, why)
        _refuse_when_spoken_of(tx, file)
        record(tx, act)
        changed = _moved(tx, file, FileState.CANCELLED, f"cancelled by {actor.name}")
        close_of_file(tx, changed, act.at, "the file was cancelled before it left")
        audit_act(tx, changed, str(FileState.CANCELLED), act)
    return Acted(changed, done=True)


def redeliver(ports: ActPorts, name: str, actor: Actor, why: str = "") -> Acted:
    """Ask that the payments of a closed file go into a new one: the next assembly takes them."""
    with ports.ledger.begin() as tx:
        file, act = _look(tx, ports, name, "redeliver", actor, why)
        if file.returned_in is not None:
            taken = f"in assembly {file.returned_in}" if file.returned_in else "by the next assembly"
            raise NotAllowed(f"file {file.name}: its payments are taken back already, {taken}")
        refuse_when_under_way(tx, file)
        if file.state != FileState.REFUSED:
            _refuse_when_spoken_of(tx, file)
        if file.state != FileState.CANCELLED and not agreed(tx, file, act):
            return Acted(file, done=False)
        if file.state == FileState.CANCELLED:
            record(tx, act)
        changed = tx.files.change(file, returned_in=RETURN_ASKED)
        audit_act(tx, changed, "redelivery_asked", act)
    return Acted(changed, done=True)


def not_received(ports: ActPorts, name: str, actor: Actor, why: str = "") -> Acted:
    """Two people say that the acquirer never got a file that we delivered, or may have."""
    with ports.ledger.begin() as tx:
        file, act = _look(tx, ports, name, "not_received", actor, why)
        refuse_when_under_way(tx, file)
        _refuse_when_spoken_of(tx, file)
        if not agreed(tx, file, act):
            return Acted(file, done=False)
        changed = _moved(tx, file, FileState.NOT_RECEIVED, f"not received, says {actor.name}")
        close_silence_of_file(tx, changed, ports.clock.now())
        audit_act(tx, changed, str(FileState.NOT_RECEIVED), act)
    return Acted(changed, done=True)


def nothing_there(ports: ActPorts, name: str, actor: Actor, why: str = "") -> Acted:
    """Two people say that the acquirer has nothing of a file that never left, whatever its results say of it.

    What these say is not forgotten: it is folded once more, now under a closed file, so that a payment which it calls settled
    is an alarm and does not go again. Results that come later are not answered by it.
    """
    with ports.ledger.begin() as tx:
        file, act = _look(tx, ports, name, NOTHING_THERE, actor, why)
        results = spoken_of(tx, file)
        if not is_unanswered(tx, file):
            raise NotAllowed(
                f"file {file.name}: nothing that the acquirer said of it waits for an answer",
                next_step=NEXT_STEP[FileState(file.state)],
            )
        refuse_when_unread(tx, file)
        if not agreed(tx, file, act, results=said_hash(results)):
            return Acted(file, done=False)
        if file.state == FileState.SEALED:
            changed = _moved(tx, file, FileState.NOT_RECEIVED, f"the acquirer has nothing of it, says {actor.name}")
            close_of_file(tx, changed, act.at, "the file never left")
        else:
            changed = tx.files.change(file)
        for sha256 in results:
            result = tx.results.get(file.acquirer, sha256)
            if result is not None and result.state == "read":
                tx.results.change(result, reconciled=False)
        audit_act(tx, changed, NOTHING_THERE, act, results=said_hash(results))
    return Acted(changed, done=True)


def check_state(verb: str, file: OutboundFile) -> None:
    """Raises NotAllowed in a state that does not allow the act."""
    state = FileState(file.state)
    if state in ALLOWED[verb]:
        return
    words = verb.replace("_", "-")
    at_acquirer = THE_ACQUIRER_HAS_IT if verb != "redeliver" else f"{THE_ACQUIRER_HAS_IT} {REJECTED_ONLY}"
    raise NotAllowed(
        f"file {file.name} is {state}: {words} is for files that are {' or '.join(sorted(ALLOWED[verb]))}",
        next_step=what_next(file, at_acquirer),
    )


def what_next(file: OutboundFile, otherwise: str = THE_ACQUIRER_HAS_IT) -> str:
    """What a person can do about a file in its state, for a refusal."""
    return ASK_FIRST if file.held.startswith(SPOKEN_HOLD) else NEXT_STEP.get(FileState(file.state), otherwise)


def _look(tx: Transaction, ports: ActPorts, name: str, verb: str, actor: Actor, why: str) -> tuple[OutboundFile, Act]:
    file = find_file(tx, name)
    check_state(verb, file)
    return file, Act(file.file_id, verb, file.revision, actor, why, ports.clock.now())


def _check_release(tx: Transaction, file: OutboundFile, actor: Actor) -> None:
    if not file.held:
        raise NotAllowed(f"file {file.name} is not held")
    if file.held.startswith(UNWRITABLE):
        raise NotAllowed(
            f"file {file.name} {file.held}",
            next_step="Correct the payment at its source, then cancel and redeliver this file.",
        )
    if file.held.startswith(SETTLED_HOLD):
        raise NotAllowed(
            f"file {file.name} is held: {file.held}",
            next_step="Cancel and redeliver it: what was settled stays behind, the other payments go.",
        )
    if not actor.verified:
        raise NotAllowed(f"release lets money leave; {actor.name!a} is unverified")
    if file.held == f"{HELD_BY}{actor.name}":
        raise NotAllowed(
            f"file {file.name} was held by {actor.name!a}: a different person must release it",
            next_step="Ask a colleague to release it under their own user.",
        )
    _refuse_when_spoken_of(tx, file)


def agreed(tx: Transaction, file: OutboundFile, act: Act, **fixed: str | int) -> bool:
    """Whether a different person asked for the same before; else this is kept as the proposal. `fixed` goes with both."""
    first = proposal(tx, act)
    if first is None:
        record(tx, act, PROPOSED, **fixed)
        audit_act(tx, file, f"{act.verb.partition(' ')[0]}_proposed", act, **fixed)
        return False
    record(tx, act, DONE, agrees_with=first.id, proposed_by=first.actor, **fixed)
    return True


def _refuse_when_spoken_of(tx: Transaction, file: OutboundFile) -> None:
    """What the acquirer said of a file, or may have said in results nobody has read yet, forbids to send it again."""
    if is_unanswered(tx, file):
        ask = ASK_FIRST if file.state in ALLOWED[NOTHING_THERE] else ASK
        raise NotAllowed(f"file {file.name}: the acquirer speaks of it, so it may have arrived", next_step=ask)
    refuse_when_unread(tx, file)


def refuse_when_under_way(tx: Transaction, file: OutboundFile) -> None:
    """Nothing is sent again as long as a worker that was cut off, or is only paused, might still place the file."""
    if tx.attempts.count(file_id=file.file_id, state="rename_intended"):
        raise NotAllowed(
            f"file {file.name}: its last attempt has not ended, and might still place it",
            next_step="The next session with the acquirer ends it: try again then.",
        )


def refuse_when_unread(tx: Transaction, file: OutboundFile) -> None:
    """Nothing is sent again as long as the acquirer may have said of it what nobody has read yet."""
    unread = tx.results.count(acquirer=file.acquirer, state=("collected", "read"), reconciled=False)
    if unread or tx.sightings.count(acquirer=file.acquirer, state="fetching"):
        raise NotAllowed(
            f"file {file.name}: results of {file.acquirer} are not read yet, and may name it",
            next_step="Try again when `tieout status` shows them reconciled.",
        )


def _moved(tx: Transaction, file: OutboundFile, state: FileState, note: str) -> OutboundFile:
    check_file_transition(file.name, FileState(file.state), state)
    return tx.files.change(file, state=str(state), held="", next_attempt_at=None, note=note)


def audit_act(tx: Transaction, file: OutboundFile, fact: str, act: Act, **fixed: str | int) -> None:
    """What was done to a file and by whom, in its audit chain."""
    body = {"revision": act.revision, "verified": act.actor.verified, **fixed}
    tx.audit.append(file_chain(file.file_id), fact, body, actor=act.actor.name)
