"""Writes payments as a delimited file TIEOUT1: UTF-8, LF, comma separated, RFC 4180 quotes only where needed.

    FH  acquirer, file name, message id, sequence, business date, creation time
    PD  one per payment, numbered from 1
    FT  count, business date, sequence, sums per currency and direction

Whole columns are joined at a time: a line is never a Python object.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from formats.header import FileHeader
from formats.rows import TEXTS, CountedRows, text_bytes
from payments.amounts import text_from_minor, text_of_minor
from payments.books import Total
from payments.currencies import MINOR_UNITS

VERSION = "TIEOUT1"
SPECIAL = '"\r\n'  # and the separator


def write_delimited(header: FileHeader, rows: CountedRows, sink: BinaryIO) -> None:
    """Write the whole file. Raises BooksOff before the trailer when the rows are not those that the header claims."""
    sink.write(_head(header).encode())
    first = 1
    for batch in rows:
        sink.write(_lines(batch, first))
        first += batch.num_rows
    rows.check()
    sink.write(_trailer(header, rows.total).encode())


def sums_text(total: Total) -> str:
    """`EUR/CRDT=123.45|USD/DBIT=1.00`, sorted by key, with the decimals of each currency."""
    return "|".join(
        f"{key}={text_of_minor(minor, MINOR_UNITS[key.partition('/')[0]])}"
        for key, minor in sorted(total.amount_minor.items())
    )


def _head(header: FileHeader) -> str:
    values = (header.acquirer, header.name, header.message_id)
    fixed = (header.sequence, header.business_date, header.created_at_text)
    return ",".join(["FH", VERSION, *map(quoted, values), *map(str, fixed)])


def _trailer(header: FileHeader, total: Total) -> str:
    return f"\nFT,{total.count},{header.business_date},{header.sequence},{sums_text(total)}\n"


def quoted(value: str, separator: str = ",") -> str:
    """The value, in quotes if it holds a separator, a quote or a line end (RFC 4180)."""
    doubled = value.replace('"', '""')
    return f'"{doubled}"' if any(character in SPECIAL + separator for character in value) else value


def _lines(batch: pa.RecordBatch, first: int) -> bytes:
    """The PD lines of a batch, each *preceded* by its line end: that saves a pass over the text to append it."""
    numbers = np.arange(first, first + batch.num_rows, dtype=np.int64)
    lines = pc.binary_join_element_wise(
        "\nPD",
        pc.cast(pa.array(numbers), pa.string()),
        quoted_column(batch["end_to_end_id"]),
        batch["direction"],
        text_from_minor(batch["amount_minor"], batch["minor_unit"].to_numpy()),
        batch["currency"],
        pc.cast(batch["requested_date"], pa.string()),
        *(quoted_column(batch[name]) for name in TEXTS),
        ",",
        null_handling="replace",
        null_replacement="",
    )
    return text_bytes(lines)


def quoted_column(column: pa.Array, separator: str = ",") -> pa.Array:
    """The same for many values; null stays null."""
    data, special = text_bytes(column), SPECIAL + separator
    if not any(character.encode() in data for character in special):
        return column
    doubled = pc.replace_substring(column, '"', '""')
    in_quotes = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(pc.match_substring_regex(column, f"[{special}]"), in_quotes, column)
