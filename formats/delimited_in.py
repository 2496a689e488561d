"""Reads an acquirer's delimited acknowledgement (AH, AK, AT) or results (RH, RD, RT), whichever its first line says.

Blocks without anything unusual go through Arrow's reader as a whole. A block that Arrow refuses, or that holds quotes, is read
line by line, so that one bad line costs only itself. Each record is one row: the header, AK and the trailer as control.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from formats.delimited_lines import BOM, LINE_BYTES_MAX, Block, OpenQuotes, blocks, fields_of
from formats.reported import Reading, not_readable
from formats.stated import GROUP_STATUSES, Origin, Stated, StatedRows, reported, time_of
from formats.trailer import COUNT, count_problems, sum_problems
from payments.books import Total
from payments.totals import total_of_columns

VERSION = "TIEOUT1"
REQUIRED = frozenset({"end_to_end_id", "amount", "currency", "direction"})
EVENT_FIELDS = (
    "tag",
    "number",
    "end_to_end_id",
    "status",
    "reason_code",
    "amount",
    "currency",
    "direction",
    "requested_date",
    "creditor_account",
    "acquirer_reference",
    "stated_at",
)
"""The fields of RD."""
TAGS = (b"AH,", b"AK,", b"AT,", b"RH,", b"RD,", b"RT,")
NO_HASHES = pa.nulls(0, pa.binary(32))  # pa.array looks for pandas: not while this is imported


@dataclass(frozen=True, slots=True)
class Head:
    """The first line: whose file the others speak of."""

    is_results: bool
    original_file: str
    original_msg_id: str
    original_sequence: int
    created_at: datetime


def read_delimited(path: Path, zone: ZoneInfo) -> Reading:
    """Raises Unreadable when the file is empty, not UTF-8, holds NUL or does not begin with a header that we know."""
    return Reading(path.name, lambda reading: _File(reading, path, zone).batches())


def result_number(path: Path) -> int | None:
    """The `<n>` in the header of a delimited result file; None: it has none, or is of another kind."""
    with path.open("rb") as file:
        first = file.readline(LINE_BYTES_MAX).removeprefix(BOM)
    try:
        fields = fields_of(first.decode("utf-8").rstrip("\r\n"))
    except ValueError:
        return None
    numbered = len(fields) == 7 and fields[:2] == ["RH", VERSION] and COUNT.fullmatch(fields[6])
    return int(fields[6]) if numbered else None


class _File:
    """The state of one pass over one file."""

    def __init__(self, reading: Reading, path: Path, zone: ZoneInfo) -> None:
        self.reading = reading
        self.path = path
        self.zone = zone
        self.line = 0  # records so far
        self.open = b""  # a record whose quotes are still open
        self.rows = StatedRows()
        self.answers = 0  # RD or AK records so far, readable or not
        self.total = Total()
        self.trailer: list[str] | None = None
        self.behind_trailer = False

    def batches(self) -> Iterator[pa.RecordBatch]:
        with self.path.open("rb") as file:
            first = file.readline(LINE_BYTES_MAX)
            self.head = self._head(first)
            self.origin = self._origin(self.head)
            self._control()
            yield reported(self.rows.take(), self.origin)
            for block in blocks(file):
                yield from self._block(block)
        if self.open:
            self._close_open()
            yield reported(self.rows.take(), self.origin)
        self._finish()

    def _head(self, first: bytes) -> Head:
        if not first:
            raise not_readable(self.reading.name, "it is empty")
        text = self._decoded(first.removeprefix(BOM)).rstrip("\r\n")
        try:
            fields = fields_of(text)
        except ValueError:
            fields = []
        if len(fields) != 7 or fields[0] not in {"AH", "RH"} or fields[1] != VERSION:
            raise not_readable(self.reading.name, f"its first line is not a header AH or RH of {VERSION}")
        is_results = fields[0] == "RH"
        created_at = time_of(fields[5 if is_results else 6], self.zone)
        if created_at is None or not COUNT.fullmatch(fields[4]):
            raise not_readable(self.reading.name, "its header has no sequence number or no creation time")
        return Head(is_results, fields[2], fields[3], int(fields[4]), created_at)

    def _origin(self, head: Head) -> Origin:
        self.reading.original_file = head.original_file or None
        self.reading.original_msg_id = head.original_msg_id or None
        self.reading.original_sequence = head.original_sequence
        return Origin(
            required=REQUIRED,
            zone=self.zone,
            original_file=self.reading.original_file,
            original_msg_id=self.reading.original_msg_id,
            original_sequence=head.original_sequence,
            stated_at=head.created_at,
        )

    def _block(self, block: Block) -> Iterator[pa.RecordBatch]:
        if b"\0" in block.text:
            raise not_readable(self.reading.name, "it holds NUL bytes")
        batch = None if block.overlong or block.cut_off else self._fast(block.text)
        if batch is None:
            self._slow(block)
            if not len(self.rows):
                return
            batch = reported(self.rows.take(), self.origin)
        if self.head.is_results:
            events = batch.filter(pc.equal(batch["level"], "TX"))
            self.total += total_of_columns(events["amount_minor"], events["currency"], events["direction"], NO_HASHES)
        yield batch

    def _fast(self, text: bytes) -> pa.RecordBatch | None:
        """The block as events, or None when a line of it is not a plain RD: then it is read line by line."""
        if not self.head.is_results or self.open or self.trailer is not None or b'"' in text:
            return None
        ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
        if len(ends) < 2 or int(np.diff(ends, prepend=-1).max()) > LINE_BYTES_MAX:
            return None
        table = _table_of(text)
        # Arrow also takes a lone CR as a line end: then its count differs from ours.
        if table is None or len(table) != len(ends):
            return None
        # An empty line comes as a row of nulls, which are not RD either.
        if not pc.all(pc.equal(table["tag"], "RD"), skip_nulls=False).as_py():
            return None
        columns = {name: table[name].combine_chunks() for name in EVENT_FIELDS}
        count = len(ends)
        lines = pa.array(np.arange(self.line + 1, self.line + count + 1))
        self.line += count
        self.answers += count
        levels = pa.repeat(pa.scalar("TX"), count)
        return reported(Stated(lines, levels, pa.nulls(count, pa.string()), columns), self.origin)

    def _slow(self, block: Block) -> None:
        if block.overlong:
            self._close_open()
            self._unreadable(f"line is longer than {LINE_BYTES_MAX} bytes")
            return
        lines = block.text.split(b"\n")
        if not block.cut_off:
            lines.pop()
        for number, raw in enumerate(lines, 1):
            self._line(raw, cut_off=block.cut_off and number == len(lines))

    def _line(self, raw: bytes, *, cut_off: bool) -> None:
        if self.open and (raw.startswith(TAGS) or len(self.open) + len(raw) > LINE_BYTES_MAX):
            self._close_open()
        joined = self.open + b"\n" + raw if self.open else raw
        self.open = b""
        if len(joined) > LINE_BYTES_MAX:
            self._unreadable(f"line is longer than {LINE_BYTES_MAX} bytes")
            return
        try:
            fields = fields_of(self._decoded(joined).removesuffix("\r"))
        except OpenQuotes:
            self.open = joined
            return
        except ValueError as error:
            self._unreadable(str(error))
            return
        # A trailer often lacks its line end; any other last line without one may have lost its last characters.
        if cut_off and fields[0] not in {"RT", "AT"}:
            self._answered(fields[0])
            self._unreadable("line is cut off")
            return
        self._record(fields)

    def _record(self, fields: list[str]) -> None:
        tag = fields[0]
        self._answered(tag)
        if self.trailer is not None:
            self.behind_trailer = True
            self._unreadable("line is behind the trailer")
        elif self.head.is_results and tag == "RD" and len(fields) == len(EVENT_FIELDS):
            self.line += 1
            self.rows.add(self.line, **dict(zip(EVENT_FIELDS[2:], fields[2:], strict=True)))
        elif not self.head.is_results and tag == "AK" and len(fields) in {6, 8} and self.answers == 1:
            self._acknowledgement(fields)
        elif tag == ("RT" if self.head.is_results else "AT") and len(fields) == (3 if self.head.is_results else 2):
            self.trailer = fields
            self._control()
        else:
            self._unreadable(f"not a record that may stand here, or not with {len(fields)} fields")

    def _acknowledgement(self, fields: list[str]) -> None:
        _, status, count, code, text, next_sequence = fields[:6]
        if status in GROUP_STATUSES:
            self.reading.group_status, self.reading.group_reason = status, code or None
        self.reading.original_count = int(count) if COUNT.fullmatch(count) else None
        self.reading.next_sequence = int(next_sequence) if COUNT.fullmatch(next_sequence) else None
        if len(fields) == 8:
            size, sha256 = fields[6], fields[7].lower()
            self.reading.original_size = int(size) if COUNT.fullmatch(size) else None
            self.reading.original_sha256 = sha256 or None
        error = None if status in GROUP_STATUSES else "unknown status"
        self.line += 1
        self.rows.add(self.line, level="GRP", status=status, reason_code=code, reason_text=text, error=error)

    def _answered(self, tag: str) -> None:
        self.answers += tag == ("RD" if self.head.is_results else "AK")

    def _control(self) -> None:
        self.line += 1
        self.rows.add(self.line, level="GRP")

    def _unreadable(self, error: str) -> None:
        self.line += 1
        self.rows.add(self.line, error=error)

    def _close_open(self) -> None:
        if self.open:
            self._answered(self.open[:2].decode("ascii", "replace"))
            self.open = b""
            self._unreadable("quotes are not closed")

    def _decoded(self, raw: bytes) -> str:
        if b"\0" in raw:
            raise not_readable(self.reading.name, "it holds NUL bytes")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise not_readable(self.reading.name, "it is not UTF-8") from None

    def _finish(self) -> None:
        """Compare the trailer with what was read: the only check that also catches a silent loss of ours."""
        if self.trailer is None:
            return
        self.reading.complete = not self.behind_trailer
        self.reading.problems += count_problems(self.trailer[1], self.answers)
        if self.head.is_results:
            self.reading.problems += sum_problems(self.trailer[2], self.total)


def _table_of(text: bytes) -> pa.Table | None:
    """The block through Arrow's reader: one string column per field, null where empty; None when it refuses a line."""
    import pyarrow.csv as arrow_csv

    strings = dict.fromkeys(EVENT_FIELDS, pa.string())
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(text),
            arrow_csv.ReadOptions(column_names=EVENT_FIELDS, use_threads=False, block_size=len(text) + 1),
            arrow_csv.ParseOptions(quote_char=False, newlines_in_values=False, ignore_empty_lines=False),
            arrow_csv.ConvertOptions(column_types=strings, strings_can_be_null=True, null_values=[""]),
        )
    except pa.ArrowInvalid:
        return None
