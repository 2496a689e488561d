"""Cuts a delimited result file into blocks of whole lines, and single lines into fields: bounded whatever the bytes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK_BYTES = 4 * 1024 * 1024
LINE_BYTES_MAX = 64 * 1024
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Block:
    """Whole physical lines, each with its line end; only the last line of a file may lack it."""

    text: bytes
    cut_off: bool = False  # the last line has no line end
    overlong: bool = False  # `text` is the beginning of one line that was longer than allowed; its rest is skipped


def blocks(file: BinaryIO) -> Iterator[Block]:
    """All lines from the current position, in order. The last line of the file comes as a block of its own."""
    rest = b""
    while chunk := file.read(BLOCK_BYTES):
        rest += chunk
        cut = rest.rfind(b"\n", 0, len(rest) - 1) + 1  # the last whole line stays back: it may be the file's last
        if cut:
            yield Block(rest[:cut])
            rest = rest[cut:]
        if len(rest) > LINE_BYTES_MAX:
            yield Block(rest[:LINE_BYTES_MAX], overlong=True)
            rest = _after_line(file, rest)
    if rest:
        yield Block(rest, cut_off=not rest.endswith(b"\n"))


def _after_line(file: BinaryIO, rest: bytes) -> bytes:
    """What follows the line that `rest` is the beginning of, as far as it was read."""
    while b"\n" not in rest:
        rest = file.read(BLOCK_BYTES)
        if not rest:
            return b""
    return rest.partition(b"\n")[2]


class OpenQuotes(ValueError):
    """The line ends inside quotes: by RFC 4180 its record goes on in the next line."""


def fields_of(line: str) -> list[str]:
    """The fields of one record. Raises OpenQuotes, or ValueError for a line that RFC 4180 does not allow."""
    if '"' not in line:
        return line.split(",")
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise OpenQuotes("quotes are not closed") from None
        raise ValueError("quotes are misplaced") from None
    return rows[0]
