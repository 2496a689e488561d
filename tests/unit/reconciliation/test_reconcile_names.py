"""Which file a result means: by reference alone, and by a name that was used again."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.reconciliation.reconcile_texts import Pay, Say, pain002, results, say
from tests.unit.reconciliation.reconcile_world import PAIN, SIX, World

A, B, C = Pay("A"), Pay("B", 200, "USD", "DBIT"), Pay("C", 3)
ABC = [A, B, C]
ALL = [say(each) for each in ABC]


def test_results_without_a_name_find_their_file_by_reference(make: Callable[..., World]) -> None:
    """Each event goes to the only file ever delivered that holds its reference; the others are unknown to us."""
    world = make(results=PAIN)
    one, two = world.send([A], sequence=1), world.send([B, C], sequence=2, window="w2")
    world.take("x.xml", pain002(None, [*ALL, Say("D")]))
    assert [world.file(each).matched.count for each in (one, two)] == [1, 2]
    assert [each for each in world.kinds() if not each.startswith("file_unreadable")] == ["unknown_to_us D"]


def test_results_without_a_name_after_a_redelivery_are_ambiguous(make: Callable[..., World]) -> None:
    """Two files with this reference had left when the result came: it belongs to neither, and is not lost."""
    world = make(results=PAIN)
    old = world.send([A, B], state="not_received", returned_in=2, delivered_at=SIX)
    world.clock.later()
    new = world.send([A], window="another", sequence=7)
    world.take("x.xml", pain002(None, [say(A), say(B)]))
    kinds = [each for each in world.kinds() if not each.startswith("file_unreadable")]
    assert kinds == ["ambiguous_match A", "settled_after_redelivery B"]
    assert (world.counts(new), world.file(old).matched.count) == ((0, 0, 1), 1)
    assert world.statement().incoming["ambiguous"] == 1


def test_results_from_before_a_redelivery_mean_the_file_that_had_left_by_then(make: Callable[..., World]) -> None:
    """A successor that is planned, or left only afterwards, takes no event from the file that was meant."""
    world = make(results=PAIN)
    old = world.send([A])
    heard = world.collect("x.xml", pain002(None, [say(A)]))
    world.clock.later()
    new = world.send([A], window="another", sequence=7)
    world.work()
    assert (world.counts(old), world.counts(new)) == ((1, 0, 0), (0, 0, 1))
    world.take("y.xml", pain002(old.file_id, [say(A, "ACCC")], at="2026-03-02T09:00:00Z"))
    assert (world.counts(old), world.result(heard).reconciled) == ((1, 0, 0), True)


def test_a_sealed_successor_makes_nothing_ambiguous(make: Callable[..., World]) -> None:
    """A file that has not left cannot be meant while another that has left holds the reference."""
    world = make(results=PAIN)
    old = world.send([A])
    sealed = world.send([A], window="another", sequence=7, state="sealed")
    world.take("x.xml", pain002(None, [say(A)]))
    assert (world.counts(old), world.file(sealed).held) == ((1, 0, 0), "")


def test_a_name_that_was_used_again_means_the_file_that_had_left(world: World) -> None:
    """By name alone: what came before the successor left is about its predecessor, what came after about the successor."""
    old = world.send([A], name="fixed.csv")
    text = results(old, [say(A)]).replace(old.file_id, "")
    world.collect("one", text)
    world.clock.later()
    new = world.send([A], name="fixed.csv", generation=2)
    world.work()
    assert (world.counts(old), world.counts(new)) == ((1, 0, 0), (0, 0, 1))
    world.take("two", text.replace(",1\n", ",2\n"))
    assert (world.counts(old), world.counts(new)) == ((1, 0, 0), (1, 0, 0))


def test_a_name_that_waits_to_be_used_again_means_the_file_that_has_left(world: World) -> None:
    """A successor that is sealed and has not left by then is not meant, whatever its generation."""
    old, new = world.send([A], name="fixed.csv"), world.send([A], name="fixed.csv", generation=2, state="sealed")
    world.take("one", results(old, [say(A)]).replace(old.file_id, ""))
    assert (world.counts(old), world.counts(new), world.file(new).held) == ((1, 0, 0), (0, 0, 1), "")


def test_each_event_without_a_name_is_placed_by_its_own_reference(make: Callable[..., World]) -> None:
    """One belongs to a file that has left though a sealed one holds it too; the other only to the sealed one: held."""
    world = make(results=PAIN)
    old, sealed = world.send([A]), world.send([A, C], window="another", sequence=7, state="sealed")
    world.take("x.xml", pain002(None, [say(A), say(C)]))
    assert (world.counts(old), world.counts(sealed)) == ((1, 0, 0), (1, 0, 1))
    assert "acquirer speaks of this file" in world.file(sealed).held


def test_a_file_that_was_planned_later_is_never_meant(make: Callable[..., World]) -> None:
    """The doubtful file was given up and its payments planned anew when the old result is read: it means the old one."""
    world = make(results=PAIN)
    old = world.send([A], state="not_received", returned_in=2, delivered_at=None)
    world.collect("x.xml", pain002(None, [say(A)]))
    world.clock.later()
    world.send([A], window="another", sequence=7, state="sealed")
    world.work()
    assert (world.kinds(), world.file(old).matched.count) == (["settled_after_redelivery A"], 1)
