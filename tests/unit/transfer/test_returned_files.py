"""Files whose payments come back: cancelled and replaced, refused and sent again, stopped or rerouted on the way."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from payments.states import FileState
from tests.unit.transfer.assemble_world import TODAY, AssembleWorld, Pay, acquirer, refuse, take_back


def test_a_cancelled_file_is_replaced_under_its_number_with_the_newest_versions(tmp_path: Path) -> None:
    """The replacement has number and date of the file that never left, its changed payment new, its stopped one gone."""
    world = AssembleWorld(tmp_path)
    world.run(*[Pay(key) for key in "abcd"])
    world.assemble()
    world.run(Pay("b", version=2, minor=999), Pay("c", stopped=True))
    world.assemble()
    assert set(world.mismatches().values()) == {("changed_after_sealed", "open"), ("recall_needed", "open")}
    world.next_day()
    take_back(world, world.files()[0])
    world.run(Pay("e"))
    world.assemble()
    old, new, other = world.files()
    assert (old.state, old.returned_in) == (FileState.CANCELLED, 3)
    assert (new.sequence, new.business_date, new.generation, new.replaces) == (1, TODAY, 2, old.file_id)
    assert world.payments_of(new) == {"a", "b", "d"}
    assert b"9.99" in world.outbound(new)
    assert (other.sequence, other.business_date) == (2, TODAY + timedelta(days=1))
    assert world.outcomes(3)["b"] == ["superseded", "assigned"]
    assert world.outcomes(3)["c"] == ["superseded"]
    assert {state for _, state in world.mismatches().values()} == {"closed_by_late_result"}
    world.check_books()


def test_the_number_of_a_cancelled_file_without_successor_goes_to_the_next_file(tmp_path: Path) -> None:
    """When nothing of a cancelled file is left to send, a file of the very same assembly takes its number: no hole."""
    world = AssembleWorld(tmp_path)
    world.run(Pay("a"))
    world.assemble()
    world.run(Pay("a", stopped=True))
    world.assemble()
    take_back(world, world.files()[0])
    world.run(Pay("b"))
    world.assemble()
    old, new = world.files()
    assert (old.sequence, new.sequence, new.replaces) == (1, 1, "")
    assert world.payments_of(new) == {"b"}
    assert new.name == "north_20260302_000001_1.csv"


def test_a_returned_payment_that_now_goes_elsewhere_takes_no_number_along(tmp_path: Path) -> None:
    """A number belongs to one acquirer: a payment routed anew is in an ordinary file of the other acquirer."""
    world = AssembleWorld(tmp_path, acquirer(), acquirer("south", sequence_first=50))
    world.run(Pay("a"), Pay("b"))
    world.assemble()
    world.run(Pay("b", version=2, acquirer="south"))
    world.assemble()
    take_back(world, world.files()[0])
    world.assemble()
    old, new, south = world.files()
    assert (new.acquirer, new.sequence, new.replaces) == ("north", 1, old.file_id)
    assert (south.acquirer, south.sequence, south.replaces) == ("south", 50, "")
    assert (world.payments_of(new), world.payments_of(south)) == ({"a"}, {"b"})
    world.check_books()


def test_a_refused_file_goes_again_under_a_new_number(tmp_path: Path) -> None:
    """A redelivery is a new file with today's date and the next number; the refused number is never used again."""
    world = AssembleWorld(tmp_path)
    world.run(Pay("a"), Pay("b"))
    world.assemble()
    refuse(world, world.files()[0])
    world.next_day()
    world.assemble()
    old, new = world.files()
    assert (old.sequence, new.sequence, new.generation) == (1, 2, 2)
    assert new.business_date == TODAY + timedelta(days=1)
    assert world.payments_of(new) == {"a", "b"}
    assert world.outcomes(2) == {"a": ["assigned"], "b": ["assigned"]}
    world.check_books()


def test_a_stopped_payment_of_a_refused_file_is_not_sent_again(tmp_path: Path) -> None:
    """What the source stopped while a file was out stays stopped when the file goes again; un-stopped it goes."""
    world = AssembleWorld(tmp_path)
    world.run(Pay("a"), Pay("b"), Pay("c"))
    world.assemble()
    world.run(Pay("b", stopped=True), Pay("c", stopped=True))
    world.assemble()
    world.run(Pay("c"))
    world.assemble()
    refuse(world, world.files()[0])
    world.assemble()
    assert world.payments_of(world.files()[-1]) == {"a", "c"}
    world.check_books()


def test_a_payment_that_came_back_and_was_stopped_may_be_sent_later(tmp_path: Path) -> None:
    """Having once been in a file whose rows went back is no assignment: the same content may be sent when un-stopped."""
    world = AssembleWorld(tmp_path)
    world.run(Pay("a"), Pay("b"))
    world.assemble()
    take_back(world, world.files()[0])
    world.run(Pay("a", stopped=True))
    world.assemble()
    assert world.outcomes(2) == {"a": ["superseded", "withdrawn"], "b": ["assigned"]}
    world.run(Pay("a"))
    world.assemble()
    assert world.outcomes(3) == {"a": ["assigned"]}
    assert world.mismatches() == {}
    world.check_books()


def test_a_returned_payment_that_has_to_wait_is_sent_on_its_day(tmp_path: Path) -> None:
    """A row that comes back and is too early by now goes to the pool, and from there into a file, not into oblivion."""
    world = AssembleWorld(tmp_path, acquirer(send_ahead_days=5))
    world.run(Pay("a", day=TODAY + timedelta(days=3)))
    world.assemble()
    refuse(world, world.files()[0])
    world.configuration = AssembleWorld(tmp_path / "other").configuration
    world.assemble()
    assert world.outcomes(2) == {"a": ["unassigned:future_dated"]}
    world.next_day(3)
    world.assemble()
    assert world.outcomes(3) == {"a": ["assigned"]}
    world.check_books()
