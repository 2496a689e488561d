"""Writes payments as a delimited file with declared columns: UTF-8, RFC 4180 quotes only where needed, no trailer."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from formats.delimited_out import quoted, quoted_column
from formats.details import LINE_ENDS, detail_text
from formats.rows import CountedRows, refuse_where, text_bytes
from payments.config_files import DelimitedColumns


def write_delimited_columns(rows: CountedRows, sink: BinaryIO, layout: DelimitedColumns) -> None:
    """Write the whole file. Raises SetAside, naming the payment, for one without reference, and BooksOff.

    The file says nothing of itself but its titles.
    """
    end = LINE_ENDS[layout.line_end]
    if layout.head:
        titles = layout.titles or layout.columns
        sink.write((layout.separator.join(quoted(each, layout.separator) for each in titles) + end).encode())
    first = 1
    for batch in rows:
        refuse_where(batch, pc.equal(batch["end_to_end_id"], ""), "end_to_end_id is missing")
        sink.write(_lines(batch, layout, first))
        first += batch.num_rows
    rows.check()


def _lines(batch: pa.RecordBatch, layout: DelimitedColumns, first_line: int) -> bytes:
    columns = [
        quoted_column(detail_text(batch, name, first_line, layout.date_format), layout.separator)
        for name in layout.columns
    ]
    lines = pc.binary_join_element_wise(*columns, layout.separator)
    return text_bytes(pc.binary_join_element_wise(lines, LINE_ENDS[layout.line_end], ""))
