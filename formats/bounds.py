"""How many bytes a payment takes in a file at most: asked while files are divided, before any byte is written.

A bound, not an estimate: no file is larger than its head and the bounds of its rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from formats.details import LINE_ENDS
from formats.pain001 import DIALECTS as PAIN001
from formats.pain008 import DIALECT as PAIN008
from formats.pain_text import Dialect, group_starts
from formats.rows import TEXTS
from payments.config_files import DelimitedColumns, FixedWidth, Layout

Ints = npt.NDArray[np.int64]

MEASURED = ("payment_id", "end_to_end_id", "direction", "currency", "requested_date", *TEXTS)
"""The columns of payments.tables.CURATED that a bound depends on."""

AMOUNT = 22  # 19 digits, a point, and a zero before it
SUM = 48  # one currency and direction in a trailer: its name, and 30 digits
LINE_NUMBER = 20
TIEOUT1_HEAD, TIEOUT1_LINE = 512, 80
PAIN_HEAD = 900  # header, group header and the ends; the initiating party comes on top
PAIN_GROUP = 620  # the tags of one PmtInf, its identity, count, sum and date
PAIN_PAYMENT = 520  # the tags of one payment, its amount and currency
DAY = 10
SHORT = {"line": LINE_NUMBER, "amount": AMOUNT, "amount_minor": AMOUNT, "requested_date": DAY}


def head_bytes_max(format: str, layout: Layout | None, initiating_party: str) -> int:  # noqa: A002
    """What a file of this format takes besides its payments."""
    match layout:
        case FixedWidth():
            around = sum(each.width for each in layout.field if each.record != "detail")
            return around + 2 * len(LINE_ENDS[layout.line_end])
        case DelimitedColumns():
            titles = sum(2 * len(each.encode()) + 3 for each in layout.titles or layout.columns)
            return titles + 2 if layout.head else 0
        case _ if format == "delimited":
            return TIEOUT1_HEAD
        case _:
            return PAIN_HEAD + 5 * len(initiating_party.encode())


def row_bytes_max(format: str, layout: Layout | None, rows: pa.Table) -> Ints:  # noqa: A002  (the configuration's word)
    """One bound per row of a table with the columns MEASURED, in the order in which they stand in the file.

    What a file says once per group or currency is counted where the value differs from the row before.
    """
    if not len(rows):
        return _zeros(0)
    batch = rows.select(MEASURED).combine_chunks().to_batches()[0]
    match layout:
        case FixedWidth():
            width = sum(each.width for each in layout.field if each.record == "detail")
            return np.full(len(rows), width + len(LINE_ENDS[layout.line_end]), np.int64)
        case DelimitedColumns():
            return _columns(batch, layout)
        case _ if format == "delimited":
            texts = sum((_quoted(batch[name], ",") for name in ("end_to_end_id", *TEXTS)), _zeros(len(batch)))
            sums = _zeros(len(batch))
            sums[group_starts(batch, ("currency", "direction"))] = SUM
            return texts + sums + TIEOUT1_LINE
        case _:
            return _pain(batch, PAIN001.get(format, PAIN008))


def _pain(batch: pa.RecordBatch, dialect: Dialect) -> Ints:
    escaped = {name: _escaped(batch[name]) for name in ("end_to_end_id", *TEXTS)}
    starts = group_starts(batch, dialect.grouped_by)
    groups = _zeros(len(batch))
    # What a group names is not said again by its payments.
    groups[starts] = PAIN_GROUP + sum(escaped[name][starts] for name in dialect.grouped_by if name in escaped)
    texts = sum((size for name, size in escaped.items() if name not in dialect.grouped_by), _zeros(len(batch)))
    # One byte more each: a group ends with its batch of 50,000 rows, and then begins once more.
    return texts + groups + PAIN_PAYMENT + 1


def _columns(batch: pa.RecordBatch, layout: DelimitedColumns) -> Ints:
    fixed = sum(SHORT.get(name, 0) + 1 for name in layout.columns) + 2
    texts = [_quoted(batch[name], layout.separator) for name in layout.columns if name not in SHORT]
    return sum(texts, _zeros(len(batch))) + fixed


def _zeros(rows: int) -> Ints:
    return np.zeros(rows, np.int64)


def _quoted(column: pa.Array, separator: str) -> Ints:
    """Each value with its quotes doubled, in quotes where it needs them."""
    special = pc.match_substring_regex(column, f'["\r\n{separator}]')
    return _length(column) + _count(column, '"') + 2 * _ints(pc.cast(special, pa.int64()))


def _escaped(column: pa.Array) -> Ints:
    return (
        _length(column)
        + 4 * _count(column, "&")
        + 3 * _count(column, "<")
        + 3 * _count(column, ">")
        + 4 * _count(column, "\r")
    )


def _length(column: pa.Array) -> Ints:
    return _ints(pc.binary_length(column))


def _count(column: pa.Array, character: str) -> Ints:
    return _ints(pc.count_substring(column, character))


def _ints(column: pa.Array) -> Ints:
    found: Ints = pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return found
