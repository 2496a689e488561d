"""Read delimited text through once: is it text, in which encoding, with which line ends, and how many lines has it?

Quoting follows RFC 4180: a line end between an odd and the next quote belongs to a value. Each block is reduced to its quotes
and line ends; a pair of neighbouring quotes changes nothing and is struck out, so what is left is small and the scan quick.
"""

from __future__ import annotations

import codecs
import csv
from dataclasses import dataclass
from pathlib import Path

from payments.errors import Unreadable

BLOCK_BYTES = 1 << 20
LINE_BYTES_MAX = 2_000_000
OPEN_QUOTE = "a quote is not closed, or text follows a closing one"
_PAIR = b"\0"  # stands for CR LF once a block is known to hold no zero byte
_ALL_BUT_QUOTES_AND_LINE_ENDS = bytes(byte for byte in range(256) if byte not in b'"\r\n\0')


@dataclass(frozen=True, slots=True)
class Scan:
    """`lines` counts line ends outside quotes and a last line without one, blank lines included.

    `open_quote`: the number of quotes is odd, so that one may never be closed.
    """

    is_utf8: bool
    lines: int
    mixed_line_ends: bool
    quoted_line_ends: bool
    open_quote: bool


class _LineCounter:
    """Counts line ends outside quotes over blocks; a carriage return at a block's end waits for what follows."""

    def __init__(self) -> None:
        self.inside = False
        self.pending = b""
        self.ends = {_PAIR: 0, b"\n": 0, b"\r": 0}
        self.quoted_line_ends = False

    def feed(self, block: bytes) -> None:
        whole = self.pending + block
        self.pending = b"\r" if whole.endswith(b"\r") else b""
        whole = whole[: len(whole) - len(self.pending)].replace(b"\r\n", _PAIR)
        marks = whole.translate(None, _ALL_BUT_QUOTES_AND_LINE_ENDS).replace(b'""', b"")
        first, *rest = marks.split(b'"')
        self._count(first)
        for part in rest:
            self.inside = not self.inside
            self._count(part)

    def finish(self) -> None:
        self._count(self.pending)

    def _count(self, part: bytes) -> None:
        if self.inside:
            self.quoted_line_ends = self.quoted_line_ends or bool(part)
            return
        for end in self.ends:
            self.ends[end] += part.count(end)


def scan_text(label: str, path: Path) -> Scan:
    """Read the whole file in blocks. Raises Unreadable for what is not text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    counter = _LineCounter()
    is_utf8, last = True, b""
    with path.open("rb") as opened:
        while block := opened.read(BLOCK_BYTES):
            if b"\0" in block:
                raise Unreadable(
                    f"{label} is neither delimited text nor Parquet: it holds zero bytes",
                    next_step="Save it as CSV in UTF-8, or as Parquet.",
                )
            is_utf8 = is_utf8 and _decodes(decoder, block)
            counter.feed(block)
            last = block[-1:]
    is_utf8 = is_utf8 and _decodes(decoder, b"", final=True)
    counter.finish()
    return Scan(
        is_utf8=is_utf8,
        lines=sum(counter.ends.values()) + (last not in b"\r\n"),
        mixed_line_ends=sum(count > 0 for count in counter.ends.values()) > 1,
        quoted_line_ends=counter.quoted_line_ends,
        open_quote=counter.inside,
    )


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def as_clean_text(source: Path, target: Path, *, is_utf8: bool) -> Path:
    """A copy in UTF-8 whose lines all end in a line feed, because the engine refuses mixed line ends."""
    encoding = "utf-8" if is_utf8 else "latin-1"
    with (
        source.open(encoding=encoding, newline=None) as given,
        target.open("w", encoding="utf-8", newline="\n") as clean,
    ):
        while block := given.read(BLOCK_BYTES):
            clean.write(block)
    return target


def records_in(label: str, path: Path, delimiter: str) -> int:
    """Records that are not blank, the header included, as Python's own reader counts them: slow, for a second opinion.

    Raises Unreadable, with the line, for a quote that is never closed or followed by text.
    """
    limit_before, line = csv.field_size_limit(LINE_BYTES_MAX), 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            reader, records = csv.reader(opened, delimiter=delimiter, strict=True), 0
            for record in reader:
                records += bool(record)
                line = reader.line_num + 1
            return records
    except csv.Error as error:
        raise Unreadable(f"{label}, line {line}: {OPEN_QUOTE}") from error
    finally:
        csv.field_size_limit(limit_before)
