"""Opens the ledger's database: SQLite on one machine, PostgreSQL elsewhere, and says what time it is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError

from payments.errors import Busy, Unreachable, WrongConfiguration

BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 60


def open_engine(url: str, *, password: str = "") -> Engine:
    """An engine for `sqlite:FILE` (absolute by now) or `postgresql://...`. Raises WrongConfiguration."""
    if url.startswith("sqlite:"):
        return _sqlite(url.removeprefix("sqlite:"))
    if url.startswith("postgresql:"):
        return _postgresql(url, password)
    raise WrongConfiguration(
        f"ledger.url: found {url!r}, allowed are sqlite:FILE and postgresql://user@host:port/database"
    )


def _sqlite(path: str) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        isolation_level="AUTOCOMMIT",
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine


def _postgresql(url: str, password: str) -> Engine:
    try:
        address = make_url(url).set(drivername="postgresql+psycopg")
    except ArgumentError as error:
        raise WrongConfiguration("ledger.url is not a database address") from error
    if password:
        address = address.set(password=password)
    options = f"-c statement_timeout={STATEMENT_TIMEOUT_S * 1000} -c idle_in_transaction_session_timeout=300000"
    return create_engine(
        address,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "options": options},
        pool_pre_ping=True,
        pool_size=4,
    )


@contextmanager
def translated() -> Iterator[None]:
    """The database's errors in our words: unreachable, busy, or ours."""
    try:
        yield
    except IntegrityError as error:
        raise Busy("the ledger already holds this record") from error
    except OperationalError as error:
        if "locked" in str(error.orig):
            raise Busy("the ledger is locked by another process") from error
        if "full" in str(error.orig):
            raise Unreachable("the ledger's disk is full", next_step="Free space; nothing was lost.") from error
        raise Unreachable("the ledger's database does not answer") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unreachable("the connection to the ledger's database was lost") from error
        raise


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One short transaction. On SQLite BEGIN IMMEDIATE: a deferred read-then-write would fail at once under load."""
    with translated(), engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            with connection.begin():
                yield connection
            return
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent look that takes no write lock: nothing may be changed in it."""
    with translated(), engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            with connection.begin():
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield connection
            return
        connection.exec_driver_sql("BEGIN")
        try:
            yield connection
        finally:
            connection.exec_driver_sql("ROLLBACK")


def now_ms(connection: Connection) -> int:
    """Milliseconds since 1970 by the database's own clock: the only clock that all workers share."""
    if connection.dialect.name == "sqlite":
        statement = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    else:
        statement = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
    return int(connection.execute(text(statement)).scalar_one())
