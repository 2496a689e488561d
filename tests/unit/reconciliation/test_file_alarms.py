"""Alarms about whole files: sequence gaps both ways, holes in result numbers, markers of sets, names used twice, lateness."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from payments.config_results import Results
from payments.config_windows import Calendar
from payments.expected_results import due_times, owed
from payments.records import OutboundFile, Sighting
from tests.unit.reconciliation.reconcile_texts import Pay, ack, results, say
from tests.unit.reconciliation.reconcile_world import DUE, SIX, World

A, B, C = (Pay(name, minor) for name, minor in (("A", 100), ("B", 250), ("C", 1)))


def told(file: OutboundFile, following: int, status: str = "ACTC", at: str = "2026-03-02T06:01:00Z") -> str:
    """An acknowledgement that expects another number next than the usual one."""
    return ack(file, status, at=at).replace(f",{file.sequence + 1}\nAT", f",{following}\nAT")


@pytest.mark.parametrize(("following", "why"), [(4, "counts a file that never left"), (1, "misses an earlier file")])
def test_a_gap_in_the_numbers_is_an_alarm_until_an_acknowledgement_fits(world: World, following: int, why: str) -> None:
    """Both ways: the acquirer counts a number that never left, or still waits for one before."""
    first, second = world.send([A], sequence=1), world.send([B], sequence=2)
    world.take("1.ack", ack(first))
    assert world.kinds() == []
    world.take("2.ack", told(second, following))
    assert world.kinds() == ["sequence_gap"]
    assert why in world.mismatches()[0].detail["why"]
    third = world.send([C], sequence=3)
    world.take("3.ack", ack(third))
    assert world.kinds() == []


@pytest.mark.parametrize("following", [2, 3])
def test_numbers_of_files_that_left_meanwhile_are_no_gap(world: World, following: int) -> None:
    """The acknowledgement of the first file may be written before or after the second one arrived."""
    first = world.send([A], sequence=1)
    world.send([B], sequence=2)
    world.take("1.ack", told(first, following))
    assert world.kinds() == []


def test_a_refused_file_leaves_the_acquirer_waiting_for_its_number(world: World) -> None:
    """Its own number comes next, and that is no gap."""
    first = world.send([A], sequence=1)
    world.take("1.ack", told(first, 1, "RJCT"))
    assert world.kinds() == ["file_refused"]


def test_a_file_that_never_left_is_not_counted_as_sent(world: World) -> None:
    """A sealed file is none that the acquirer may count."""
    first = world.send([A], sequence=1)
    world.send([B], sequence=2, state="sealed")
    world.take("1.ack", told(first, 3))
    assert world.kinds() == ["sequence_gap"]


@pytest.mark.parametrize(("following", "kinds"), [(3, []), (4, ["sequence_gap"])])
def test_a_clock_set_back_makes_no_gap_and_hides_none(world: World, following: int, kinds: list[str]) -> None:
    """The acknowledgement seems older than the file it speaks of: then no time tells which files had left."""
    world.send([A], sequence=1)
    world.clock.later(30)
    second = world.send([B], sequence=2)
    world.clock.at -= timedelta(minutes=15)
    world.take("2.ack", told(second, following))
    assert world.kinds() == kinds


def test_without_strict_order_an_earlier_number_may_still_be_on_its_way(make: Callable[..., World]) -> None:
    """`sequence = free`: files arrive in any order, so only a number that never left is a gap."""
    world = make(sequence="free")
    world.send([A], sequence=1)
    second = world.send([B], sequence=2)
    world.take("2.ack", told(second, 1))
    assert world.kinds() == []
    world.take("2b.ack", told(second, 9, at="2026-03-02T06:02:00Z"))
    assert world.kinds() == ["sequence_gap"]


def test_a_hole_in_the_numbers_of_results_is_a_missing_file_once_they_are_due(world: World) -> None:
    """Results 1 and 3 without 2: an alarm at the due time, which ends when 2 comes."""
    sent = world.send([A, B, C])
    world.take("f.result.1", results(sent, [say(A)], n=1))
    world.take("f.result.3", results(sent, [say(C)], n=3, at="2026-03-02T07:10:00Z"))
    assert world.kinds() == []
    world.wait_until_due()
    assert world.kinds() == ["file_missing", "missing_at_acquirer B"]
    (alarm,) = [each for each in world.mismatches() if each.kind == "file_missing"]
    assert (alarm.detail["numbers"], alarm.detail["name"]) == ([2], sent.name)
    world.take("f.result.2", results(sent, [say(B)], n=2, at="2026-03-02T07:05:00Z"))
    assert (world.kinds(), world.counts(sent)) == ([], (3, 0, 0))


def mark(world: World, sent: OutboundFile) -> None:
    """Collect has seen the marker of this file, and every result beside it is stored."""
    with world.sql.begin() as tx:
        tx.sightings.add(Sighting("northbank", f"{sent.name}.ok", 0, 1, "complete"))


def test_a_marker_completes_the_list_of_exceptions(make: Callable[..., World]) -> None:
    """`complete_when = marker`: neither a list nor the deadline makes silence success, the marker alone does."""
    world = make(results_list="exceptions_only", complete_when="marker")
    sent = world.send([A, B, C])
    world.take("f.ack", ack(sent))
    world.take("f.result.1", results(sent, [say(B, "RJCT")]))
    assert world.counts(sent) == (0, 1, 2)
    mark(world, sent)
    world.work()
    assert world.counts(sent) == (2, 1, 0)
    before = world.facts()
    world.work()
    assert world.facts() == before


def test_past_its_due_time_a_set_without_marker_is_missing(make: Callable[..., World]) -> None:
    """Unknown means no: a marker that never came is no success, also when the deadline has passed."""
    world = make(results_list="exceptions_only", complete_when="marker")
    sent = world.send([A, B])
    world.take("f.ack", ack(sent))
    world.take("f.result.1", results(sent, [say(B, "RJCT")]))
    world.wait_until_due()
    assert world.kinds() == ["missing_at_acquirer A", "status_rejected B"]


def test_a_marker_beside_a_list_that_cannot_be_read_completes_nothing(make: Callable[..., World]) -> None:
    """A list that was set aside may hold the rejection that silence would turn into success."""
    world = make(results_list="exceptions_only", complete_when="marker")
    sent = world.send([A, B])
    world.take("f.ack", ack(sent))
    whole = results(sent, [say(B, "RJCT")])
    world.take("f.result.1", whole[: len(whole) // 2])
    mark(world, sent)
    world.work()
    assert world.counts(sent) == (0, 0, 2)
    world.take("f.result.1", whole)
    assert world.counts(sent) == (1, 1, 0)


def test_a_name_that_was_read_before_with_other_content_is_an_alarm(world: World) -> None:
    """T11: both versions count, and somebody must look at it, whichever of them is read first."""
    sent = world.send([A, B])
    first = world.collect("f.result.1", results(sent, [say(A)]))
    second = world.collect("f.result.1", results(sent, [say(B)], n=2, at="2026-03-02T08:00:00Z"))
    world.read(second, first)
    world.reconcile()
    assert (world.counts(sent), world.kinds()) == ((2, 0, 0), ["file_unreadable"])
    assert "new content" in world.mismatches()[0].detail["why"]


def test_a_whole_version_of_a_file_that_was_cut_off_is_no_alarm(world: World) -> None:
    """What replaces an unreadable version is the cure, not the disease."""
    sent = world.send([A])
    whole = results(sent, [say(A)])
    world.take("f.result.1", whole[: len(whole) // 2])
    world.take("f.result.1", whole)
    assert world.kinds() == []


def late(world: World) -> list[tuple[str, str]]:
    with world.sql.begin() as tx:
        return [(each.name, each.what) for each in owed(tx, [world.acquirer], world.clock.now())]


def clocked(make: Callable[..., World], **settings: object) -> World:
    due = int(DUE.total_seconds())
    return make(results=Results(acknowledged_after_s=3600, due_after_s=due), **settings)


def test_an_acknowledgement_that_does_not_come_is_an_alarm_until_it_does(make: Callable[..., World]) -> None:
    """T16: overdue by itself from its time on; it ends when the acquirer speaks of the file."""
    world = clocked(make)
    sent = world.send([A])
    with world.sql.begin() as tx:
        assert due_times(tx, world.acquirer) == [SIX + timedelta(hours=1)]
    world.clock.at = SIX + timedelta(minutes=59)
    assert late(world) == []
    world.clock.at = SIX + timedelta(hours=1)
    assert late(world) == [(sent.name, "acknowledgement")]
    world.take("f.ack", ack(sent))
    assert late(world) == []
    with world.sql.begin() as tx:
        assert due_times(tx, world.acquirer) == []


def test_results_that_do_not_come_are_an_alarm_of_their_own(make: Callable[..., World]) -> None:
    """A file that was acknowledged still owes its results, and says how many payments wait."""
    world = clocked(make)
    sent = world.send([A, B])
    world.take("f.ack", ack(sent))
    world.take("f.result.1", results(sent, [say(A, "ACCP"), say(B)]))
    world.clock.at = SIX + DUE
    with world.sql.begin() as tx:
        (entry,) = owed(tx, [world.acquirer], world.clock.now())
    assert (entry.what, entry.payments, entry.due_at) == ("results", 1, SIX + DUE)
    assert str(entry) == f"{sent.name}: no result of 1 payments since 2026-03-02 14:00 UTC; ask northbank"
    assert entry.to_json()["due_at"] == "2026-03-02T14:00:00+00:00"


@pytest.mark.parametrize("state", ["sealed", "in_doubt", "refused", "not_received", "reconciled"])
def test_a_file_that_the_acquirer_does_not_have_or_has_settled_owes_nothing(
    make: Callable[..., World], state: str
) -> None:
    """The clock runs for files in the acquirer's hands only."""
    world = clocked(make)
    world.send([A], state=state)
    world.clock.at = SIX + timedelta(days=9)
    assert late(world) == []


def test_without_the_setting_no_acknowledgement_is_owed(world: World) -> None:
    """Not every acquirer acknowledges files: by default nothing is expected."""
    world.send([A])
    world.clock.at = SIX + timedelta(hours=2)
    assert late(world) == []


def test_no_time_passes_on_days_on_which_the_acquirer_does_not_work(make: Callable[..., World]) -> None:
    """A file delivered on Friday evening owes its acknowledgement on Monday, by the acquirer's own calendar."""
    world = clocked(make, zone="Europe/Berlin", calendar=Calendar())
    friday = datetime(2026, 3, 6, 22, 30, tzinfo=UTC)  # 23:30 in Berlin
    world.send([A], delivered_at=friday)
    with world.sql.begin() as tx:
        assert due_times(tx, world.acquirer) == [datetime(2026, 3, 8, 23, 30, tzinfo=UTC)]  # 00:30 on Monday
