"""Reads an outbound file back as an auditor would: its payments again from the bytes, and what the file claims of itself.

It shares nothing with the writers but the names of the formats and their declared layouts: a mistake of theirs must not
hide here.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from formats.recount_columns import recount_columns
from formats.recount_fixed import recount_fixed
from formats.recount_pain import MESSAGES, recount_pain
from formats.recounted import Fingerprint, Recounted, control_sum_holds
from formats.trailer import sums_of
from payments.config_files import DelimitedColumns, FixedWidth, Layout
from payments.errors import Unreadable, WrongConfiguration

__all__ = ["PD_FIELDS", "Fingerprint", "Recounted", "control_sum_holds", "recount"]

PD_FIELDS = 15


def recount(format: str, path: Path, layout: Layout | None = None) -> Recounted:  # noqa: A002  (the configuration's word)
    """Stream the file in constant memory; `layout` is the one that a format of ours without fixed fields was written by.

    Raises Unreadable, naming no value, when it is not such a file; WrongConfiguration for a format we do not write.
    """
    match format, layout:
        case "delimited", _:
            return _delimited(path)
        case "fixed_width", FixedWidth():
            return recount_fixed(path, layout)
        case "delimited_columns", DelimitedColumns():
            return recount_columns(path, layout)
        case (("fixed_width" | "delimited_columns"), _):
            raise Unreadable(f"it is not said by which layout this file of format {format} was written")
        case name, _ if name in MESSAGES:
            return recount_pain(path, MESSAGES[name])
        case _:
            raise WrongConfiguration(f"acquirer.format: {format!a} is unknown: it is none that Tieout writes")


def _delimited(path: Path) -> Recounted:
    found = Recounted()
    records = _records(path)
    head = next(records, [])
    if len(head) != 8 or head[:2] != ["FH", "TIEOUT1"]:
        raise Unreadable("the first line is not a header FH of TIEOUT1")
    found.stated |= {"file name": head[3], "message id": head[4], "sequence": head[5], "business date": head[6]}
    trailer: list[str] = []
    for record in records:
        if trailer:
            raise Unreadable("lines follow the trailer")
        if len(record) == PD_FIELDS and record[:2] == ["PD", str(found.count + 1)]:
            found.add(record[2], record[3], record[4], record[5], record[6])
        elif len(record) == 5 and record[0] == "FT":
            trailer = record
        else:
            raise Unreadable(f"the line behind payment {found.count} is neither the next payment nor the trailer")
    if not trailer or not _ends_its_last_line(path):
        raise Unreadable("the file ends before the end of its trailer")
    found.stated |= {"count": trailer[1], "trailer date": trailer[2], "trailer sequence": trailer[3]}
    found.stated["sums"] = sums_of(trailer[4])
    return found


def _records(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.reader(file, strict=True)
    except (csv.Error, UnicodeDecodeError) as error:
        raise Unreadable("the file is not UTF-8 text with RFC 4180 quotes") from error


def _ends_its_last_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
