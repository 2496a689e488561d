"""Which rows of an SQLite source an extraction may never find, as SQL over its watermark.

Text is compared as text, so only times of one form stand in the order of time. Of a day on which the source was read up to 17:00:

    2026-11-21 23:59:59   <   2026-11-21T17:00:00   <   2026-11-21T17:00:01
    a blank: never read       the watermark             read next

Strays are therefore rows of any other form than the newest one's, and rows with no value, a value of another type, or one that no
clock reaches soon. Some of them may have been read: of text that sorts above the watermark nobody can tell it afterwards.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from extractors.bounds import AHEAD, TEXT_FORM, UTC_OFFSETS, epoch_ms, zone_of
from extractors.keyset import quoted
from payments.config import SourceSection

DATE = "[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]"
HOURS_AND_MINUTES = "[0-2][0-9]:[0-5][0-9]"
SECONDS = ":[0-6][0-9]"
FRACTION = ".,0123456789"


def stray_rows(source: SourceSection, newest: str | None, now: datetime) -> tuple[str, list[Any]]:
    """The condition for strays and the values it binds. `newest`: a watermark whose form the others must have; None: any date."""
    column = quoted(source.watermark)
    # NULL < numbers < text < blobs in SQLite's order, so a bound takes the foreign types behind it along.
    match source.watermark_type:
        case "timestamp":
            day = (now + AHEAD).astimezone(zone_of(source)).date().isoformat()
            form, values = _has_form(column, newest)
            return f"{column} IS NULL OR {column} < '' OR {column} >= ?1 OR NOT ({form})", [day, *values]
        case "epoch_ms":
            return f"{column} IS NULL OR {column} >= ?1", [epoch_ms(now + AHEAD)]
        case "integer":
            return f"{column} IS NULL OR {column} >= ''", []


def _has_form(column: str, newest: str | None) -> tuple[str, list[str]]:
    """SQL that is true for text that sorts by time beside `newest`; fractions and spellings of UTC differ within a second only."""
    form = TEXT_FORM.fullmatch(newest or "")
    if form is None:
        return f"{column} GLOB ?2", [f"{DATE}*"]
    separator, seconds, offset = form.groups()
    head = DATE + (separator + HOURS_AND_MINUTES if separator else "") + (SECONDS if seconds else "")
    length = len("2026-11-21") + (len("T17:00") if separator else 0) + (len(":00") if seconds else 0)
    rest = f"substr({column}, {length + 1})"
    rest = f"ltrim({rest}, '{FRACTION}')" if seconds else rest
    endings = ", ".join(f"'{each}'" for each in sorted(UTC_OFFSETS)) if offset else "''"
    return f"{column} GLOB ?2 AND {rest} IN ({endings})", [f"{head}*"]
