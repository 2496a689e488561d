"""T10: the clock stood behind when results were collected, so they seem older than the files they speak of."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from payments.acting import Actor
from payments.errors import NotAllowed
from payments.keys import file_id
from payments.records import OutboundFile, ResultFile
from tests.unit.reconciliation.reconcile_texts import Pay, ack, pain002, results, say
from tests.unit.reconciliation.reconcile_world import DAY, PAIN, World
from transfer.acts import ActPorts, not_received

A, B, C = Pay("A"), Pay("B", 200, "USD", "DBIT"), Pay("C", 3)
ANNA = Actor("anna", verified=True)
NAMES = ["id", "name", "number"]


def by(file: OutboundFile, name: str, text: str) -> str:
    """The text with this as its only, or its strongest, name of the file."""
    without = {"id": text, "name": text.replace(file.file_id, "")}
    return without.get(name) or text.replace(file.file_id, "").replace(file.name, "")


def set_back(world: World, seconds: int) -> None:
    world.clock.at -= timedelta(seconds=seconds)


def look_again(world: World, *taken: ResultFile) -> None:
    """A pass that sees these results as if it were the first one."""
    found = [world.result(each) for each in taken]
    with world.sql.begin() as tx:
        for each in found:
            tx.results.change(each, reconciled=False)
    world.work()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [300, 900, 86400])
@pytest.mark.parametrize("state", ["delivered", "in_doubt"])
def test_answers_that_seem_older_than_their_file_are_about_it(
    world: World, state: str, seconds: int, name: str
) -> None:
    """Acknowledgement and result are evidence as ever, by whatever they name the file, and read again they mean the same."""
    sent = world.send([A, B], state=state)
    set_back(world, seconds)
    first = world.take("f.ack", by(sent, name, ack(sent)))
    assert (world.file(sent).state, world.kinds()) == ("acknowledged", [])
    second = world.take("f.result.1", by(sent, name, results(sent, [say(A), say(B)])))
    look_again(world, first, second)
    assert (world.file(sent).state, world.counts(sent), world.kinds()) == ("reconciled", (2, 0, 0), [])


def test_answers_without_any_name_find_a_younger_file_by_reference(make: Callable[..., World]) -> None:
    """Where no file was there that holds the reference, it belongs to the oldest that does."""
    world = make(results=PAIN)
    one = world.send([A])
    world.clock.later()
    two = world.send([A, B], sequence=2)
    set_back(world, 900)
    world.take("x.xml", pain002(None, [say(A), say(B)]))
    assert [world.counts(each) for each in (one, two)] == [(1, 0, 0), (1, 0, 1)]
    assert [each for each in world.kinds() if not each.startswith("file_unreadable")] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_the_acquirer_has_told_of_is_not_said_to_be_missing(world: World, name: str) -> None:
    """An answer that came while the clock was behind forbids `not_received`, and so a second delivery."""
    sent = world.send([A, B])
    set_back(world, 900)
    world.take("f.result.1", by(sent, name, results(sent, [say(A)])))
    assert world.file(sent).state == "delivered"
    with pytest.raises(NotAllowed, match="the acquirer speaks of it"):
        not_received(ActPorts(world.ledger, world.clock), sent.file_id, ANNA)


def test_what_contradicts_a_file_does_so_while_the_clock_is_behind(world: World) -> None:
    """No times excuse a word about something else than we sent."""
    sent = world.send([A, B], state="in_doubt")
    set_back(world, 900)
    bad = world.take("f.ack", ack(sent).replace("AK,ACTC,2,", "AK,ACTC,3,"))
    assert (world.file(sent).state, world.kinds()) == ("in_doubt", ["count_differs"])
    assert world.result(bad).disputed != ""


def test_a_name_that_was_used_again_means_the_file_that_had_left_by_a_clock_set_back(world: World) -> None:
    """Planned before the clock was set back, delivered behind it: its times are in order again when its answer comes."""
    old = world.send([A], name="fixed.csv")
    world.clock.later(30)
    planned_at = world.clock.now()
    set_back(world, 900)
    new = world.send([A], name="fixed.csv", generation=2)
    with world.sql.begin() as tx:
        tx.files.change(new, created_at=planned_at)
    world.take("f.result.1", by(new, "name", results(new, [say(A)])))
    assert [world.counts(each) for each in (old, new)] == [(0, 0, 1), (1, 0, 0)]


@pytest.mark.parametrize("name", NAMES)
def test_what_was_unknown_once_stays_unknown_when_it_is_read_again(world: World, name: str) -> None:
    """A result of no file of ours is not claimed by one that is planned later, however often it is looked at."""
    known = world.send([A])
    stray = by(known, name, results(known, [say(B)]))
    identity = {"id": known.file_id, "name": known.name, "number": ",1,"}
    coming = {"id": file_id("northbank", DAY, "w1", 2, 1), "name": "fixed.csv", "number": ",2,"}
    stray = stray.replace(identity[name], coming[name], 1)
    taken = world.take("stray", stray)
    assert world.kinds() == ["unknown_to_us B"]
    world.clock.later()
    world.send([B], sequence=2, name="fixed.csv")
    look_again(world, taken)
    assert world.kinds() == ["unknown_to_us B"]


def test_any_order_of_answers_under_a_clock_set_back_comes_to_the_same(
    make: Callable[..., World], tmp_path: Path
) -> None:
    """Two files, four answers, each read again once: whatever comes first, the ledger's facts are the same."""
    found = []
    for order in itertools.permutations(range(4)):
        world = make()
        one, two = world.send([A, B]), world.send([C], sequence=2, state="in_doubt")
        set_back(world, 900)
        texts = [
            by(one, "name", ack(one)),
            by(one, "number", results(one, [say(A), say(B)])),
            ack(two),
            by(two, "name", results(two, [say(C)])),
        ]
        taken = [world.collect(f"{place}", text) for place, text in enumerate(texts)]
        for place in order:
            world.read(taken[place])
            world.reconcile()
        look_again(world, *taken)
        assert [world.file(each).state for each in (one, two)] == ["reconciled", "reconciled"]
        assert world.kinds() == []
        found.append(str(world.facts()))
    assert len(set(found)) == 1
