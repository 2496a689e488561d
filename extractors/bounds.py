"""How far a source may be read now: bounds of the watermark for which no row can still appear below.

Every bound here is exclusive and lies on the grid of the watermark's own precision. A row stamped with the very millisecond
(or second) that is still running may get neighbours with a smaller key after we read; so that instant waits for the next run.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from payments.config import SourceSection
from payments.errors import WrongConfiguration

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
QUARTER = timedelta(minutes=15)
AHEAD = timedelta(days=2)
"""A row that is stamped so far ahead was not stamped by a clock that is fast: it waits for long, or for ever."""
STRAYS_COUNTED_MAX = 1_000
QUARTERS_AHEAD = 12  # no zone has set its clock back by more than three hours
TEXT_FORM = re.compile(r"\d{4}-\d\d-\d\d(?:([T ])\d\d:\d\d(:\d\d(?:[.,]\d+)?)?)?(Z|[+-]\d\d(?::?\d\d)?)?")
UTC_OFFSETS = frozenset({"Z", "+00", "+0000", "+00:00"})


def zone_of(source: SourceSection) -> ZoneInfo:
    """The zone of a source. Raises WrongConfiguration."""
    try:
        return ZoneInfo(source.zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise WrongConfiguration(
            f"source {source.name}: zone: found {source.zone!a}, which is not a name of the IANA time zone database"
        ) from error


def floored(moment: datetime, step: timedelta) -> datetime:
    """The last point of the grid at or before `moment`."""
    start = datetime(1970, 1, 1, tzinfo=moment.tzinfo)
    return start + (moment - start) // step * step


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970, rounded down: as an exclusive bound it leaves the running millisecond out."""
    return (moment - EPOCH) // MILLISECOND


def wall_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    """The lowest local time (naive) that clocks in `zone` show at `moment` or later.

    In the hour before clocks go back, local times are about to repeat; rows stamped with them wait until they cannot any more.
    """
    quarter = floored(moment, QUARTER)
    later = (quarter + at * QUARTER for at in range(1, QUARTERS_AHEAD + 1))
    return min(each.astimezone(zone).replace(tzinfo=None) for each in (moment, *later))


def text_bound(sample: str, moment: datetime, zone: ZoneInfo) -> str | None:
    """The bound as text in the form of `sample`, a watermark of the same column; None: its form has no usable order.

    Forms: ISO 8601 date, or date and time with `T` or a blank, with or without fraction; `Z` or a zero offset means UTC, none
    means the source's local time. Text with other offsets is refused, since its order is not that of time.
    """
    form = TEXT_FORM.fullmatch(sample)
    if form is None:
        return None
    separator, seconds, offset = form.groups()
    if offset is not None and offset not in UTC_OFFSETS:
        return None
    local = moment.astimezone(UTC).replace(tzinfo=None) if offset else wall_clock(moment, zone)
    if separator is None:
        return local.date().isoformat()
    return local.isoformat(sep=separator, timespec="seconds" if seconds else "minutes")
