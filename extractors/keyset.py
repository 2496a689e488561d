"""The keyset of a source's table: the total order in which it is read, as SQL, for every kind of database.

The order is (watermark, configured primary key, what else the table's own primary key holds). The last part matters for
journals, where several rows share one payment and one watermark. Identifiers are quoted here and nowhere else, after it was
checked that they exist; values are only ever bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from payments.config import SourceSection
from payments.errors import WrongConfiguration
from payments.remote_ports import Position
from payments.tables import RAW_EXTRA

NAMES_SHOWN_MAX = 60
TIES_MAX = 200_000
"""Rows that may share one position (only where the table declares no primary key): they cannot be cut apart."""

Ask = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Runs one SELECT with bound values and returns its rows."""


def quoted(name: str) -> str:
    """An identifier as SQL."""
    return '"' + name.replace('"', '""') + '"'


def key_columns(source: SourceSection, declared: Sequence[str]) -> tuple[str, ...]:
    """The columns of the keyset. `declared` is the table's own primary key, in its order."""
    return tuple(dict.fromkeys((source.watermark, *source.primary_key, *declared)))


def check_columns(source: SourceSection, existing: Sequence[str]) -> None:
    """Raises WrongConfiguration when a configured column does not exist, naming it and those that do."""
    wanted = {source.watermark, *source.primary_key, *source.columns.values()}
    if source.stopped is not None:
        wanted.add(source.stopped.column)
    missing = sorted(wanted - set(existing))
    if missing:
        raise WrongConfiguration(
            f"source {source.name}: table {source.table!a} has no column {', '.join(map(ascii, missing))}",
            next_step=f"Correct the names (upper and lower case count); the table has: {shown(existing)}.",
        )
    taken = sorted(set(RAW_EXTRA.names) & set(existing))
    if taken:
        raise WrongConfiguration(
            f"source {source.name}: column {taken[0]!a} of table {source.table!a} has a name that raw objects need",
            next_step="Give the source a view in which this column has another name.",
        )


def shown(names: Sequence[str]) -> str:
    """Names for a message, in order, cut at a limit."""
    more = "" if len(names) <= NAMES_SHOWN_MAX else f" and {len(names) - NAMES_SHOWN_MAX} more"
    return ", ".join(map(ascii, sorted(names)[:NAMES_SHOWN_MAX])) + more if names else "none"


@dataclass(frozen=True, slots=True)
class Keyset:
    """One table in its order. Per column: its name, the SQL that gives its JSON value, the SQL that takes one.

    `binds` hold the number of the bound value as `{n}`: `?{n}` or `${n}::uuid`. `nullable` names the columns that the table
    does not declare NOT NULL.
    """

    source: str
    table: str
    columns: tuple[str, ...]
    shows: tuple[str, ...]
    binds: tuple[str, ...]
    nullable: tuple[str, ...] = ()

    @property
    def names(self) -> str:
        return ", ".join(quoted(name) for name in self.columns)

    @property
    def falling(self) -> str:
        return ", ".join(f"{quoted(name)} DESC" for name in self.columns)

    def between(self, after: Position | None, upto: Position) -> tuple[str, list[Any]]:
        """The condition for (after, upto] and the values that it binds. Raises WrongConfiguration for a foreign position."""
        bounds = [(">", after), ("<=", upto)] if after is not None else [("<=", upto)]
        conditions, values = [], list[Any]()
        for sign, position in bounds:
            self._check(position or [])
            marks = (bind.format(n=len(values) + at) for at, bind in enumerate(self.binds, start=1))
            conditions.append(f"({self.names}) {sign} ({', '.join(marks)})")
            values.extend(position or [])
        return " AND ".join(conditions), values

    def last(self, ask: Ask, condition: str, values: Sequence[Any]) -> Position | None:
        """The last position that satisfies a condition."""
        found = ask(
            f"SELECT {', '.join(self.shows)} FROM {self.table} WHERE {condition} ORDER BY {self.falling} LIMIT 1",
            values,
        )
        return self._position(found[0]) if found else None

    def chunk_end(self, ask: Ask, after: Position | None, upto: Position, rows: int) -> tuple[Position, int] | None:
        """See payments.remote_ports.Source. More than `rows` rows only where several share the last position."""
        condition, values = self.between(after, upto)
        cut = ask(
            f"SELECT {', '.join(self.shows)} FROM {self.table} WHERE {condition}"
            f" ORDER BY {self.names} LIMIT 1 OFFSET {int(rows) - 1}",
            values,
        )
        end = self._position(cut[0]) if cut else self.last(ask, condition, values)
        if end is None:
            return None
        self._refuse_keyless(ask, after, end)
        condition, values = self.between(after, end)
        count = int(ask(f"SELECT count(*) FROM {self.table} WHERE {condition}", values)[0][0])
        if count > rows + TIES_MAX:
            raise self._wrong(f"more than {TIES_MAX} rows share one watermark and primary key")
        return end, count

    def _refuse_keyless(self, ask: Ask, after: Position | None, end: Position) -> None:
        # A comparison with NULL is never true: such a row would be passed over without a word.
        keys = [name for name in self.columns[1:] if name in self.nullable]
        if not keys:
            return
        watermark = quoted(self.columns[0])
        condition, values = f"{watermark} <= {self.binds[0].format(n=1)}", [end[0]]
        if after is not None:
            condition, values = f"{condition} AND {watermark} >= {self.binds[0].format(n=2)}", [end[0], after[0]]
        empty = " OR ".join(f"{quoted(name)} IS NULL" for name in keys)
        if ask(f"SELECT 1 FROM {self.table} WHERE {condition} AND ({empty}) LIMIT 1", values):
            raise self._wrong(f"a row has no value in its primary key ({', '.join(keys)})")

    def _position(self, row: tuple[Any, ...]) -> Position:
        if row[0] is None:
            raise self._wrong(f"a value of {self.columns[0]!a} is not a number or time that can be compared")
        return list(row)

    def _check(self, position: Position) -> None:
        if len(position) != len(self.columns):
            raise self._wrong(
                f"its watermark holds {len(position)} values, but it is read by {len(self.columns)} ({self.names})"
            )

    def _wrong(self, what: str) -> WrongConfiguration:
        return WrongConfiguration(
            f"source {self.source}, table {self.table}: {what}",
            next_step="`primary_key` and `watermark` must name columns that are never empty and tell rows apart, "
            "and that stay the same once the source has been read.",
        )
