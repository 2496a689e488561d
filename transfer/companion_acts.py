"""Acts of people on a marker or checksum file that is in doubt: it is there; or, by two people, it shall be placed again."""

from __future__ import annotations

from typing import Any

from payments.acting import PROPOSED, Act, Actor, proposal, record
from payments.companions import Companion, is_owed
from payments.errors import NotAllowed
from payments.keys import file_chain
from payments.ports import Transaction
from payments.records import OutboundFile
from transfer.acts import Acted, ActPorts, find_file


def is_there(ports: ActPorts, name: str, actor: Actor, why: str = "") -> Acted:
    """The acquirer has it, says one person: nothing is placed, and whatever waited for it goes on."""
    with ports.ledger.begin() as tx:
        file, companion, act = _look(tx, ports, name, "companion_there", actor, why)
        record(tx, act)
        tx.companions.change(companion, state="placed", placed_at=act.at, note="")
        _audit(tx, companion, "there", act)
    return Acted(file, done=True)


def again(ports: ActPorts, name: str, actor: Actor, why: str = "") -> Acted:
    """It never came, say two people, because an acquirer that sees it twice may take its file twice."""
    with ports.ledger.begin() as tx:
        file, companion, act = _look(tx, ports, name, "companion_again", actor, why)
        first = proposal(tx, act)
        if first is None:
            record(tx, act, PROPOSED)
            _audit(tx, companion, "again_proposed", act)
            return Acted(file, done=False)
        record(tx, act, agrees_with=first.id, proposed_by=first.actor)
        tx.companions.change(companion, state="due", next_attempt_at=None, note="")
        _audit(tx, companion, "again", act)
    return Acted(file, done=True)


def _look(
    tx: Transaction, ports: ActPorts, name: str, verb: str, actor: Actor, why: str
) -> tuple[OutboundFile, Companion, Act]:
    file = find_file(tx, name)
    companion = tx.companions.get(file.file_id)
    if companion is None or companion.state != "doubtful" or not is_owed(companion, file):
        state = "none" if companion is None else companion.state.replace("_", " ")
        raise NotAllowed(
            f"file {file.name}: {verb.replace('_', '-')} is for a marker or checksum file in doubt; here it is: {state}",
            next_step="`tieout file NAME show` says what lies beside the file; what is due is tried again by itself.",
        )
    return file, companion, Act(file.file_id, verb, companion.revision, actor, why, ports.clock.now())


def _audit(tx: Transaction, companion: Companion, fact: str, act: Act) -> None:
    body: dict[str, Any] = {"name": companion.name, "revision": act.revision, "verified": act.actor.verified}
    tx.audit.append(file_chain(companion.file_id), f"{companion.kind}_{fact}", body, actor=act.actor.name)
