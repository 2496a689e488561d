"""Ledgers for tests: empty databases on SQLite and on a real PostgreSQL, and one valid record of every type."""

from __future__ import annotations

import typing
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path
from types import NoneType
from typing import Any

import psycopg
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from payments.books import Total
from runtime.ledger.engine import open_engine, writing
from runtime.ledger.schema import metadata

KINDS = ("sqlite", "postgresql")
NOON = datetime(2026, 3, 2, 12, 0, 0, 123456, UTC)
COLLATION = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'"
"""A locale in which `a-b` stands behind `aa`: an order that ours must not depend on."""


@dataclass
class StandingClock:
    """The port Clock, standing still."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at


@contextmanager
def empty_database(kind: str, folder: Path, server_url: Callable[[], str]) -> Iterator[str]:
    """The URL of a database without any table, as `ledger.url` takes it; a PostgreSQL one is dropped at the end."""
    if kind == "sqlite":
        folder.mkdir(parents=True, exist_ok=True)
        yield f"sqlite:{folder / f'{uuid.uuid4().hex}.db'}"
        return
    server, name = server_url(), f"ledger_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        try:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0 {COLLATION}')  # type: ignore[call-overload]
        except psycopg.Error:  # before version 15, or built without ICU
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload]


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """An engine of its own, as another process would have."""
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def clear(engine: Engine) -> None:
    """Take every row out of every table."""
    with writing(engine) as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())


def sample(record: type, **given: Any) -> Any:
    """A record of this type with something plausible in every field that is not given."""
    hints = typing.get_type_hints(record)
    return record(**{each.name: _plausible(hints[each.name], each.name) for each in fields(record)} | given)


def _plausible(hint: Any, name: str) -> Any:
    arguments = typing.get_args(hint)
    if NoneType in arguments:
        return None
    values: dict[Any, Any] = {
        str: name,
        int: 0,
        bool: False,
        date: date(2026, 3, 2),
        datetime: NOON,
        Total: Total(),
        dict: {},
        list: [],
    }
    return values[typing.get_origin(hint) or hint]
