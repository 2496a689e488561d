"""T10: clocks that change or go back, weekends and holidays, zones apart, kills at the cutoff. Each window fires once."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from payments.acting import Actor
from payments.calendars import is_banking_day
from payments.config import Retry
from payments.config_windows import Calendar
from tests.unit.transfer.assemble_world import Pay
from tests.unit.transfer.mortal import Fate, Killed, MortalLedger, MortalStore
from tests.unit.transfer.windows_world import WindowsWorld, at, section, window
from transfer.acts import ActPorts, release
from transfer.assemble import assemble

CLOCK_CHANGES = [
    ("America/New_York", "2026-03-08", "02:30"),
    ("America/New_York", "2026-11-01", "01:30"),
    ("Europe/London", "2026-03-29", "01:30"),
    ("Europe/London", "2026-10-25", "01:30"),
    ("America/Sao_Paulo", "2026-03-08", "02:30"),
    ("America/Sao_Paulo", "2026-11-01", "01:30"),
]


@pytest.mark.parametrize(("zone", "day", "cutoff"), CLOCK_CHANGES)
def test_a_gathering_window_fires_once_a_day_when_clocks_change(
    tmp_path: Path, zone: str, day: str, cutoff: str
) -> None:
    """Payments complete every seven hours over three days around the change: each window sends once, nothing is late or lost."""
    world = WindowsWorld(
        tmp_path, section(window(opens="00:15", cutoff=cutoff, send="at_cutoff", late="next"), zone=zone)
    )
    change = date.fromisoformat(day)
    start = datetime(change.year, change.month, change.day, 12, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    now = world.clock.at = start - timedelta(days=2)
    for number in range(7):
        world.pay(f"p{number}")
        now += timedelta(hours=7)
        world.run_until(now.replace(tzinfo=None).isoformat())
        world.clock.at = now
    world.run_until((now + timedelta(days=1)).replace(tzinfo=None).isoformat())
    files = world.files()
    assert len(world.placed()) == len(files) == len(set(world.firings()))
    days = [file.business_date for file in files]
    assert change in days
    assert all(later - earlier == timedelta(days=1) for earlier, later in itertools.pairwise(days))
    assert all(file.note == file.held == "" for file in files)
    assert len(world.where()) == 7
    world.check_books()


def test_a_clock_set_back_five_minutes_fires_no_window_twice(tmp_path: Path) -> None:
    """Behind the cutoff the clock goes back: what is complete then is late, and the cutoff that comes again sends nothing."""
    world = WindowsWorld(tmp_path, section(window(send="at_cutoff", late="next")))
    world.pay("a")
    world.go("16:00:01")
    assert set(world.where()) == {"a"}
    world.go("15:55:01")
    world.pay("b")
    world.run_until("2026-03-02T23:00")
    assert world.firings() == ["window:north:2026-03-02:main"]
    assert len(world.placed()) == 1
    world.run_until("2026-03-03T16:00")
    assert world.where()["b"] == ("03 main", "delivered", "")
    assert len(world.placed()) == 2


def test_a_clock_set_back_over_the_opening_sends_nothing_twice(tmp_path: Path) -> None:
    """The window opens a second time on the clock on the wall: only what came meanwhile goes."""
    world = WindowsWorld(tmp_path, section())
    world.pay("a")
    world.go("08:00:01")
    world.go("07:55:01")
    world.pay("b")
    world.run_until("2026-03-02T09:00")
    assert Counter(Counter(world.placed()).values()) == {1: 2}
    assert [sorted(world.payments_of(file)) for file in world.files()] == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("calendar", "day", "expected"),
    [
        ("TARGET2", "2026-04-02", "2026-04-07"),  # Maundy Thursday -> Tuesday after Easter
        ("FED", "2026-07-02", "2026-07-03"),  # the holiday is a Saturday: the Fed works on Friday
        ("FED", "2027-07-02", "2027-07-06"),
        ("TARGET2", "2026-03-06", "2026-03-09"),  # a plain weekend
    ],
)
def test_what_misses_the_last_window_before_a_holiday_goes_with_the_next_banking_day(
    tmp_path: Path, calendar: str, day: str, expected: str
) -> None:
    """Complete behind Thursday's or Friday's cutoff: the business date in name and key is the next banking day."""
    shut = section(window(late="next"), calendar=Calendar(holidays=calendar))
    world = WindowsWorld(tmp_path, shut, now=f"{day}T17:00")
    world.pay("a", day=date.fromisoformat(day))
    times = world.run_until(f"{expected}T08:00")
    (file,) = world.files()
    assert file.business_date.isoformat() == expected
    assert times[-1] == at(f"{expected}T08:00")
    assert file.state == "delivered"


def test_the_name_carries_the_acquirers_business_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Process in UTC, or anywhere; acquirer in Los Angeles at 23:30: the date is that of Los Angeles."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        late_window = window(opens="20:00", cutoff="23:45")
        world = WindowsWorld(tmp_path, section(late_window, zone="America/Los_Angeles"), now="2026-03-03T07:30")
        world.pay("a")
    finally:
        monkeypatch.undo()
        time.tzset()
    (file,) = world.files()
    assert file.business_date == date(2026, 3, 2)
    assert world.placed() == [file.name] == ["north_20260302_000001_1.csv"]


def test_killed_anywhere_at_the_cutoff_a_window_fires_once_and_gives_the_same(tmp_path: Path) -> None:
    """Whichever transaction is the last before a kill, a restart an hour later goes on with the plan: same files, one firing."""
    # One more run that is new, for both; the other acquirer's window is shut, so that its row must wait also on a restart.
    mine = (
        section(window(send="at_cutoff", late="hold")),
        section(window(opens="20:00", cutoff="21:00"), name="south"),
    )

    def prepared(name: str) -> WindowsWorld:
        world = WindowsWorld(tmp_path / name, *mine)
        world.pay("a", "b")
        world.run(Pay("c"), Pay("s", acquirer="south"))
        world.clock.at = at("2026-03-02T16:00")
        return world

    calm = prepared("calm")
    calm.assemble()
    (expected,) = calm.files()
    fate = Fate()
    assemble((whole := prepared("whole")).ports(MortalLedger(whole.ledger, fate), MortalStore(whole.store, fate)))
    assert fate.passed > 8
    for dies_at in range(1, fate.passed + 1):
        world = prepared(f"killed{dies_at}")
        mortal = Fate(dies_at)
        with pytest.raises(Killed):
            assemble(world.ports(MortalLedger(world.ledger, mortal), MortalStore(world.store, mortal)))
        world.restart()
        if [each for each in world.assemblies() if each.state == "planned"]:
            world.clock.at += timedelta(hours=1)
        world.assemble()
        (file,) = world.files()
        assert (file.file_id, file.sha256) == (expected.file_id, expected.sha256)
        assert world.firings() == ["window:north:2026-03-02:main"]
        world.check_books()
        world.ledger.engine.dispose()


@pytest.mark.parametrize("seed", range(6))
def test_no_history_of_outages_and_clocks_sends_twice_or_loses_one(tmp_path: Path, seed: int) -> None:
    """Random runs, outages, jumps and clocks set back, for each policy: every payment once, in a window of its acquirer, books tied."""
    chance = random.Random(seed)
    policy = ("late", "next", "hold")[seed % 3]
    mine = section(
        window("am", "07:00", "11:30", send=chance.choice(["when_complete", "at_cutoff"]), late=policy),
        window("pm", "12:00", "16:00", send=chance.choice(["when_complete", "at_cutoff"]), late=policy),
        zone=chance.choice(["America/New_York", "Europe/London", "America/Sao_Paulo"]),
        calendar=Calendar(holidays="TARGET2"),
        rows_per_file_max=2,
        retry=Retry(first_s=3600, factor=2, attempts=50),
    )
    world = WindowsWorld(tmp_path, mine, now="2026-03-27T06:00")  # a Friday; London's clocks change on Sunday
    keys: list[str] = []
    for _ in range(14):
        world.is_down = chance.random() < 0.25
        match chance.randrange(4):
            case 0:
                world.clock.at -= timedelta(minutes=5)
            case 1:
                world.clock.at += timedelta(minutes=chance.randrange(1, 900))
            case _:
                keys += [f"p{len(keys)}", f"p{len(keys) + 1}", f"p{len(keys) + 2}"]
                world.run(*(Pay(key, day=date(2026, 3, 27)) for key in keys[-3:]))
        world.settle()
    world.is_down = False
    acts, anna = ActPorts(world.ledger, world.clock), Actor("anna", verified=True)
    for day in range(1, 8):
        world.run_until((world.clock.at + timedelta(days=day)).replace(tzinfo=None).isoformat())
        for file in world.files():
            if file.held:
                release(acts, file.file_id, anna)
    world.settle()
    assert sorted(world.where()) == sorted(keys)
    assert {state for _, state, _ in world.where().values()} == {"delivered"}
    assert sum(file.total.count for file in world.files()) == len(keys)
    assert len(world.placed()) == len(set(world.placed())) == len(world.files())
    assert len(set(world.firings())) == len(world.firings())
    assert all(is_banking_day(mine.calendar, file.business_date) for file in world.files())
    world.check_books()
