"""What a window does to payments: which file they go into, when it leaves, and what becomes of what is late."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from payments.acting import Actor
from payments.keys import file_id
from tests.unit.transfer.assemble_world import Pay, acquirer
from tests.unit.transfer.windows_world import WindowsWorld, section, window
from transfer.acts import ActPorts, cancel, redeliver, release

ANNA, BORIS = Actor("anna", verified=True), Actor("boris", verified=True)


def test_without_windows_nothing_is_as_of_windows(tmp_path: Path) -> None:
    """An acquirer without windows keeps its file ids, and its plans say nothing of windows."""
    world = WindowsWorld(tmp_path, acquirer())
    world.pay("a")
    (file,) = world.files()
    assert file.file_id == file_id("north", file.business_date, "w00000001", 0, 1)
    assert world.placed() == [file.name]
    assert set(world.assemblies()[0].plan) == {"runs", "returned", "files", "pool_due"}
    assert world.firings() == []


def test_what_is_complete_before_the_opening_goes_when_the_window_opens(tmp_path: Path) -> None:
    """A run completed at night waits in the pool; at the opening it goes; a later one goes at once, into the same window."""
    world = WindowsWorld(tmp_path, section())
    world.pay("a")
    assert world.placed() == []
    assert world.waiting()["north"] == {"since": "2026-03-02T06:00:00+00:00", "count": 1}
    world.check_books()
    world.go("07:59:59.999999")
    assert world.placed() == []
    world.go("08:00")
    world.go("09:00")
    world.pay("b", "c")
    assert world.where() == dict.fromkeys("abc", ("02 main", "delivered", ""))
    assert [file.split for file in world.files()] == [0, 1]
    assert world.firings() == ["window:north:2026-03-02:main"]
    world.check_books()


def test_a_gathering_window_sends_everything_together_at_its_cutoff(tmp_path: Path) -> None:
    """Three runs through the day make one file, planned at the cutoff and delivered behind it."""
    world = WindowsWorld(tmp_path, section(window(send="at_cutoff")))
    for clock, key in (("07:00", "a"), ("10:00", "b"), ("15:59", "c")):
        world.go(clock)
        world.pay(key)
    assert world.files() == []
    assert world.wakes() == []  # nobody is kept busy by what waits
    assert world.waiting()["north"] == {"since": "2026-03-02T07:00:00+00:00", "count": 3}
    world.go("16:00")
    (file,) = world.files()
    assert world.payments_of(file) == {"a", "b", "c"}
    assert (file.state, file.note, file.held) == ("delivered", "", "")
    world.check_books()


LATE = [
    ("late", "02 main", "delivered"),
    ("hold", "02 main", "sealed"),
    ("next", "03 main", "delivered"),
]


@pytest.mark.parametrize("send", ["when_complete", "at_cutoff"])
@pytest.mark.parametrize(("policy", "where", "state"), LATE)
def test_what_is_complete_behind_the_cutoff_follows_the_policy(
    tmp_path: Path, send: str, policy: str, where: str, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    """late: at once, into the same window, with an alarm; hold: planned and held for a person; next: with the next window."""
    world = WindowsWorld(tmp_path, section(window(send=send, late=policy)))
    world.pay("a")
    world.go("12:00")
    world.go("16:00")
    world.go("16:30")
    world.pay("b")
    if policy == "next":
        assert "b" not in world.where()
        world.go("2026-03-03T08:00")
        world.go("2026-03-03T16:00")
    assert world.where()["a"] == ("02 main", "delivered", "")
    assert world.where()["b"][:2] == (where, state)
    assert ("the policy of the window is" in caplog.text) == (policy != "next")
    if policy == "hold":
        file = world.file_of("b")
        assert file.held == "late: the cutoff of window main at 16:00 had passed"
        release(ActPorts(world.ledger, world.clock), file.file_id, ANNA)
        world.settle()
        assert world.where()["b"] == ("02 main", "delivered", "")
    world.check_books()


@pytest.mark.parametrize(("policy", "where"), [("late", "02 main"), ("hold", "02 main"), ("next", "03 main")])
@pytest.mark.parametrize("send", ["when_complete", "at_cutoff"])
def test_a_window_that_passed_while_nobody_ran_follows_the_policy(
    tmp_path: Path, send: str, policy: str, where: str
) -> None:
    """Rows that were complete before the cutoff, and that nobody planned in time, go as late ones go."""
    world = WindowsWorld(tmp_path, section(window(send=send, late=policy)))
    world.pay("a")
    world.go("18:00")
    if policy == "next":
        assert world.files() == []
        world.go("2026-03-03T08:00")
        world.go("2026-03-03T16:00")
    assert world.where()["a"][0] == where
    assert world.file_of("a").held == (
        "late: the cutoff of window main at 16:00 was missed" if policy == "hold" else ""
    )
    world.check_books()


def test_a_cutoff_that_was_missed_by_little_is_made_up_for_in_time(tmp_path: Path) -> None:
    """Until it closes, a gathering window that has not fired takes all that is complete, also what nobody had looked at."""
    world = WindowsWorld(tmp_path, section(window(send="at_cutoff", closes="16:30", late="hold")))
    world.pay("a")
    world.clock.at = world.clock.at.replace(hour=16, minute=29)
    world.run(Pay("b"))
    world.settle()
    assert world.where() == dict.fromkeys("ab", ("02 main", "delivered", ""))


def test_a_window_fires_also_when_nothing_waits(tmp_path: Path) -> None:
    """What is complete a minute behind an empty cutoff is late, though nothing was sent in time."""
    world = WindowsWorld(tmp_path, section(window(send="at_cutoff", late="hold")))
    world.go("16:00")
    assert world.firings() == ["window:north:2026-03-02:main"]
    assert world.assemblies() == []
    world.go("16:01")
    world.pay("a")
    assert world.file_of("a").held == "late: the cutoff of window main at 16:00 had passed"


def test_windows_of_one_acquirer_hold_up_nobody_else(tmp_path: Path) -> None:
    """In one run, one acquirer's payments wait and the other's go."""
    world = WindowsWorld(tmp_path, section(), acquirer("south"))
    world.run(Pay("a"), Pay("b", acquirer="south"))
    world.settle()
    assert set(world.where()) == {"b"}
    world.go("08:00")
    assert set(world.where()) == {"a", "b"}
    world.check_books()


def test_a_newer_version_replaces_one_that_waits(tmp_path: Path) -> None:
    """What waits for a window is not sealed: a change supersedes it, a stop withdraws it, and no empty file is made."""
    world = WindowsWorld(tmp_path, section())
    world.pay("a", "b")
    world.pay("a", version=2, minor=250)
    world.pay("b", stopped=True)
    world.go("08:00")
    (file,) = world.files()
    assert world.payments_of(file) == {"a"}
    assert file.total.amount_minor == {"EUR/CRDT": 250}
    world.check_books()


def test_a_payment_for_a_later_day_goes_with_that_days_window(tmp_path: Path) -> None:
    """Requested for the next day, it waits through today's window and leaves when the next one opens, not at midnight."""
    world = WindowsWorld(tmp_path, section(window(late="late")))
    world.pay("a", day=date(2026, 3, 3))
    world.go("12:00")
    assert world.files() == []
    assert [each.isoformat() for each in world.run_until("2026-03-03T08:00")][-1] == "2026-03-03T08:00:00+00:00"
    assert world.where() == {"a": ("03 main", "delivered", "")}
    world.check_books()


def test_a_row_for_the_next_window_does_not_keep_an_earlier_one_busy(tmp_path: Path) -> None:
    """It waited for tomorrow's window and the clock went back into today's: the plan says so once, and nobody asks again."""
    world = WindowsWorld(tmp_path, section(window(late="next")))
    world.go("17:00")
    world.pay("a", day=date(2026, 3, 3))
    world.go("15:55")
    assert world.wakes() == []
    assert world.files() == []
    assert world.assemblies()[-1].plan["pool_due"] == {"north": "2026-03-03"}
    world.run_until("2026-03-03T08:00")
    assert world.where() == {"a": ("03 main", "delivered", "")}
    world.check_books()


def test_ids_never_repeat_across_redeliveries(tmp_path: Path) -> None:
    """A cancelled file keeps date, window and ordinal; every other file of a window has an ordinal of its own."""
    world = WindowsWorld(tmp_path, section(window(late="next")))
    acts = ActPorts(world.ledger, world.clock)
    world.go("09:00")
    world.is_down = True
    world.pay("a")
    file = world.file_of("a")
    cancel(acts, file.file_id, ANNA)
    redeliver(acts, file.file_id, ANNA)
    world.is_down = False
    world.settle()
    first, second = world.files()
    assert (second.window, second.split, second.generation, second.sequence) == ("main", 0, 2, first.sequence)
    assert second.state == "delivered"
    world.pay("b")
    assert world.file_of("b").split == 1
    # The acquirer refused the second one; two people ask again, behind the cutoff: it waits for the next day's window.
    world.change(second, state="refused")
    world.go("17:00")
    for each in (ANNA, BORIS):
        redeliver(acts, second.file_id, each)
    world.settle()
    assert len(world.files()) == 3
    world.go("2026-03-03T08:00")
    again = world.files()[-1]
    assert (again.business_date.day, again.window, again.split, again.generation) == (3, "main", 0, 3)
    assert len({each.file_id for each in world.files()}) == 4
    world.check_books()


def test_a_replacement_asked_for_a_day_later_goes_in_the_window_that_is_open(tmp_path: Path) -> None:
    """It keeps its old business date and is not stopped as a file that missed its window."""
    world = WindowsWorld(tmp_path, section(window(late="next")))
    acts = ActPorts(world.ledger, world.clock)
    world.go("09:00")
    world.is_down = True
    world.pay("a")
    cancel(acts, world.file_of("a").file_id, ANNA)
    world.is_down = False
    world.go("2026-03-03T09:00")
    redeliver(acts, world.file_of("a").file_id, ANNA)
    world.settle()
    assert world.files()[-1].state == "delivered"
    assert world.files()[-1].business_date == date(2026, 3, 2)


def test_a_removed_window_lets_go_what_waited_for_it(tmp_path: Path) -> None:
    """Rows never wait for a window that is no longer configured."""
    world = WindowsWorld(tmp_path, section())
    world.pay("a")
    later = WindowsWorld.__new__(WindowsWorld)
    later.__dict__.update(world.__dict__)
    later.configuration = type(world.configuration)(acquirer=[acquirer()])
    later.settle()
    assert later.placed() == [world.files()[0].name]
