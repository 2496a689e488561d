"""Finds windows and calendars that are well-formed and wrong all the same: two that overlap, one that never comes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement

from payments.calendars import WEEKDAYS, is_known
from payments.config import AcquirerSection
from payments.config_windows import Calendar, Window

DAY_MINUTES = 24 * 60
WINDOWS_MAX = 48
OURS = re.compile(r"w\d{8}")
"""How the files of acquirers without windows are marked: a window of this name could be taken for one of them."""


def window_contradictions(acquirer: AcquirerSection) -> Iterator[tuple[str, object, str]]:
    """(key below the acquirer, what was found, what is allowed)."""
    if acquirer.calendar is not None:
        yield from _calendar(acquirer.calendar)
    if len(acquirer.window) > WINDOWS_MAX:
        yield "window", f"{len(acquirer.window)} windows", f"at most {WINDOWS_MAX}"
        return
    for number, window in enumerate(acquirer.window):
        key = f"window[{number}]"
        if OURS.fullmatch(window.name) or window.name in [each.name for each in acquirer.window[:number]]:
            yield f"{key}.name", window.name, "a name that no other window has, and not w and eight digits"
        if window.closes is not None and window.closes < window.cutoff:
            yield f"{key}.closes", window.closes, "a time of the same day, not before the cutoff"
        if acquirer.calendar is not None and not _days(window, acquirer.calendar):
            yield f"{key}.weekdays", window.weekdays, "a weekday that is not one of the calendar's weekend"
    yield from _overlaps(acquirer.window)


def _calendar(calendar: Calendar) -> Iterator[tuple[str, object, str]]:
    if calendar.holidays and not is_known(calendar.holidays):
        allowed = "TARGET2, FED, a market like ECB or XNYS, a country like DE, or a part of one like DE-BY"
        yield "calendar.holidays", calendar.holidays[:20], allowed
    both = sorted(set(calendar.closed) & set(calendar.open))
    if both:
        yield "calendar.closed", both[0].isoformat(), "days that are not under open as well"
    if len(set(calendar.weekend)) == len(WEEKDAYS) and not calendar.open:
        yield "calendar.weekend", "all seven days", "at most six of them, or days under open"


def _days(window: Window, calendar: Calendar) -> list[str]:
    """The weekdays on which it can ever come. Days under `open` may be any."""
    return [day for day in window.weekdays or WEEKDAYS if day not in calendar.weekend or calendar.open]


def _overlaps(windows: Sequence[Window]) -> Iterator[tuple[str, object, str]]:
    """Each pair once, on the same business date and on the one behind it: which one a file belongs to must not be luck."""
    for (first, one), (second, other) in combinations_with_replacement(enumerate(windows), 2):
        if (first != second and _meet(one, other, 0)) or _meet(one, other, 1) or _meet(other, one, 1):
            allowed = f"times that do not overlap those of window {one.name}"
            yield f"window[{second}].opens", f"{other.opens} to {other.cutoff}", allowed


def _meet(one: Window, other: Window, days_later: int) -> bool:
    """Whether `one` overlaps `other` of so many days later, on weekdays of both."""
    mine = {WEEKDAYS.index(day) for day in one.weekdays or WEEKDAYS}
    theirs = {(WEEKDAYS.index(day) - days_later) % len(WEEKDAYS) for day in other.weekdays or WEEKDAYS}
    if not mine & theirs:
        return False
    (opens, cutoff), (next_opens, next_cutoff) = _span(one), _span(other)
    shift = days_later * DAY_MINUTES
    return opens < next_cutoff + shift and next_opens + shift < cutoff


def _span(window: Window) -> tuple[int, int]:
    """Minutes from the midnight at which the business date begins; negative on the day before."""
    opens, cutoff = _minutes(window.opens), _minutes(window.cutoff)
    return (opens if opens < cutoff else opens - DAY_MINUTES), cutoff


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)
