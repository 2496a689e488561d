"""Says which days are banking days: weekends, a market's or country's holidays, and days of one's own.

`holidays` (the package) is asked by year and only when a calendar names a market or country. Two calendars of central
banks have names of our own: TARGET2 is the ECB's; FED is the Federal Reserve's, which unlike other American offices does
not close on a Friday for a holiday that falls on a Saturday.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from payments.config_windows import Calendar
from payments.errors import WrongConfiguration

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FED = "FED"
ALIASES = {"TARGET2": "ECB", FED: "US"}
SATURDAY, SUNDAY = 5, 6
SEARCH_DAYS_MAX = 400
"""How far a next banking day is looked for: behind that the calendar has none."""


def is_banking_day(calendar: Calendar | None, day: date) -> bool:
    """Whether the acquirer books on this day. Without a calendar it does on every day."""
    if calendar is None or day in calendar.open:
        return True
    if day in calendar.closed or weekday(day) in calendar.weekend:
        return False
    return not calendar.holidays or day not in holidays_of(calendar.holidays, day.year)


def weekday(day: date) -> str:
    """`mon` to `sun`."""
    return WEEKDAYS[day.weekday()]


@lru_cache(maxsize=256)
def holidays_of(code: str, year: int) -> frozenset[date]:
    """The days of a year on which a market or country is closed. Raises WrongConfiguration for a code nobody knows.

    `code` is a market (ECB, XNYS, ...), a country (DE), a country and its part (DE-BY), TARGET2 or FED.
    """
    import holidays

    country, _, part = ALIASES.get(code, code).partition("-")
    try:
        days = holidays.country_holidays(country, subdiv=part or None, years=year, expand=False, observed=code != FED)
    except NotImplementedError as error:  # the word of `holidays` for a country or part that it does not have
        raise WrongConfiguration(f"calendar: no holidays are known for {code[:20]!a}") from error
    return frozenset(_observed_by_the_fed(day) for day in days) if code == FED else frozenset(days)


def _observed_by_the_fed(day: date) -> date:
    """A holiday on a Sunday is kept on the Monday; one on a Saturday is not kept on another day."""
    return day + timedelta(days=1) if day.weekday() == SUNDAY else day


def is_known(code: str) -> bool:
    """Whether a calendar may name this market or country."""
    try:
        holidays_of(code, 2026)
    except WrongConfiguration:
        return False
    return True


def add_banking_time(calendar: Calendar | None, zone: str, start: datetime, span: timedelta) -> datetime:
    """`start` and then `span` of time, of which none passes on days that are no banking days in `zone`; UTC.

    Without a calendar time always passes. A calendar without any banking day within 400 days counts as none.
    """
    at, left, where = start, span, ZoneInfo(zone)
    for _ in range(SEARCH_DAYS_MAX + span.days):
        day = at.astimezone(where).date()
        midnight = datetime.combine(day + timedelta(days=1), time(), where).astimezone(UTC)
        if is_banking_day(calendar, day):
            if at + left <= midnight:
                return (at + left).astimezone(UTC)
            left -= midnight - at
        at = midnight
    return (start + span).astimezone(UTC)
