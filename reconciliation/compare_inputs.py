"""Recognise a file that is to be compared by its content, and make it readable: delimited text or Parquet.

Delimited text is read through once before the engine sees it: it must be text, its encoding and line ends become known, and
its lines are counted, so that a reader's silent loss of lines cannot go unseen.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payments.errors import Unreadable, WrongConfiguration
from reconciliation.compare_columns import Column
from reconciliation.compare_scan import Scan, as_clean_text, scan_text

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_BYTES = 1 << 20
SAMPLE_RECORDS = 200
COLUMNS_MAX = 500
UNPACKED_BYTES_MAX = 64 << 30
PARQUET_MAGIC = b"PAR1"
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Input:
    """One file, ready to be read at `path`. `scan` is None for Parquet."""

    side: str
    original: Path
    path: Path
    columns: tuple[Column, ...]
    stamp: tuple[int, int]
    delimiter: str = ""
    scan: Scan | None = None
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.side} {self.original.name}"

    def check_unchanged(self) -> None:
        """A file that grew or was replaced while it was read proves nothing. Raises Unreadable."""
        if stamp_of(self.original) != self.stamp:
            raise Unreadable(
                f"{self.label} changed while it was read", next_step="Wait until it is complete and compare again."
            )


def stamp_of(path: Path) -> tuple[int, int]:
    """Size and time of change; (-1, -1) when the file is gone."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def open_input(engine: Any, side: str, original: Path, workspace: Path) -> Input:
    """Recognise one file by its first bytes. Raises WrongConfiguration (no such file) or Unreadable."""
    label = f"{side} {original.name}"
    if not original.is_file():
        raise WrongConfiguration(f"{label} is not a file", next_step="Name two files: tieout reconcile LEFT RIGHT.")
    stamp = stamp_of(original)
    try:
        with original.open("rb") as opened:
            magic = opened.read(4)
    except OSError as error:
        raise Unreadable(f"{label} cannot be opened: {error.strerror}", next_step="Check its permissions.") from error
    if not magic:
        raise Unreadable(f"{label} is empty: not even a header line")
    # A link of a fixed name: the engine would read `*` and `[` in a name as a pattern and guess from its extension.
    link = workspace / side.lower()
    link.symlink_to(original.resolve())
    if magic == PARQUET_MAGIC:
        return Input(side, original, link, _parquet_columns(engine, label, link), stamp)
    return _delimited(side, original, link, stamp, is_gzip=magic.startswith(GZIP_MAGIC))


def _delimited(side: str, original: Path, link: Path, stamp: tuple[int, int], *, is_gzip: bool) -> Input:
    label = f"{side} {original.name}"
    path, notes = link, []
    if is_gzip:
        path = link.with_name(f"{link.name}-unpacked")
        _unpack(label, link, path)
    scan = scan_text(label, path)
    if not scan.is_utf8:
        notes.append(f"{label} is not UTF-8: read as Latin-1")
    if not scan.is_utf8 or scan.mixed_line_ends:
        path = as_clean_text(path, link.with_name(f"{link.name}-clean"), is_utf8=scan.is_utf8)
        scan = scan_text(label, path)
    delimiter, names = sniff_header(label, _sample(path))
    columns = tuple(Column(index, name) for index, name in enumerate(names))
    _check_names(label, names)
    return Input(side, original, path, columns, stamp, delimiter, scan, tuple(notes))


def _unpack(label: str, source: Path, target: Path) -> None:
    try:
        with gzip.open(source) as packed, target.open("wb") as unpacked:
            while block := packed.read(SAMPLE_BYTES):
                if unpacked.tell() > UNPACKED_BYTES_MAX:
                    raise Unreadable(
                        f"{label} unpacks to more than {UNPACKED_BYTES_MAX >> 30} GiB", next_step="Unpack it first."
                    )
                unpacked.write(block)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Unreadable(f"{label} is not a whole gzip file") from error
    if target.stat().st_size == 0:
        raise Unreadable(f"{label} is empty: not even a header line")


def _sample(path: Path) -> str:
    """The first whole lines as text, without a byte order mark."""
    with path.open("rb") as opened:
        head = opened.read(SAMPLE_BYTES)
        if opened.read(1):
            cut = max(head.rfind(b"\n"), head.rfind(b"\r"))
            head = head[: cut + 1] if cut >= 0 else head
    return head.decode("utf-8-sig", "ignore")


def sniff_header(label: str, sample: str) -> tuple[str, list[str]]:
    """The delimiter and the column names. Raises Unreadable when the first line can be no header.

    The delimiter is the one that cuts most of the sampled records into as many fields as the header, then the one that
    gives more columns: `1,50;2,50` under `a;b` is not comma separated.
    """
    best: tuple[float, int, str, list[str]] | None = None
    for delimiter in DELIMITERS:
        records = _records(sample, delimiter)
        if not records or not records[0]:
            raise Unreadable(f"{label}: the first line is blank", next_step="The first line must name the columns.")
        widths = Counter(len(record) for record in records[1:] if record)
        width = len(records[0])
        agreeing = widths[width] / max(widths.total(), 1) if widths else 1.0
        candidate = (agreeing if width > 1 else 0.0, width, delimiter, records[0])
        if best is None or candidate[:2] > best[:2]:
            best = candidate
    assert best is not None
    return best[2], [name.strip() for name in best[3]]


def _records(sample: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    records: list[list[str]] = []
    try:
        for record in reader:
            records.append(record)
            if len(records) > SAMPLE_RECORDS:
                break
    except csv.Error:  # a field beyond the limit: what was read so far decides, the engine names the line
        return records
    return records


def _parquet_columns(engine: Any, label: str, path: Path) -> tuple[Column, ...]:
    import duckdb

    quoted = str(path).replace("'", "''")
    try:
        tree = engine.sql(f"SELECT name, coalesce(num_children, 0) FROM parquet_schema('{quoted}')").fetchall()
        described = engine.sql(f"DESCRIBE SELECT * FROM read_parquet('{quoted}')").fetchall()
    except duckdb.Error as error:
        raise Unreadable(f"{label} is cut off or not Parquet, although it begins like it") from error
    names = _top_level(tree)
    _check_names(label, names)
    return tuple(Column(index, name, row[1]) for index, (name, row) in enumerate(zip(names, described, strict=True)))


def _top_level(tree: Sequence[tuple[str, int]]) -> list[str]:
    """Names of the columns out of the schema's depth-first list, whose first entry is the root."""
    names, depth = [], [tree[0][1]]
    for name, children in tree[1:]:
        while depth[-1] == 0:
            depth.pop()
        depth[-1] -= 1
        if len(depth) == 1:
            names.append(name)
        depth.append(children)
    return names


def _check_names(label: str, names: Sequence[str]) -> None:
    """Column names are present, unique without regard to case, and not too many. Raises Unreadable."""
    hint = "The first line must name every column, each name once."
    if len(names) > COLUMNS_MAX:
        raise Unreadable(f"{label} has {len(names)} columns; at most {COLUMNS_MAX} are compared", next_step=hint)
    folded = [name.strip().casefold() for name in names]
    if "" in folded:
        raise Unreadable(f"{label}: column {folded.index('') + 1} has no name", next_step=hint)
    for place, name in enumerate(folded):
        if name in folded[:place]:
            first = folded.index(name) + 1
            raise Unreadable(f"{label}: columns {first} and {place + 1} have the same name", next_step=hint)
