"""Writes an outbound file in the format that its acquirer's configuration names: the register of formats we send."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

import pyarrow as pa

from formats.delimited_columns_out import write_delimited_columns
from formats.delimited_out import write_delimited
from formats.fixed_width_out import write_fixed_width
from formats.header import FileHeader
from formats.pain001 import DIALECTS as PAIN001
from formats.pain001 import write_pain001
from formats.pain008 import DIALECT as PAIN008
from formats.pain008 import write_pain008
from formats.rows import CountedRows
from formats.validation import validate_file
from payments.config_files import DelimitedColumns, FixedWidth, Layout
from payments.errors import WrongConfiguration

__all__ = ["FileHeader", "validate_file", "write_file"]


def write_file(
    format: str,  # noqa: A002  (the word that the configuration uses)
    header: FileHeader,
    batches: Iterable[pa.RecordBatch | pa.Table],
    sink: BinaryIO,
    layout: Layout | None = None,
) -> None:
    """Write the payments of `batches` (columns of payments.tables.CURATED, in file order) in constant memory.

    The same header and rows give the same bytes, however the rows are cut into batches. `layout` is for the formats that
    need one. Raises BooksOff when what was written is not `header.total` (a trailer is then not written), SetAside naming
    the payment that the format cannot hold, WrongConfiguration for a format we do not write.
    """
    rows = CountedRows(header, batches)
    match format, layout:
        case "delimited", _:
            write_delimited(header, rows, sink)
        case "delimited_columns", DelimitedColumns():
            write_delimited_columns(rows, sink, layout)
        case "fixed_width", FixedWidth():
            write_fixed_width(header, rows, sink, layout)
        case name, _ if name in PAIN001:
            write_pain001(header, rows, sink, name)
        case PAIN008.format, _:
            write_pain008(header, rows, sink)
        case (("delimited_columns" | "fixed_width"), _):
            raise WrongConfiguration(f"acquirer.{format}: format {format} needs this table")
        case _:
            raise WrongConfiguration(f"acquirer.format: {format!a} is unknown: it is none that Tieout writes")
