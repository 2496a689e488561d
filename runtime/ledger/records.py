"""One table of the ledger as frozen records: add, get, find, change by compare-and-set."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import fields, replace
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, func, select

from payments.errors import Busy
from runtime.ledger.schema import KEYS, TABLES

R = TypeVar("R")

STREAMED_ROWS = 1_000


class SqlRecords(Generic[R]):
    """The port `Records` over one connection that is inside a transaction."""

    def __init__(self, connection: Connection, record: type[R]) -> None:
        self._connection = connection
        self._record = record
        self._table = TABLES[record]
        self._key = KEYS[record][1]
        self._names = [each.name for each in fields(record)]  # type: ignore[arg-type]

    def add(self, record: R) -> None:
        self._connection.execute(self._table.insert().values(**self._values(record)))

    def add_many(self, records: list[R]) -> None:
        if records:
            self._connection.execute(self._table.insert(), [self._values(each) for each in records])

    def get(self, *key: Any) -> R | None:
        where = [self._table.c[name] == value for name, value in zip(self._key, key, strict=True)]
        row = self._connection.execute(select(self._table).where(*where)).one_or_none()
        return None if row is None else self._record(*row)

    def find(self, *, order: str = "", limit: int = 0, after: Any = None, **where: Any) -> list[R]:
        statement = select(self._table).where(*self._where(where), *self._behind(order, after))
        for name in [order] if order else self._key:
            column = self._table.c[name.removeprefix("-")]
            statement = statement.order_by(column.desc() if name.startswith("-") else column)
        if limit:
            statement = statement.limit(limit)
        return [self._record(*row) for row in self._connection.execute(statement)]

    def each(self, *, order: str, **where: Any) -> Generator[R]:
        """Those that `find` would give, however many: read a thousand at a time, by one statement. To be closed."""
        statement = select(self._table).where(*self._where(where)).order_by(self._table.c[order])
        with self._connection.execute(statement, execution_options={"yield_per": STREAMED_ROWS}) as rows:
            for row in rows:
                yield self._record(*row)

    def change(self, record: R, **changes: Any) -> R:
        revision = getattr(record, "revision")  # noqa: B009  (R is any record; those without revision never change)
        changed: R = replace(record, **changes, revision=revision + 1)  # type: ignore[type-var]
        where = [self._table.c[name] == getattr(record, name) for name in self._key]
        values = {name: getattr(changed, name) for name in (*changes, "revision")}
        statement = self._table.update().where(*where, self._table.c.revision == revision).values(**values)
        if self._connection.execute(statement).rowcount != 1:
            raise Busy(
                f"{self._table.name} {'/'.join(str(getattr(record, name)) for name in self._key)} changed meanwhile"
            )
        return changed

    def count(self, *, order: str = "", after: Any = None, **where: Any) -> int:
        """How many `find` would give without a limit."""
        conditions = [*self._where(where), *self._behind(order, after)]
        statement = select(func.count()).select_from(self._table).where(*conditions)
        return int(self._connection.execute(statement).scalar_one())

    def counts_by(self, column: str, **where: Any) -> dict[str, int]:
        """Value of a column -> number of records."""
        field = self._table.c[column]
        statement = select(field, func.count()).where(*self._where(where)).group_by(field)
        return {str(value): int(count) for value, count in self._connection.execute(statement)}

    def _behind(self, order: str, after: Any) -> list[ColumnElement[bool]]:
        if after is None:
            return []
        name = order or self._key[0]
        column = self._table.c[name.removeprefix("-")]
        return [column < after if name.startswith("-") else column > after]

    def _where(self, where: dict[str, Any]) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        for name, value in where.items():
            column = self._table.c[name]
            if isinstance(value, tuple | set | frozenset):
                found.append(column.in_(sorted(value)))
            else:
                found.append(column.is_(None) if value is None else column == value)
        return found

    def _values(self, record: R) -> dict[str, Any]:
        return {name: getattr(record, name) for name in self._names}
