"""When windows open, have their cutoff and close: by the acquirer's clocks, once per banking day, never two at a time."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.calendars import FED, add_banking_time, holidays_of, is_banking_day
from payments.config import AcquirerSection
from payments.config_windows import Calendar, Window
from payments.errors import WrongConfiguration
from runtime.contradictions_windows import window_contradictions
from tests.unit.transfer.assemble_world import acquirer
from transfer.windows import Place, Waiting, decide, following, near, next_times, occurrence_of, occurrences

ZONES = ("UTC", "America/New_York", "Europe/London", "America/Sao_Paulo", "America/Los_Angeles", "Australia/Lord_Howe")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(name: str = "main", opens: str = "08:00", cutoff: str = "16:00", **given_: object) -> Window:
    return Window(name=name, opens=opens, cutoff=cutoff, **given_)  # type: ignore[arg-type]


def section(*windows: Window, zone: str = "UTC", calendar: Calendar | None = None) -> AcquirerSection:
    return acquirer(zone=zone, window=list(windows) or [window()], calendar=calendar)


CLOCK_CHANGES = [
    # zone, business date, opens, cutoff, both in UTC as expected
    ("America/New_York", "2026-03-08", "01:00", "02:30", "06:00", "07:00"),  # the cutoff is skipped: when clocks jump
    ("America/New_York", "2026-03-08", "02:30", "03:15", "07:00", "07:15"),  # the opening is skipped
    (
        "America/New_York",
        "2026-03-08",
        "02:15",
        "02:45",
        "07:15",
        "07:45",
    ),  # all of it is skipped: as long, an hour later
    (
        "America/New_York",
        "2026-11-01",
        "00:30",
        "01:30",
        "04:30",
        "05:30",
    ),  # the cutoff comes twice: the first one counts
    ("America/New_York", "2026-11-01", "01:30", "02:15", "05:30", "07:15"),  # the opening comes twice
    ("Europe/London", "2026-03-29", "00:30", "01:30", "00:30", "01:00"),
    ("Europe/London", "2026-10-25", "01:30", "02:30", "00:30", "02:30"),
    ("America/Sao_Paulo", "2018-11-04", "00:15", "12:00", "03:00", "14:00"),  # skipped at midnight
    ("America/Sao_Paulo", "2026-03-08", "02:00", "02:30", "05:00", "05:30"),  # no summer time any more
    ("Australia/Lord_Howe", "2026-10-04", "02:15", "03:00", "15:30-1", "16:00-1"),  # clocks jump by half an hour
]


@pytest.mark.parametrize(("zone", "day", "opens", "cutoff", "opens_utc", "cutoff_utc"), CLOCK_CHANGES)
def test_a_window_comes_once_when_clocks_change(
    zone: str, day: str, opens: str, cutoff: str, opens_utc: str, cutoff_utc: str
) -> None:
    """A time that clocks skip is when they jump, one that they show twice is the first one; no window is lost or empty."""
    found = occurrence_of(section(window(opens=opens, cutoff=cutoff), zone=zone), date.fromisoformat(day), "main")
    assert found is not None

    def expected(text: str) -> datetime:
        clock, _, back = text.partition("-")
        return at(f"{day}T{clock}") - timedelta(days=int(back or 0))

    assert (found.opens, found.cutoff) == (expected(opens_utc), expected(cutoff_utc))
    assert found.opens < found.cutoff <= found.closes


@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    start=st.dates(date(2010, 1, 1), date(2037, 12, 1)),
    marks=st.lists(st.integers(0, 1439), min_size=2, max_size=8, unique=True),
    eve=st.booleans(),
)
def test_each_window_opens_once_per_day_and_no_two_at_a_time(
    zone: str, start: date, marks: list[int], eve: bool
) -> None:
    """For any instant around any date: every (date, window) is one interval that is not empty, and intervals do not overlap.

    But for a window that clocks skip as a whole: it comes later that day, and may meet the one behind it.
    """
    marks = sorted(marks[: len(marks) // 2 * 2])
    clocks = [f"{mark // 60:02d}:{mark % 60:02d}" for mark in marks]
    pairs = list(zip(clocks[::2], clocks[1::2], strict=True))
    if eve and len(clocks) > 2:
        pairs = [(clocks[-1], clocks[0]), *zip(clocks[1:-1:2], clocks[2:-1:2], strict=True)]
    mine = section(*(window(f"w{n}", *pair) for n, pair in enumerate(pairs)), zone=zone)
    assert list(window_contradictions(mine)) == []
    found = list(occurrences(mine, start, start + timedelta(days=9)))
    assert len({each.firing for each in found}) == len(found) == 10 * len(pairs)
    assert all(each.opens < each.cutoff for each in found)
    skipped = [each for each in found if _is_skipped(each.window, each.business_date, zone)]
    rest = sorted((each for each in found if each not in skipped), key=lambda each: each.opens)
    assert all(one.cutoff <= other.opens for one, other in itertools.pairwise(rest))
    for each in rest:
        middle = each.opens + (each.cutoff - each.opens) / 2
        assert each in near(mine, middle)
        assert sum(other.is_open(middle) for other in near(mine, middle) if other not in skipped) == 1


def _is_skipped(each: Window, day: date, zone: str) -> bool:
    def exists(clock: str) -> bool:
        local = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone))
        return local.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local.replace(tzinfo=None)

    return not exists(each.opens) and not exists(each.cutoff)


@settings(max_examples=200, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    minute=st.integers(0, 10 * 366 * 1440),
    send=st.sampled_from(["when_complete", "at_cutoff"]),
    late=st.sampled_from(["late", "next", "hold"]),
    fired=st.booleans(),
)
def test_rows_always_go_somewhere(zone: str, minute: int, send: str, late: str, fired: bool) -> None:
    """At any instant rows have one place or wait for one that comes; in time only while it is open or has just gathered."""
    now = at("2026-01-01T00:00") + timedelta(minutes=minute)
    mine = section(
        window("am", "06:00", "11:30", send=send, late=late),
        window("pm", "12:00", "23:45", send=send, late=late),
        zone=zone,
        calendar=Calendar(holidays="TARGET2"),
    )
    # What has fired may lie a little ahead: somebody set the clock back.
    done = {each.firing for each in near(mine, now) if each.cutoff <= now + timedelta(minutes=5)} if fired else set()
    said = decide(mine, now, fired=lambda name: name in done, waiting_since=None)
    if isinstance(said, Waiting):
        assert said.until is not None
        assert said.until.cutoff > now
    else:
        assert said.occurrence.opens <= now
        assert is_banking_day(mine.calendar, said.occurrence.business_date)
        in_time = said.occurrence.is_open(now) if send == "when_complete" else said.occurrence.firing not in done
        assert bool(said.late) == (not in_time)
        assert not said.late or late != "next"
        assert said.held == (bool(said.late) and late == "hold")
    assert all(each > now for each in next_times(mine, now))


def test_a_gathering_window_goes_at_its_cutoff_and_only_once() -> None:
    """Open, it waits; at the cutoff it goes; fired, it is over, and what comes then is late."""
    mine = section(window(send="at_cutoff", late="late"))
    waits = decide(mine, at("2026-03-02T15:59"), fired=lambda _: False, waiting_since=None)
    assert isinstance(waits, Waiting)
    goes = decide(mine, at("2026-03-02T16:00"), fired=lambda _: False, waiting_since=None)
    assert isinstance(goes, Place)
    assert goes.late == ""
    for clock in ("15:55", "16:00", "16:59", "23:59"):  # also when clocks are set back
        after = decide(
            mine, at(f"2026-03-02T{clock}"), fired=lambda name: name == goes.occurrence.firing, waiting_since=None
        )
        assert isinstance(after, Place)
        assert after.late == "late: the cutoff of window main at 16:00 had passed"


def test_lateness_ends_with_the_business_date() -> None:
    """Behind the acquirer's midnight nothing goes into yesterday's window any more."""
    mine = section(window(late="late"), zone="America/Los_Angeles")
    evening = decide(mine, at("2026-03-03T07:30"), fired=lambda _: False, waiting_since=None)  # 23:30 on the 2nd
    assert isinstance(evening, Place)
    assert evening.occurrence.business_date == date(2026, 3, 2)
    night = decide(mine, at("2026-03-03T08:00"), fired=lambda _: False, waiting_since=None)
    assert isinstance(night, Waiting)
    assert night.until is not None
    assert night.until.business_date == date(2026, 3, 3)


def test_a_window_that_opens_the_evening_before_belongs_to_the_day_of_its_cutoff() -> None:
    """From 18:00 on rows go into tomorrow's book day."""
    mine = section(window(opens="18:00", cutoff="16:00"))
    said = decide(mine, at("2026-03-02T18:00"), fired=lambda _: False, waiting_since=None)
    assert isinstance(said, Place)
    assert said.occurrence.business_date == date(2026, 3, 3)


WEEKEND_AND_HOLIDAYS = [
    ("TARGET2", "2026-04-02", "2026-04-07"),  # Thursday before Easter -> Tuesday behind it
    ("TARGET2", "2026-12-24", "2026-12-28"),
    ("FED", "2026-07-02", "2026-07-03"),  # Independence Day is a Saturday: the Fed is open on Friday ...
    ("US", "2026-07-02", "2026-07-06"),  # ... other offices are not
    ("FED", "2027-07-02", "2027-07-06"),  # it is a Sunday: closed on Monday
    ("FED", "2026-05-01", "2026-05-04"),
    ("TARGET2", "2026-04-30", "2026-05-04"),  # Labour Day
]


@pytest.mark.parametrize(("code", "day", "following_day"), WEEKEND_AND_HOLIDAYS)
def test_windows_pass_over_weekends_and_holidays(code: str, day: str, following_day: str) -> None:
    """The next window behind one is on the next banking day of the calendar."""
    mine = section(calendar=Calendar(holidays=code))
    assert next(following(mine, at(f"{day}T12:00"))).business_date == date.fromisoformat(following_day)


def test_own_days_close_and_open() -> None:
    """`closed` adds a holiday; `open` wins over weekends, holidays and `closed`-by-rule."""
    calendar = Calendar(holidays="TARGET2", closed=[date(2026, 3, 2)], open=[date(2026, 4, 3), date(2026, 3, 7)])
    assert not is_banking_day(calendar, date(2026, 3, 2))
    assert is_banking_day(calendar, date(2026, 4, 3))
    assert is_banking_day(calendar, date(2026, 3, 7))
    assert not is_banking_day(calendar, date(2026, 3, 8))
    assert is_banking_day(None, date(2026, 3, 8))


def test_the_fed_keeps_its_own_rule_in_every_year() -> None:
    """No holiday of the Federal Reserve is a Friday before a Saturday's holiday, and every Sunday's is kept on Monday."""
    for year in range(2020, 2041):
        days = holidays_of(FED, year)
        assert not any(day.weekday() == 6 for day in days)
        assert not any(day.weekday() == 4 and day + timedelta(days=1) in days for day in days)


def test_an_unknown_market_is_said() -> None:
    """A code that no calendar knows is an error, not a year without holidays."""
    with pytest.raises(WrongConfiguration, match="no holidays are known for 'ZZ'"):
        holidays_of("ZZ", 2026)
    with pytest.raises(WrongConfiguration, match="DE-XX"):
        holidays_of("DE-XX", 2026)


def test_banking_time_stands_still_on_closed_days() -> None:
    """A day from Friday noon ends on Monday noon; without a calendar it ends on Saturday; clocks that change do not matter."""
    friday, day = at("2026-03-06T12:00"), timedelta(days=1)
    assert add_banking_time(None, "UTC", friday, day) == at("2026-03-07T12:00")
    assert add_banking_time(Calendar(), "UTC", friday, day) == at("2026-03-09T12:00")
    easter = at("2026-04-02T15:00")
    assert add_banking_time(Calendar(holidays="TARGET2"), "Europe/Berlin", easter, day) == at("2026-04-07T15:00")
    assert add_banking_time(Calendar(weekend=[]), "America/New_York", at("2026-03-08T05:00"), day) == at(
        "2026-03-09T05:00"
    )
    nothing = Calendar(weekend=["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
    assert add_banking_time(nothing, "UTC", friday, day) == friday + day


CONTRADICTIONS = [
    ([window("a"), window("b", "15:59", "18:00")], None, "window[1].opens"),
    ([window("a"), window("b", "22:00", "09:00")], None, "window[1].opens"),  # opens the evening before
    ([window("a", "22:00", "07:00"), window("b", "20:00", "23:00")], None, "window[1].opens"),  # meets tomorrow's
    ([window("a"), window("a", "17:00", "18:00")], None, "window[1].name"),
    ([window("w00000001")], None, "window[0].name"),
    ([window(closes="15:00")], None, "window[0].closes"),
    ([window(weekdays=["sat"])], Calendar(), "window[0].weekdays"),
    ([window()], Calendar(holidays="ZZ"), "calendar.holidays"),
    ([window()], Calendar(closed=[date(2026, 3, 2)], open=[date(2026, 3, 2)]), "calendar.closed"),
]


@pytest.mark.parametrize(("windows", "calendar", "key"), CONTRADICTIONS)
def test_windows_that_cannot_be_meant_are_refused(windows: list[Window], calendar: Calendar | None, key: str) -> None:
    """Overlaps, repeated names and days that never come are told by the key's path."""
    assert [found for found, _, _ in window_contradictions(section(*windows, calendar=calendar))] == [key]


def test_windows_side_by_side_are_allowed() -> None:
    """One may open when the other has its cutoff, and two may share times on different weekdays."""
    same = [window("a", weekdays=["mon"]), window("b", weekdays=["tue"]), window("c", "16:00", "18:00")]
    assert list(window_contradictions(section(*same))) == []
