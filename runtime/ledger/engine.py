"""Opens the ledger's database: SQLite on one machine, PostgreSQL elsewhere, and says what time it is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from payments.errors import Busy, SetAside, Tampered, TieoutError, Unreachable, WrongConfiguration

BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 60
IDLE_S_MAX = 60
"""PostgreSQL ends what is idle for longer: a function that Lambda keeps warm, or has given up, holds no place that another needs."""
BUSY_STATES = frozenset({"40001", "40P01", "55P03", "57014"})
"""PostgreSQL's codes for what succeeds when it is tried again: serialisation, deadlock, lock, statement time-out."""
DISK_FULL_STATE = "53100"
ALL_TAKEN = ("too many connections", "too many clients", "connection slots")
REFUSED_BY_SETUP = ("authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")


def open_engine(
    url: str, *, password: str = "", token: Callable[[URL], str] | None = None, connections_max: int = 4
) -> Engine:
    """An engine for `sqlite:FILE` (absolute by now) or `postgresql://...`. Raises WrongConfiguration.

    `token` makes the password anew for each connection to PostgreSQL, of which there are at most `connections_max`.
    """
    if url.startswith("sqlite:"):
        return _sqlite(url.removeprefix("sqlite:"))
    if url.startswith("postgresql:"):
        engine = _postgresql(url, password, connections_max)
        if token is not None:
            _log_in_by(token, engine)
        return engine
    # Only the scheme is repeated: an address may hold a password.
    raise WrongConfiguration(
        f"ledger.url: found {url.partition(':')[0][:20]!a}, allowed are sqlite:FILE and postgresql://user@host:port/database"
    )


def _sqlite(path: str) -> Engine:
    _make_private(path)
    engine = create_engine(
        URL.create("sqlite", database=path),  # not as text: a folder's name may hold any character
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,  # the text of an error may be shown; values never are (I7)
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine


def _make_private(path: str) -> None:
    """A new ledger is for its owner, and for the group where the umask lets it in; SQLite gives its side files the same rights."""
    if path in {"", ":memory:"}:
        return
    with suppress(OSError):  # no folder, no right: said when the ledger is opened
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660))


def _log_in_by(token: Callable[[URL], str], engine: Engine) -> None:
    @event.listens_for(engine, "do_connect")
    def _give(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        # Not before: a token is valid for minutes, an engine lives for hours.
        parameters["password"] = token(engine.url)


def _postgresql(url: str, password: str, connections_max: int) -> Engine:
    try:
        address = make_url(url).set(drivername="postgresql+psycopg")
    except ArgumentError as error:
        raise WrongConfiguration("ledger.url is not a database address") from error
    if password:
        address = address.set(password=password)
    options = (
        f"-c statement_timeout={STATEMENT_TIMEOUT_S * 1000} -c idle_in_transaction_session_timeout=300000"
        f" -c idle_session_timeout={IDLE_S_MAX * 1000}"
    )
    return create_engine(
        address,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "options": options},
        pool_pre_ping=True,
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        hide_parameters=True,
    )


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """The database's errors in our words: unreachable, busy, unkeepable, or ours."""
    try:
        yield
    except IntegrityError as error:
        raise Busy("the ledger already holds this record") from error
    except OperationalError as error:
        raise _operational(engine, error) from error
    except (DataError, UnicodeEncodeError, OverflowError) as error:
        raise SetAside("a value cannot be kept in the ledger: text or number out of its range") from error
    except PoolTimeoutError as error:
        raise Busy("every connection to the ledger is in use") from error
    except DatabaseError as error:
        if "not a database" in str(error.orig) or "malformed" in str(error.orig):
            raise Tampered(f"{_named(engine)} is damaged", next_step="Restore the file from a backup.") from error
        if error.connection_invalidated:
            raise Unreachable(f"the connection to {_named(engine)} was lost") from error
        raise
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unreachable(f"the connection to {_named(engine)} was lost") from error
        raise


def _operational(engine: Engine, error: OperationalError) -> TieoutError:
    said, state = str(error.orig), getattr(error.orig, "sqlstate", None)
    if "is locked" in said or state in BUSY_STATES:
        return Busy(f"{_named(engine)} is locked by another process")
    if "database or disk is full" in said or state == DISK_FULL_STATE:
        return Unreachable(f"the disk of {_named(engine)} is full", next_step="Free space; nothing was lost.")
    if "unable to open" in said or "readonly" in said:
        return Unreachable(
            f"{_named(engine)} cannot be opened or written by this user",
            next_step="Check `ledger.url`, its folder and rights; docs/operations.md says how several people share a ledger.",
        )
    if any(words in said for words in ALL_TAKEN):
        return Unreachable(
            f"{_named(engine)} takes no further connection of this user",
            next_step="It is tried again. If it stays so, look at `pg_stat_activity`: who holds them?",
        )
    if any(word in said for word in REFUSED_BY_SETUP):
        return WrongConfiguration(
            f"{_named(engine)} refuses user, password or database",
            next_step="Correct `url` and `password` of `[ledger]`.",
        )
    return Unreachable(
        f"{_named(engine)} does not answer", next_step="Check that it runs, and user and password of `[ledger]`."
    )


def _named(engine: Engine) -> str:
    """For people; without user and password."""
    url = engine.url
    if engine.dialect.name == "sqlite":
        return f"the ledger's file {url.database}"
    return f"the ledger's database {url.database} at {url.host}:{url.port or 5432}"


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One short transaction. On SQLite BEGIN IMMEDIATE: a deferred read-then-write would fail at once under load."""
    with translated(engine), engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            with connection.begin():
                yield connection
            return
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.exec_driver_sql("COMMIT")
        finally:
            _roll_back(connection)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent look that takes no write lock: nothing may be changed in it."""
    with translated(engine), engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            with connection.begin():
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield connection
            return
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")
        try:
            yield connection
        finally:
            _roll_back(connection)
            connection.exec_driver_sql("PRAGMA query_only = OFF")


def _roll_back(connection: Connection) -> None:
    """Undo what was not committed. SQLite may have ended the transaction by itself: it does so when the disk is full."""
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        connection.exec_driver_sql("ROLLBACK")


def now_ms(connection: Connection) -> int:
    """Milliseconds since 1970 by the database's own clock: the only clock that all workers share."""
    if connection.dialect.name == "sqlite":
        statement = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    else:
        statement = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
    return int(connection.execute(text(statement)).scalar_one())
