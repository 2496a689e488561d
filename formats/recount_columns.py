"""Counts the payments of a delimited file with declared columns again, from its bytes and its layout."""

from __future__ import annotations

import csv
from pathlib import Path

from formats.recount_fixed import add_payment
from formats.recounted import Recounted
from payments.config_files import DelimitedColumns
from payments.errors import Unreadable


def recount_columns(path: Path, layout: DelimitedColumns) -> Recounted:
    """Stream the file in constant memory. Raises Unreadable when its titles or the columns of a line are others."""
    found = Recounted()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            records = csv.reader(file, delimiter=layout.separator, strict=True)
            if layout.head and next(records, []) != (layout.titles or layout.columns):
                raise Unreadable("the first line does not hold the titles")
            for record in records:
                if len(record) != len(layout.columns):
                    raise Unreadable(f"the line behind payment {found.count} has not the declared columns")
                add_payment(found, dict(zip(layout.columns, record, strict=True)), layout.date_format)
    except (csv.Error, UnicodeDecodeError):
        # Not chained: the library's text may quote values (I7).
        raise Unreadable("the file is not UTF-8 text with RFC 4180 quotes") from None
    if not _ends_its_last_line(path, b"\r\n" if layout.line_end == "crlf" else b"\n"):
        raise Unreadable("the file ends within a line")
    return found


def _ends_its_last_line(path: Path, end: bytes) -> bool:
    """An empty file has no line that could be cut off."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - len(end)))
        return file.read() == end or size == 0
