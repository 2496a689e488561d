"""Writes an outbound file in the format that its acquirer's configuration names: the register of formats we send."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

import pyarrow as pa

from formats.delimited_out import write_delimited
from formats.header import FileHeader
from formats.pain001 import write_pain001
from formats.rows import CountedRows
from formats.validation import validate_file
from payments.errors import WrongConfiguration

__all__ = ["FileHeader", "validate_file", "write_file"]


def write_file(
    format: str,  # noqa: A002  (the word that the configuration uses)
    header: FileHeader,
    batches: Iterable[pa.RecordBatch | pa.Table],
    sink: BinaryIO,
) -> None:
    """Write the payments of `batches` (columns of payments.tables.CURATED, in file order) in constant memory.

    The same header and rows give the same bytes, however the rows are cut into batches. Raises BooksOff when what was
    written is not `header.total` (a trailer is then not written), SetAside naming the payment that the format cannot
    hold, WrongConfiguration for a format we do not write.
    """
    rows = CountedRows(header, batches)
    match format:
        case "delimited":
            write_delimited(header, rows, sink)
        case "pain.001.001.09":
            write_pain001(header, rows, sink)
        case _:
            raise WrongConfiguration(f"acquirer.format: {format!a} is unknown; allowed: delimited, pain.001.001.09")
