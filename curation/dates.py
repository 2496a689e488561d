"""Read requested dates: date columns as they are, times in the source's zone, text by the source's `date_format`."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from payments.config import SourceSection
from payments.source_columns import canonical_text, given_text, source_column


def read_dates(raw: pa.Table, source: SourceSection, *, business_date: date) -> pa.Array:
    """The requested date of n rows as date32, null where there is none or it cannot be read.

    A source that maps no such column asks for payment at once: on its business date.
    """
    column = source_column(raw, source, "requested_date")
    if column is None:
        text = given_text(raw, source, "requested_date")
        if text is None:
            return pa.repeat(pa.scalar(business_date, pa.date32()), len(raw))
        return _from_text(text, source.date_format)
    if pa.types.is_date(column.type):
        return pc.cast(column, pa.date32()).combine_chunks()
    if pa.types.is_timestamp(column.type):
        return _from_times(column, source.zone)
    return _from_text(canonical_text(column), source.date_format)


def _from_times(column: pa.ChunkedArray, zone: str) -> pa.Array:
    """A time with a zone is the day it falls on at the source; one without is taken as the source's own."""
    if column.type.tz is not None:
        column = pc.local_timestamp(pc.cast(column, pa.timestamp("us", tz=zone)))
    return pc.cast(pc.floor_temporal(column, unit="day"), pa.date32()).combine_chunks()


def _from_text(text: pa.Array, date_format: str) -> pa.Array:
    # Few distinct dates stand in many rows: each is parsed once.
    coded = text.dictionary_encode()
    days = [None if each is None else _day(each.strip(), date_format) for each in coded.dictionary.to_pylist()]
    return pa.array(days, pa.date32()).take(coded.indices)


def _day(text: str, date_format: str) -> date | None:
    try:
        return datetime.strptime(text, date_format).replace(tzinfo=UTC).date()
    except ValueError:
        return None
