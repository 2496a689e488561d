"""Reads a source that is a PostgreSQL table or view: by keyset, exact, in constant memory, without overtaking late commits.

Integers arrive as int64, dates as date32, times as UTC timestamps (one without zone is local time of the source's `zone`),
everything else as PostgreSQL's own text: NUMERIC keeps every digit it has. In a chunk where a date or time column holds what
has no calendar day of four digits (infinity, years before 1), that whole column arrives as text: nothing is lost or bent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from extractors.bounds import AHEAD, STRAYS_COUNTED_MAX, epoch_ms, floored, wall_clock, zone_of
from extractors.keyset import Keyset, check_columns, key_columns, quoted, shown
from extractors.postgres_safety import UTC_TEXT, check_rights, outlived, safe_until
from extractors.postgres_session import Session, open_session
from payments.config import SourceSection
from payments.errors import WrongConfiguration
from payments.remote_ports import Position
from payments.tables import UTC

ROWS_PER_BATCH = 10_000
INTEGERS = frozenset({"int2", "int4", "int8"})
NUMBERS = INTEGERS | {"numeric"}
TIMES = frozenset({"timestamp", "timestamptz"})
LOCAL_TEXT = UTC_TEXT.removesuffix('"Z"')

CATALOG = """
    SELECT a.attname::text AS name, t.typname::text AS type, format_type(a.atttypid, a.atttypmod) AS spelled,
           CASE WHEN t.typname IN ('timestamp', 'timestamptz') AND a.atttypmod >= 0 THEN a.atttypmod ELSE 6 END::int8
             AS digits,
           a.attnotnull AS filled, coalesce(array_position(i.indkey::int2[], a.attnum), -1)::int8 AS at
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
      AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
    ORDER BY a.attnum
"""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as the catalog describes it. `at`: its place in the primary key, -1 outside; `digits` of a second."""

    name: str
    type: str
    spelled: str
    digits: int
    filled: bool
    at: int


@contextmanager
def open_postgres(source: SourceSection, password: bytes | None) -> Iterator[PostgresSource]:
    """One read-only session. Raises Unreachable, and WrongConfiguration for a missing table, column or right."""
    with open_session(source, password) as session:
        check_rights(session, source)
        yield PostgresSource(session, source)


class PostgresSource:
    """The port `Source`."""

    def __init__(self, session: Session, source: SourceSection) -> None:
        self._session = session
        self._source = source
        self._table = ".".join(quoted(part) for part in source.table.split(".", 1))
        self._relation = self._resolved()
        self._columns = [_Column(*row) for row in session.ask(CATALOG, [self._relation[0]])]
        check_columns(source, [column.name for column in self._columns])
        by_name = {column.name: column for column in self._columns}
        declared = sorted((column for column in self._columns if column.at >= 0), key=lambda column: column.at)
        keys = [by_name[name] for name in key_columns(source, [column.name for column in declared])]
        self._watermark = keys[0]
        self._check_watermark()
        self._keyset = Keyset(
            source=source.name,
            table=self._table,
            columns=tuple(key.name for key in keys),
            shows=tuple(f"{_shown(key)} AS k{at}" for at, key in enumerate(keys)),
            binds=tuple(f"${{n}}::{key.spelled.replace('{', '{{').replace('}', '}}')}" for key in keys),
            nullable=tuple(key.name for key in keys if not key.filled),
        )

    def upper_bound(self, now: datetime) -> Position | None:
        """See payments.remote_ports.Source. Logs how far an open transaction holds the bound back."""
        watermark = quoted(self._watermark.name)
        if self._source.watermark_type == "integer":
            last = self._keyset.last(self._session.ask, f"{watermark} IS NOT NULL", ())
            return last if last is None or outlived(self._session, self._source, self._relation) else None
        bound = safe_until(self._session, self._source, self._relation, now)
        if bound is None:
            return None
        condition = f"{watermark} < {self._keyset.binds[0].format(n=1)}"
        return self._keyset.last(self._session.ask, condition, [self._in_watermarks_form(bound)])

    def strays(self, now: datetime) -> int:
        """See payments.remote_ports.Source. An index on the watermark finds them at once."""
        watermark, values = quoted(self._watermark.name), list[Any]()
        condition = f"{watermark} IS NULL"
        if self._source.watermark_type != "integer":
            condition += f" OR {watermark} >= {self._keyset.binds[0].format(n=1)}"
            values.append(self._in_watermarks_form(now + AHEAD))
        counted = f"SELECT 1 FROM {self._table} WHERE {condition} LIMIT {STRAYS_COUNTED_MAX}"
        return int(self._session.ask(f"SELECT count(*) AS strays FROM ({counted}) AS counted", values)[0][0])

    def chunk_end(self, after: Position | None, upto: Position, rows: int) -> tuple[Position, int] | None:
        """See payments.remote_ports.Source."""
        with self._session.snapshot():
            return self._keyset.chunk_end(self._session.ask, after, upto, rows)

    def read(self, after: Position | None, upto: Position) -> Iterable[pa.RecordBatch]:
        """Batches of at most 10,000 rows; at least one batch, which may be empty."""
        condition, values = self._keyset.between(after, upto)
        with self._session.snapshot():
            odd = self._odd_columns(condition, values)
            columns = ", ".join(
                f"{_expression(each, each.name in odd)} AS {quoted(each.name)}" for each in self._columns
            )
            self._session.run(
                f"DECLARE tieout_rows NO SCROLL CURSOR FOR SELECT {columns} FROM {self._table}"
                f" WHERE {condition} ORDER BY {self._keyset.names}",
                values,
            )
            first = True
            while (rows := self._session.table(f"FETCH FORWARD {ROWS_PER_BATCH} FROM tieout_rows")).num_rows or first:
                yield _plain(rows)
                first = False

    def _resolved(self) -> tuple[int, str]:
        found = self._session.ask(
            "SELECT c.oid::int8 AS oid, CASE WHEN relkind IN ('r', 'p') THEN 'table' ELSE 'other' END AS kind,"
            " has_any_column_privilege(c.oid, 'SELECT') AS readable FROM pg_class c WHERE c.oid = to_regclass($1)",
            [self._table],
        )
        if not found:
            raise WrongConfiguration(
                f"source {self._source.name}: the database has no table {self._source.table!a}",
                next_step=f"It has: {shown(self._tables())}.",
            )
        oid, kind, readable = found[0]
        if not readable:
            raise WrongConfiguration(
                f"source {self._source.name}: the database user may not read table {self._source.table!a}",
                next_step=f"Have a database administrator GRANT SELECT ON {self._table} to the user of `url`.",
            )
        return int(oid), str(kind)

    def _tables(self) -> list[str]:
        rows = self._session.ask(
            "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
        return [str(row[0]) for row in rows]

    def _check_watermark(self) -> None:
        allowed = TIMES | {"date"} if self._source.watermark_type == "timestamp" else NUMBERS
        if self._watermark.type not in allowed:
            raise WrongConfiguration(
                f"source {self._source.name}: watermark column {self._watermark.name!a} is of type"
                f" {self._watermark.spelled}, but watermark_type {self._source.watermark_type!a} needs one of"
                f" {', '.join(sorted(allowed))}"
            )

    def _in_watermarks_form(self, bound: datetime) -> str:
        """An exclusive bound on the grid of the column: PostgreSQL rounds what is finer, up or down."""
        if self._source.watermark_type == "epoch_ms":
            return str(epoch_ms(bound))
        step = timedelta(microseconds=10 ** (6 - self._watermark.digits))
        if self._watermark.type == "timestamptz":
            return floored(bound, step).isoformat()
        local = wall_clock(bound, zone_of(self._source))
        return floored(local, timedelta(days=1) if self._watermark.type == "date" else step).isoformat()

    def _odd_columns(self, condition: str, values: Sequence[Any]) -> frozenset[str]:
        dated = [column for column in self._columns if column.type in TIMES | {"date"}]
        if not dated:
            return frozenset()
        checks = ", ".join(f"coalesce(bool_or({_is_odd(column)}), false) AS c{at}" for at, column in enumerate(dated))
        row = self._session.ask(f"SELECT {checks} FROM {self._table} WHERE {condition}", values)[0]
        return frozenset(column.name for column, odd in zip(dated, row, strict=True) if odd)


def _shown(column: _Column) -> str:
    """SQL for the JSON value of a key column: a number, or text that its type reads back as the same value."""
    name = quoted(column.name)
    if column.type in INTEGERS:
        return f"{name}::int8"
    if column.type == "timestamptz":
        return f"to_char({name} AT TIME ZONE 'UTC', '{UTC_TEXT}')"
    return f"to_char({name}, '{LOCAL_TEXT}')" if column.type == "timestamp" else f"{name}::text"


def _expression(column: _Column, odd: bool) -> str:
    name = quoted(column.name)
    if column.type in INTEGERS:
        return f"{name}::int8"
    if odd or column.type not in TIMES | {"date"}:
        return f"{name}::text"
    return name if column.type == "date" else f"{name}::timestamptz"


def _is_odd(column: _Column) -> str:
    name = quoted(column.name)
    if column.type == "date":
        return f"NOT {name} BETWEEN '0001-01-01' AND '9999-12-31'"
    # A day less at either end, so that no zone can push it over.
    return f"NOT ({name} >= '0001-01-02' AND {name} < '9999-12-31')"


def _plain(rows: pa.Table) -> pa.RecordBatch:
    """One batch without the driver's notes on its columns, its times labelled UTC (which they are)."""
    kinds = [UTC if pa.types.is_timestamp(field.type) else field.type for field in rows.schema]
    schema = pa.schema([pa.field(name, kind) for name, kind in zip(rows.column_names, kinds, strict=True)])
    whole = rows.combine_chunks()
    columns = [
        pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type) for column in whole.columns
    ]
    return pa.RecordBatch.from_arrays(
        [each.cast(kind) for each, kind in zip(columns, kinds, strict=True)], schema=schema
    )
