"""Acts of people on outbound files: who may do what in which state, and what stays when two people must agree (four eyes)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from payments.acting import Actor
from payments.errors import Busy, NotAllowed
from payments.keys import file_chain, mismatch_id
from payments.records import Mismatch, ResultBooks, ResultFile, Sighting
from payments.states import FILE_TRANSITIONS, FileState
from runtime.ledger.audit import audit_records
from tests.unit.transfer.assemble_world import START, TODAY
from tests.unit.transfer.deliver_world import DeliverWorld
from transfer.acts import ALLOWED, ActPorts, cancel, find_file, hold, not_received, nothing_there, redeliver, release

ANNA, BEN, NOBODY = Actor("anna", verified=True), Actor("ben", verified=True), Actor("someone", verified=False)
VERBS = {
    "hold": hold,
    "release": release,
    "cancel": cancel,
    "redeliver": redeliver,
    "not_received": not_received,
    "nothing_there": nothing_there,
}


@pytest.fixture
def world(tmp_path: Path) -> DeliverWorld:
    return DeliverWorld(tmp_path)


def ports(world: DeliverWorld) -> ActPorts:
    return ActPorts(world.ledger, world.clock)


def decisions(world: DeliverWorld) -> list[tuple[str, str, str]]:
    with world.ledger.begin() as tx:
        return [(each.act, each.actor, each.detail["step"]) for each in tx.decisions.find(order="decided_at")]


def audited(world: DeliverWorld) -> list[tuple[str, str]]:
    with world.engine.connect() as connection:
        return [(each.act, each.actor) for each in audit_records(connection, file_chain(world.file().file_id))]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", FileState)
def test_an_act_is_refused_in_every_state_but_its_own(world: DeliverWorld, verb: str, state: FileState) -> None:
    """No act is possible outside its states; the refusal names file, state and a next step, and leaves no trace."""
    world.change(1, state=str(state), held="limit: x" if verb == "release" else "")
    before = world.file()
    if verb == "nothing_there":
        with world.ledger.begin() as tx:
            tx.result_books.add(ResultBooks(before.acquirer, "ab" * 32, before.file_id))
    if state in ALLOWED[verb]:
        VERBS[verb](ports(world), before.name, ANNA)
        assert decisions(world)
        return
    with pytest.raises(NotAllowed, match=f"{before.name} is {state}") as caught:
        VERBS[verb](ports(world), before.name, ANNA)
    assert caught.value.next_step
    assert (world.file(), decisions(world), audited(world)) == (before, [], [])


@pytest.mark.parametrize(("verb", "state"), [("cancel", FileState.CANCELLED), ("not_received", FileState.NOT_RECEIVED)])
def test_the_acts_follow_the_published_transitions(verb: str, state: FileState) -> None:
    """Every state that allows an act has the transition that the act makes."""
    assert all(state in FILE_TRANSITIONS[old] for old in ALLOWED[verb])


def test_a_held_file_stays_until_a_different_person_releases_it(world: DeliverWorld) -> None:
    """What a person held does not leave; the same person cannot release it, another can, and then it leaves at once."""
    world.change(1, next_attempt_at=START.replace(hour=23))
    hold(ports(world), world.file().name, ANNA, "looks odd")
    world.later()
    world.deliver()
    assert (world.states(), world.server.uploads) == (["sealed"], [])
    with pytest.raises(NotAllowed, match="a different person must release it"):
        release(ports(world), world.file().name, ANNA)
    with pytest.raises(NotAllowed, match="unverified"):
        release(ports(world), world.file().name, NOBODY)
    with pytest.raises(NotAllowed, match="is held already"):
        hold(ports(world), world.file().name, BEN)
    release(ports(world), world.file().name, BEN)
    with pytest.raises(NotAllowed, match="is not held"):
        release(ports(world), world.file().name, BEN)
    world.deliver()
    assert world.states() == ["delivered"]
    assert decisions(world) == [("hold", "anna", "done"), ("release", "ben", "done")]
    assert audited(world)[:2] == [("held", "anna"), ("released", "ben")]


def test_a_limit_is_answered_by_one_person(world: DeliverWorld) -> None:
    """The service held it, so any person is the second one."""
    world.change(1, held="limit: 3 payments, at most 2")
    release(ports(world), world.file().name, ANNA)
    assert world.file().held == ""


def test_a_file_that_cannot_be_written_is_not_released(world: DeliverWorld) -> None:
    """Nobody can release a file without bytes: the refusal says to correct the payment and to cancel."""
    world.change(1, state="planned", held="cannot be written: payment x: a debit")
    with pytest.raises(NotAllowed, match="cannot be written") as caught:
        release(ports(world), world.file().name, ANNA)
    assert "cancel" in caught.value.next_step
    assert cancel(ports(world), world.file().name, ANNA).file.state == "cancelled"


def test_a_cancelled_file_does_not_leave_and_binds_nobody(world: DeliverWorld) -> None:
    """One person takes back what never left: it is not sent, and what the source changed since is no mismatch any more."""
    file = world.file()
    ids = {
        kind: mismatch_id("source", file.file_id, kind)
        for kind in ("changed_after_sealed", "recall_needed", "approved")
    }
    with world.ledger.begin() as tx:
        rows = [
            Mismatch(
                identity, "north", TODAY, kind.replace("approved", "recall_needed"), "open", START, START, file.file_id
            )
            for kind, identity in ids.items()
        ]
        rows[2] = replace(rows[2], state="approved")
        tx.replace_mismatches(rows, [])
    cancel(ports(world), file.name, ANNA, "wrong day")
    world.deliver()
    assert (world.states(), world.server.uploads) == (["cancelled"], [])
    with world.ledger.begin() as tx:
        states = {kind: found.state for kind, identity in ids.items() if (found := tx.mismatches.get(identity))}
    assert states == {
        "changed_after_sealed": "closed_by_late_result",
        "recall_needed": "closed_by_late_result",
        "approved": "approved",
    }


def test_a_cancelled_file_is_asked_back_by_one_person_once(world: DeliverWorld) -> None:
    """Its payments never left, so one person suffices; asked a second time nothing happens twice."""
    cancel(ports(world), world.file().name, ANNA)
    acted = redeliver(ports(world), world.file().file_id, ANNA)
    assert (acted.done, acted.file.returned_in) == (True, 0)
    for actor in (ANNA, BEN):
        with pytest.raises(NotAllowed, match="taken back already, by the next assembly"):
            redeliver(ports(world), world.file().name, actor)
    world.change(1, returned_in=7)
    with pytest.raises(NotAllowed, match="in assembly 7"):
        redeliver(ports(world), world.file().name, BEN)


@pytest.mark.parametrize(
    ("verb", "state", "after"),
    [
        ("redeliver", "refused", ("refused", 0)),
        ("redeliver", "not_received", ("not_received", 0)),
        ("not_received", "in_doubt", ("not_received", None)),
        ("not_received", "delivered", ("not_received", None)),
    ],
)
def test_what_could_pay_twice_needs_two_different_people(
    world: DeliverWorld, verb: str, state: str, after: tuple[str, int | None]
) -> None:
    """The first asks and nothing changes; the same person again and an unknown one are refused; a second person does it."""
    world.change(1, state=state)
    act, before = VERBS[verb], world.file()
    assert not act(ports(world), before.name, ANNA, "lost").done
    assert world.file() == before
    with pytest.raises(NotAllowed, match=r"'anna' asked for this .* already: a different person must agree"):
        act(ports(world), before.name, ANNA)
    with pytest.raises(NotAllowed, match="unverified"):
        act(ports(world), before.name, NOBODY)
    assert world.file() == before
    assert act(ports(world), before.name, BEN).done
    assert (world.file().state, world.file().returned_in) == after
    assert decisions(world) == [(verb, "anna", "proposed"), (verb, "ben", "done")]
    assert [actor for _, actor in audited(world)] == ["anna", "ben"]
    with pytest.raises(NotAllowed):
        act(ports(world), before.name, ANNA)


@pytest.mark.parametrize("verb", ["redeliver", "not_received"])
def test_a_proposal_falls_when_the_file_changes(world: DeliverWorld, verb: str) -> None:
    """A proposal is for the file as it was: after any change two people must ask again."""
    state = "refused" if verb == "redeliver" else "in_doubt"
    world.change(1, state=state)
    VERBS[verb](ports(world), world.file().name, ANNA)
    world.change(1, note="something came in")
    assert not VERBS[verb](ports(world), world.file().name, BEN).done
    assert VERBS[verb](ports(world), world.file().name, ANNA).done


@pytest.mark.parametrize(
    ("verb", "state"),
    [("cancel", "sealed"), ("release", "sealed"), ("not_received", "in_doubt"), ("redeliver", "not_received")],
)
@pytest.mark.parametrize("evidence", ["named", "unread", "coming"])
def test_nothing_is_sent_again_while_the_acquirer_speaks_of_it(
    world: DeliverWorld, verb: str, state: str, evidence: str
) -> None:
    """A result that names the file, or may, forbids every act after which its payments could be sent twice."""
    world.change(1, state=state, held="the acquirer speaks of it" if verb == "release" else "")
    file = world.file()
    with world.ledger.begin() as tx:
        match evidence:
            case "named":
                tx.result_books.add(ResultBooks("north", "a" * 64, file.file_id))
            case "unread":
                tx.results.add(ResultFile("north", "a" * 64, "x.ack", "k", TODAY, 1, START, "collected"))
            case _:
                tx.sightings.add(Sighting("north", "x.ack", 1, 0, "fetching"))
    with pytest.raises(NotAllowed, match=r"the acquirer speaks of it|may name it"):
        VERBS[verb](ports(world), file.name, ANNA)
    assert world.file() == file


def test_a_file_is_found_by_name_or_id(world: DeliverWorld) -> None:
    """A name that several files have is refused with their ids; an unknown one is said to be unknown."""
    file = world.file()
    twin = replace(world.planned(1, generation=2), name=file.name)
    world.seal(twin)
    with world.ledger.begin() as tx:
        assert find_file(tx, twin.file_id).generation == 2
        with pytest.raises(NotAllowed, match="2 outbound files are called") as caught:
            find_file(tx, file.name)
        assert file.file_id in caught.value.next_step
        with pytest.raises(NotAllowed, match="there is no outbound file"):
            find_file(tx, "nothing")


def test_two_people_in_the_same_moment_do_it_once(world: DeliverWorld) -> None:
    """An act on a file that changed meanwhile changes nothing: the record of the first stands."""
    file = world.file()
    cancel(ports(world), file.name, ANNA)
    with pytest.raises(Busy), world.ledger.begin() as tx:
        tx.files.change(file, state="delivering")
    with pytest.raises(NotAllowed, match="is cancelled"):
        cancel(ports(world), file.name, BEN)


def test_a_reason_stays_out_of_the_audit_chain(world: DeliverWorld) -> None:
    """What people type is kept with the decision, cut to its limit, and never in the chain that nobody can correct (I7)."""
    hold(ports(world), world.file().name, ANNA, "Jane Doe DE89370400440532013000 " * 40)
    with world.ledger.begin() as tx:
        (decision,) = tx.decisions.find()
    assert len(decision.detail["why"]) == 500
    with world.engine.connect() as connection:
        assert all("Jane" not in each.body for each in audit_records(connection))


def test_payments_of_a_file_that_never_arrived_are_not_missing_any_more(world: DeliverWorld) -> None:
    """When two people say that a file was not received, missing_at_acquirer of its payments closes and says why."""
    world.change(1, state="delivered")
    file = world.file()
    missing = Mismatch(
        id=mismatch_id("payment", file.file_id, "p"),
        acquirer=file.acquirer,
        business_date=TODAY,
        kind="missing_at_acquirer",
        state="open",
        opened_at=START,
        updated_at=START,
        file_id=file.file_id,
        payment_id="p",
    )
    with world.ledger.begin() as tx:
        tx.replace_mismatches([missing], [])
    assert not not_received(ports(world), file.name, ANNA).done
    with world.ledger.begin() as tx:
        assert tx.mismatches.get(missing.id) == missing
    assert not_received(ports(world), file.name, BEN).done
    with world.ledger.begin() as tx:
        found = tx.mismatches.get(missing.id)
    assert found is not None
    assert (found.state, found.detail["closed"]) == ("closed_by_late_result", "the acquirer never received the file")
