r"""Reads a source that is an SQLite file: by keyset, every value checked and given as exact text.

SQLite columns hold any type, whatever they declare, so each value is taken as text by the type it really has:

    TEXT      as it is                      INTEGER   its decimal digits
    REAL      its shortest text of at most 15 significant digits, if that text gives the same number again; else it is not
              exact, and `~` stands before 17 digits: no rule of curation takes that for an amount
    BLOB      `\x` and hexadecimal digits; the same for TEXT that is not UTF-8. A backslash is in no payment's character set

A declared DECIMAL turns '12.50' into the number 12.5: the amount is the same, the trailing zero is gone before we read.
SQLite has one writer at a time, but does not show it: a writer that stamps a row, waits for the lock and commits behind a
later stamp can be overtaken. Such sources should stamp inside the transaction, or use an `integer` watermark.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from extractors.bounds import STRAYS_COUNTED_MAX, epoch_ms, text_bound, zone_of
from extractors.keyset import Keyset, check_columns, key_columns, quoted, shown
from extractors.sqlite_strays import stray_rows
from payments.config import SourceSection
from payments.errors import TieoutError, Unreachable, WrongConfiguration
from payments.remote_ports import Position

ROWS_PER_BATCH = 10_000
STEPS_PER_LOOK = 100_000  # instructions of SQLite between two looks at the time limit


@contextmanager
def open_sqlite(source: SourceSection, path: Path) -> Iterator[SqliteSource]:
    """One read-only session. Raises WrongConfiguration (no such file, table or column) and Unreachable (locked)."""
    if not path.is_file():
        raise WrongConfiguration(
            f"source {source.name}: url names {path.name!a}, which is not a file of its directory",
            next_step=f"Put the database at {path} or correct `url` of this source.",
        )
    limit = _TimeLimit(source)
    with limit.running():
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=source.timeout_s, isolation_level=None
        )
    with closing(connection):
        connection.set_progress_handler(limit.is_over, STEPS_PER_LOOK)
        yield SqliteSource(connection, source, limit)


class _TimeLimit:
    """Ends statements that run too long, and says in our words what SQLite could not do."""

    def __init__(self, source: SourceSection) -> None:
        self._source = source
        self._ends_s = 0.0

    def is_over(self) -> bool:
        return time.monotonic() > self._ends_s

    @contextmanager
    def running(self) -> Iterator[None]:
        self._ends_s = time.monotonic() + self._source.timeout_s
        try:
            yield
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.Error) -> TieoutError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        name = f"source {self._source.name}: the SQLite database"
        match code:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return Unreachable(f"{name} stayed locked for {self._source.timeout_s} s")
            case sqlite3.SQLITE_INTERRUPT:
                return Unreachable(
                    f"{name} did not answer within {self._source.timeout_s} s",
                    next_step=f"Make an index on ({self._source.watermark}, primary key), or raise `timeout_s`.",
                )
            case sqlite3.SQLITE_NOTADB:
                return WrongConfiguration(f"{name} is not an SQLite file")
            case sqlite3.SQLITE_CORRUPT:
                return WrongConfiguration(
                    f"{name} is damaged",
                    next_step="Restore it from a backup; `PRAGMA integrity_check` shows the damage.",
                )
        return Unreachable(f"{name} cannot be read (SQLite error {code})")


class SqliteSource:
    """The port `Source`."""

    def __init__(self, connection: sqlite3.Connection, source: SourceSection, limit: _TimeLimit) -> None:
        self._connection = connection
        self._source = source
        self._limit = limit
        columns = self._ask('SELECT name, pk, "notnull" FROM pragma_table_info(?1)', [source.table])
        if not columns:
            tables = self._ask("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')", ())
            raise WrongConfiguration(
                f"source {source.name}: the database has no table {source.table!a}",
                next_step=f"It has: {shown([row[0] for row in tables])}.",
            )
        self._names = [name for name, _, _ in columns]
        check_columns(source, self._names)
        keys = key_columns(source, [name for name, at, _ in sorted(columns, key=lambda row: row[1]) if at])
        self._keyset = Keyset(
            source=source.name,
            table=quoted(source.table),
            columns=keys,
            shows=tuple(quoted(name) for name in keys),
            binds=("?{n}",) * len(keys),
            nullable=tuple(name for name, _, filled in columns if not filled),
        )

    def upper_bound(self, now: datetime) -> Position | None:
        """See payments.remote_ports.Source. Raises WrongConfiguration where the table has rows, and none of them can ever be read."""
        last = self._last(now)
        if last is None:
            self._refuse_strays_only(now)
        elif self._source.watermark_type != "timestamp" and isinstance(last[0], str | dict):
            raise self._wrong_watermark("is declared as text, so that its numbers have no numeric order")
        return last

    def strays(self, now: datetime) -> int:
        """See payments.remote_ports.Source. Times as text are all looked at: some 0.4 microseconds a row with an index on the watermark."""
        condition, values = stray_rows(self._source, self._newest(now), now)
        counted = f"SELECT 1 FROM {self._keyset.table} WHERE {condition} LIMIT {STRAYS_COUNTED_MAX}"
        return int(self._ask(f"SELECT count(*) FROM ({counted})", values)[0][0])

    def _last(self, now: datetime) -> Position | None:
        column = quoted(self._source.watermark)
        if self._source.watermark_type == "timestamp":
            newest = self._newest(now)
            if newest is None:
                return None
            return self._keyset.last(self._ask, f"{column} < ?1 AND {column} >= ''", [self._text_bound(newest, now)])
        if self._source.watermark_type == "epoch_ms":
            return self._keyset.last(self._ask, f"{column} < ?1", [epoch_ms(now)])
        return self._keyset.last(self._ask, f"{column} < ''", ())

    def chunk_end(self, after: Position | None, upto: Position, rows: int) -> tuple[Position, int] | None:
        """See payments.remote_ports.Source."""
        return self._keyset.chunk_end(self._ask, after, upto, rows)

    def read(self, after: Position | None, upto: Position) -> Iterable[pa.RecordBatch]:
        """Batches of at most 10,000 rows, every column string; at least one batch, which may be empty."""
        condition, values = self._keyset.between(after, upto)
        texts = ", ".join(_as_text(quoted(name)) for name in self._names)
        statement = f"SELECT {texts} FROM {self._keyset.table} WHERE {condition} ORDER BY {self._keyset.names}"
        with closing(self._connection.cursor()) as cursor:
            with self._limit.running():
                cursor.execute(statement, [_bindable(each) for each in values])
                rows = cursor.fetchmany(ROWS_PER_BATCH)
            yield self._batch(rows)
            while rows:
                with self._limit.running():
                    rows = cursor.fetchmany(ROWS_PER_BATCH)
                if rows:
                    yield self._batch(rows)

    def _batch(self, rows: list[tuple[bytes | None, ...]]) -> pa.RecordBatch:
        columns = zip(*rows, strict=True) if rows else ([] for _ in self._names)
        return pa.RecordBatch.from_arrays([_strings(column) for column in columns], names=self._names)

    def _ask(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._limit.running():
            found = self._connection.execute(statement, [_bindable(each) for each in values]).fetchall()
        return [tuple(_json_value(each) for each in row) for row in found]

    def _newest(self, now: datetime) -> str | None:
        """The newest time as text that is not of a later day. It shows the form: values far ahead often have another."""
        if self._source.watermark_type != "timestamp":
            return None
        column = quoted(self._source.watermark)
        tomorrow = (now.astimezone(zone_of(self._source)).date() + timedelta(days=1)).isoformat()
        sample = self._ask(
            f"SELECT {column} FROM {self._keyset.table} WHERE {column} < ?1 AND {column} >= '' ORDER BY {column} DESC LIMIT 1",
            [tomorrow],
        )
        return str(sample[0][0]) if sample else None

    def _text_bound(self, newest: str, now: datetime) -> str:
        bound = text_bound(newest, now, zone_of(self._source))
        if bound is None:
            raise self._wrong_watermark(
                "holds text that is not an ISO 8601 time in UTC or in local time without offset"
            )
        return bound

    def _refuse_strays_only(self, now: datetime) -> None:
        condition, values = stray_rows(self._source, None, now)
        table = self._keyset.table
        if self._ask(f"SELECT 1 FROM {table} WHERE NOT ({condition}) LIMIT 1", values):
            return
        if self._ask(f"SELECT 1 FROM {table} LIMIT 1", ()):
            raise self._wrong_watermark(
                f"has in no row a value that watermark_type {self._source.watermark_type!a} can use: nothing can be read"
            )

    def _wrong_watermark(self, what: str) -> WrongConfiguration:
        return WrongConfiguration(
            f"source {self._source.name}: watermark column {self._source.watermark!a} {what}",
            next_step="Choose another `watermark` or `watermark_type`, or give the source a view that converts the column.",
        )


def _as_text(column: str) -> str:
    """SQL for a column's value as UTF-8 bytes; the module's docstring gives the rules.

    Each branch casts for itself: most values are text, and one cast around the whole would copy them twice.
    """
    exact = f"CAST(CAST({column} AS TEXT) AS REAL) = {column}"
    return (
        f"CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB)"
        f" WHEN 'blob' THEN CAST('\\x' || hex({column}) AS BLOB)"
        f" WHEN 'real' THEN CAST(CASE WHEN {exact} THEN CAST({column} AS TEXT)"
        f" ELSE '~' || printf('%!.17g', {column}) END AS BLOB)"
        f" ELSE CAST(CAST({column} AS TEXT) AS BLOB) END"
    )


def _strings(values: Iterable[bytes | None]) -> pa.Array:
    r"""UTF-8 bytes as an Arrow string array; what is not UTF-8 becomes `\x` and hexadecimal digits."""
    given = pa.array(values, pa.binary())
    try:
        return given.cast(pa.string())  # checks a whole column at once
    except pa.ArrowInvalid:
        return pa.array([None if each is None else _decoded(each) for each in given.to_pylist()], pa.string())


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return f"\\x{value.hex().upper()}"


def _json_value(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _bindable(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
