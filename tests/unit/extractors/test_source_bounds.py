"""Bounds of a watermark: nothing may appear below them later, in any zone and on any day of the year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors.bounds import epoch_ms, floored, text_bound, wall_clock, zone_of
from payments.errors import WrongConfiguration
from tests.unit.extractors.legacies import section

ZONES = ("Europe/Berlin", "America/New_York", "Europe/London", "America/Sao_Paulo", "Australia/Lord_Howe", "UTC")
NEW_YORK = ZoneInfo("America/New_York")
YEAR_H = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(24 * 365)]


def set_back(zone: str) -> datetime:
    """The hour of 2026 after which clocks of a zone are set back (for a zone without such an hour, some hour)."""
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() or timedelta() for hour in YEAR_H]
    return next((hour for hour, old, new in zip(YEAR_H, offsets, offsets[1:], strict=False) if new < old), YEAR_H[99])


SET_BACK = {zone: set_back(zone) for zone in ZONES}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ZONES), st.booleans(), st.integers(-4 * 3600, 4 * 3600), st.integers(0, 4 * 3600))
def test_no_later_wall_clock_lies_below_the_bound(zone: str, autumn: bool, at_s: int, later_s: int) -> None:
    """What a clock in the zone shows at any later time is never below the bound of an earlier one."""
    moment = (SET_BACK[zone] if autumn else YEAR_H[abs(at_s) % len(YEAR_H)]) + timedelta(seconds=at_s)
    later = (moment + timedelta(seconds=later_s)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert wall_clock(moment, ZoneInfo(zone)) <= later


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 11, 1, 4, 50, tzinfo=UTC), "2026-11-01T00:50:00"),  # before the hour that repeats
        (datetime(2026, 11, 1, 5, 5, tzinfo=UTC), "2026-11-01T01:00:00"),
        (datetime(2026, 11, 1, 5, 50, tzinfo=UTC), "2026-11-01T01:00:00"),  # first 01:50: 01:00 comes again
        (datetime(2026, 11, 1, 6, 30, tzinfo=UTC), "2026-11-01T01:30:00"),  # second 01:30
        (datetime(2026, 3, 8, 7, 30, tzinfo=UTC), "2026-03-08T03:30:00"),  # 02:30 does not exist
    ],
)
def test_the_repeated_hour_waits(moment: datetime, expected: str) -> None:
    """In the hour before clocks go back, rows wait until their local time cannot come again."""
    assert wall_clock(moment, NEW_YORK).isoformat() == expected


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("2026-03-01", "2026-03-02"),
        ("2026-03-01 05:00", "2026-03-02 07:30"),
        ("2026-03-01 05:00:00", "2026-03-02 07:30:15"),
        ("2026-03-01T05:00:00.250", "2026-03-02T07:30:15"),
        ("2026-03-01T05:00:00Z", "2026-03-02T06:30:15"),
        ("2026-03-01 05:00:00.123456+00:00", "2026-03-02 06:30:15"),
        ("2026-03-01T05:00:00+01:00", None),
        ("01.03.2026", None),
        ("20260301050000", None),
    ],
)
def test_text_bounds_take_the_form_of_the_column(sample: str, expected: str | None) -> None:
    """The bound is text that sorts correctly among the column's own text, or the form is refused."""
    moment = datetime(2026, 3, 2, 6, 30, 15, 999_000, tzinfo=UTC)
    assert text_bound(sample, moment, ZoneInfo("Europe/Berlin")) == expected


def test_bounds_round_down() -> None:
    """The running millisecond and the running second lie outside."""
    moment = datetime(2026, 3, 2, 6, 30, 15, 999_999, tzinfo=UTC)
    assert epoch_ms(moment) == 1_772_433_015_999
    assert floored(moment, timedelta(seconds=1)) == datetime(2026, 3, 2, 6, 30, 15, tzinfo=UTC)
    assert epoch_ms(datetime(1969, 12, 31, 23, 59, 59, 999_500, tzinfo=UTC)) == -1


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd"])
def test_an_unknown_zone_is_named(zone: str) -> None:
    """A zone that does not exist is a mistake of the configuration."""
    with pytest.raises(WrongConfiguration, match="source legacy: zone"):
        zone_of(section(zone=zone))
