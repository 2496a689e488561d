"""Small legacy systems on both databases that extract reads, filled row by row; for tests only."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import psycopg

from extractors.open import open_source
from payments.config import SourceSection
from payments.remote_ports import Source

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
COLUMNS = {"amount": "AMT", "currency": "CCY", "direction": "DRCR", "creditor_name": "NAME"}
KINDS = ("epoch_ms", "timestamp", "integer")

Row = tuple[str | None, int, int, str | None, str, str, str | None]
"""PAY_NO, REV_NO, seconds behind START, AMT, CCY, DRCR, NAME."""


def row(pay: str | None, *, rev: int = 1, at: int = 0, amount: str | None = "12.50", name: str | None = "Payee") -> Row:
    return (pay, rev, at, amount, "EUR", "CRDT", name)


class SqliteLegacy:
    """A journal in an SQLite file; its timestamps are text in UTC."""

    types: ClassVar = {"epoch_ms": "INTEGER", "timestamp": "TEXT", "integer": "INTEGER"}

    def __init__(self, folder: Path, kind: str, *, keyed: bool = True) -> None:
        self.path, self.kind = folder / "legacy.db", kind
        key = ", PRIMARY KEY (PAY_NO, REV_NO)" if keyed else ""
        self.run(
            f"CREATE TABLE JOURNAL (PAY_NO TEXT, REV_NO INTEGER, CHG {self.types[kind]}, AMT DECIMAL, CCY TEXT,"
            f" DRCR TEXT, NAME TEXT{key})"
        )
        self.run("CREATE INDEX JOURNAL_CHG ON JOURNAL (CHG, PAY_NO, REV_NO)")

    def run(self, statement: str, values: Iterable[Any] = ()) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(statement, tuple(values))

    def insert(self, rows: Iterable[Row]) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            stamped = [(p, r, self.stamp(at), *rest) for p, r, at, *rest in rows]
            database.executemany("INSERT INTO JOURNAL VALUES (?, ?, ?, ?, ?, ?, ?)", stamped)

    def stamp(self, at: int) -> Any:
        moment = START + timedelta(seconds=at)
        match self.kind:
            case "epoch_ms":
                return int(moment.timestamp() * 1000)
            case "timestamp":
                return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return at + 1_000_000

    def section(self, **changed: Any) -> SourceSection:
        return section(**({"url": f"sqlite:{self.path.name}", "watermark_type": self.kind} | changed))

    def open(self, **changed: Any) -> AbstractContextManager[Source]:
        return open_source(self.section(**changed), password=None, base=self.path.parent)


class PostgresLegacy(SqliteLegacy):
    """The same journal in a schema of its own of a PostgreSQL database."""

    types: ClassVar = {"epoch_ms": "bigint", "timestamp": "timestamptz", "integer": "bigint"}

    def __init__(self, url: str, kind: str, *, keyed: bool = True) -> None:
        self.url, self.kind = url, kind
        self.schema = f"legacy_{uuid.uuid4().hex[:12]}"
        key = ', PRIMARY KEY ("PAY_NO", "REV_NO")' if keyed else ""
        self.run(f"CREATE SCHEMA {self.schema}")
        self.run(
            f'CREATE TABLE {self.schema}."JOURNAL" ("PAY_NO" text, "REV_NO" int, "CHG" {self.types[kind]},'
            f' "AMT" numeric, "CCY" char(3), "DRCR" text, "NAME" text{key})'
        )
        self.run(f'CREATE INDEX ON {self.schema}."JOURNAL" ("CHG", "PAY_NO", "REV_NO")')

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, options=f"-c search_path={self.schema}")

    def run(self, statement: str, values: Iterable[Any] = ()) -> None:
        with psycopg.connect(self.url, autocommit=True) as database:
            database.execute(statement, tuple(values) or None)

    def insert(self, rows: Iterable[Row]) -> None:
        statement = f'COPY {self.schema}."JOURNAL" FROM STDIN'
        with psycopg.connect(self.url) as database, database.cursor().copy(statement) as copy:
            for pay, rev, at, *rest in rows:
                copy.write_row((pay, rev, self.stamp(at), *rest))

    def section(self, **changed: Any) -> SourceSection:
        settings = {"url": self.url, "table": f"{self.schema}.JOURNAL", "watermark_type": self.kind}
        return section(**(settings | changed))

    def open(self, **changed: Any) -> AbstractContextManager[Source]:
        return open_source(self.section(**changed), password=None, base=Path())


def section(**changed: Any) -> SourceSection:
    """A source over a JOURNAL table."""
    settings: dict[str, Any] = {
        "name": "legacy",
        "url": "sqlite:legacy.db",
        "table": "JOURNAL",
        "primary_key": ["PAY_NO"],
        "watermark": "CHG",
        "watermark_type": "epoch_ms",
        "columns": COLUMNS,
        "timeout_s": 10,
    }
    return SourceSection(**(settings | changed))


def rows_of(source: Source, after: Any, upto: Any) -> list[dict[str, Any]]:
    """All rows of a range as dictionaries."""
    return [each for batch in source.read(after, upto) for each in batch.to_pylist()]
