"""A file of which nothing was placed and of which the acquirer speaks all the same: held, until two people say that nothing is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from payments.acting import Actor
from payments.errors import NotAllowed
from payments.records import OutboundFile
from payments.states import SPOKEN_HOLD
from tests.unit.reconciliation.reconcile_texts import ack
from tests.unit.transfer.assemble_world import Pay
from tests.unit.transfer.redeliver_world import ANNA, BEN, RedeliverWorld
from transfer.acts import ActPorts, cancel, not_received, nothing_there, redeliver, release


@pytest.fixture
def world(tmp_path: Path) -> RedeliverWorld:
    """One sealed file with two payments that never left."""
    made = RedeliverWorld(tmp_path)
    made.run(Pay("a"), Pay("b"))
    made.assemble()
    return made


def ports(world: RedeliverWorld) -> ActPorts:
    return ActPorts(world.ledger, world.clock)


def acknowledged(world: RedeliverWorld, file: OutboundFile) -> OutboundFile:
    world.take_text(ack(file))
    world.reconcile()
    return world.again(file)


def answered(world: RedeliverWorld, file: OutboundFile) -> OutboundFile:
    """Two people say that nothing is there, and what was said is folded again."""
    assert not nothing_there(ports(world), file.file_id, ANNA).done
    assert nothing_there(ports(world), file.file_id, BEN).done
    with pytest.raises(NotAllowed, match="are not read yet"):
        redeliver(ports(world), file.file_id, ANNA)
    world.reconcile()
    return world.again(file)


def sent_again(world: RedeliverWorld, file: OutboundFile) -> OutboundFile:
    assert not redeliver(ports(world), file.file_id, ANNA).done
    assert redeliver(ports(world), file.file_id, BEN).done
    world.assemble()
    return world.files()[-1]


def test_two_people_lead_out_of_it(world: RedeliverWorld) -> None:
    """Release, cancel and redeliver are refused and point to the act; after it, the payments go in a new file, once."""
    file = acknowledged(world, world.files()[0])
    assert (file.state, file.held.startswith(SPOKEN_HOLD)) == ("sealed", True)
    for act in (release, cancel):
        with pytest.raises(NotAllowed, match="the acquirer speaks of it") as caught:
            act(ports(world), file.file_id, ANNA)
        assert "nothing-there" in caught.value.next_step
    for act in (redeliver, not_received):
        with pytest.raises(NotAllowed, match="is sealed") as caught:
            act(ports(world), file.file_id, ANNA)
        assert "nothing-there" in caught.value.next_step
    file = answered(world, file)
    assert (file.state, file.held, file.note) == ("not_received", "", "the acquirer has nothing of it, says ben")
    new = sent_again(world, file)
    world.deliver()
    assert (new.sequence, world.again(new).state) == (file.sequence + 1, "delivered")
    world.check()


def test_what_it_calls_settled_is_an_alarm_and_does_not_go_again(world: RedeliverWorld) -> None:
    """The results named one payment settled: two people may say what they want, that one stays behind, the other goes."""
    file = world.files()[0]
    world.said(file, {"a": "ACSC"})
    file = answered(world, world.again(file))
    assert world.open_kinds() == ["settled_after_redelivery a 1"]
    new = sent_again(world, file)
    assert world.expected(new)["end_to_end_id"].to_pylist() == ["REF-b"]
    world.check()


def test_a_later_word_is_not_answered_by_it(world: RedeliverWorld) -> None:
    """Another result file about it before the payments went back: redelivery is refused until two people answer that as well."""
    file = answered(world, acknowledged(world, world.files()[0]))
    world.take_text(ack(file, "ACCP"))
    world.reconcile()
    with pytest.raises(NotAllowed, match="the acquirer speaks of it") as caught:
        redeliver(ports(world), file.file_id, ANNA)
    assert "nothing-there" in caught.value.next_step
    sent_again(world, answered(world, file))
    world.check()


def test_it_takes_two_known_people_and_everything_read(world: RedeliverWorld) -> None:
    """Nobody unverified, nobody twice; not while results are unread; not of a file that nobody speaks of."""
    file = world.files()[0]
    with pytest.raises(NotAllowed, match="nothing that the acquirer said of it waits"):
        nothing_there(ports(world), file.file_id, ANNA)
    acknowledged(world, file)
    with pytest.raises(NotAllowed, match="unverified"):
        nothing_there(ports(world), file.file_id, Actor("someone", verified=False))
    assert not nothing_there(ports(world), file.file_id, ANNA).done
    with pytest.raises(NotAllowed, match="a different person must agree"):
        nothing_there(ports(world), file.file_id, ANNA)
    unread = world.take_text(ack(file, "ACCP"))
    with pytest.raises(NotAllowed, match="are not read yet"):
        nothing_there(ports(world), file.file_id, BEN)
    world.reconcile()
    assert unread
    assert not nothing_there(ports(world), file.file_id, BEN).done, "what was proposed is another set of results"
    assert world.again(file).state == "sealed"
