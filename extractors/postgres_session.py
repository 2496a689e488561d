"""One session with a PostgreSQL source through ADBC: connecting, limits, queries with bound values, errors in our words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

import pyarrow as pa

from payments.config import SourceSection
from payments.errors import TieoutError, Unreachable, WrongConfiguration

CONNECT_TIMEOUT_S_MAX = 15
UNDEFINED_TABLE = "42P01"
PRIVILEGE = "42501"
STATEMENT_TIMEOUT = "57014"
UNKNOWN_HOST = ("could not translate host name", "Name or service not known")
REFUSED_BY_SETUP = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "invalid",
)
"""What libpq says of a connection that will not work next time either; it gives no SQLSTATE for these."""


def connection_uri(source: SourceSection, password: bytes | None) -> str:
    """The URI for libpq, with our limits and the password. Raises WrongConfiguration for a password in the URL itself."""
    parts = urlsplit(source.url)
    settings = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.password is not None or "password" in settings:
        raise WrongConfiguration(
            f"source {source.name}: url holds a password",
            next_step='Take it out of `url` and name it by reference: `password = "env:NAME"` or `"file:PATH"`.',
        )
    limits = {
        "connect_timeout": str(min(source.timeout_s, CONNECT_TIMEOUT_S_MAX)),
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": str(source.timeout_s * 1000),
        "application_name": "tieout",
    }
    host = parts.netloc
    if password is not None:
        user, at, address = parts.netloc.rpartition("@")
        host = f"{user}:{quote(password, safe='')}{at}{address}"
        if not at:
            raise WrongConfiguration(f"source {source.name}: url names no user for its password")
    return urlunsplit(("postgresql", host, parts.path, urlencode({**limits, **settings}, quote_via=quote), ""))


@contextmanager
def translated(source: SourceSection) -> Iterator[None]:
    """Turns the driver's errors into ours. Their text stays in the chain: it may quote values of rows."""
    from adbc_driver_manager import dbapi

    try:
        yield
    except dbapi.Error as error:
        raise _translation(source, error) from error


def _translation(source: SourceSection, error: Any) -> TieoutError:
    state = getattr(error, "sqlstate", None) or ""
    name = f"source {source.name}: PostgreSQL"
    if not state:
        if any(word in str(error) for word in UNKNOWN_HOST):
            return Unreachable(
                f"{name} at {_address(source)}: this host name is not known", next_step="Check `url` of this source."
            )
        if any(word in str(error) for word in REFUSED_BY_SETUP):
            return WrongConfiguration(
                f"{name} at {_address(source)} refuses user or database",
                next_step="Check `url` and `password` of this source, and the server's pg_hba.conf.",
            )
        return Unreachable(f"{name} at {_address(source)} does not answer")
    if state == STATEMENT_TIMEOUT:
        return Unreachable(
            f"{name} did not answer within {source.timeout_s} s",
            next_step=f"Make an index on ({source.watermark}, primary key), or raise `timeout_s`.",
        )
    if state == PRIVILEGE:
        return WrongConfiguration(
            f"{name} forbids reading table {source.table!a}",
            next_step="GRANT SELECT on this table to the user of `url`.",
        )
    if state[:2] in {"42", "3D", "3F", "28", "22"}:
        return WrongConfiguration(f"{name} refuses what is configured for table {source.table!a} (SQLSTATE {state})")
    return Unreachable(f"{name} could not answer (SQLSTATE {state})")


def _address(source: SourceSection) -> str:
    parts = urlsplit(source.url)
    return f"{parts.hostname or 'local socket'}:{parts.port or 5432}"


class Session:
    """Statements on one connection in autocommit mode. Every bound value goes as text and is cast by the statement."""

    def __init__(self, cursor: Any, source: SourceSection) -> None:
        self._cursor = cursor
        self._source = source

    def ask(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a small answer."""
        return [tuple(row.values()) for row in self.table(statement, values).to_pylist()]

    def table(self, statement: str, values: Sequence[Any] = ()) -> pa.Table:
        """An answer as Arrow; columns need names of their own."""
        with translated(self._source):
            self._cursor.execute(statement, [str(each) for each in values] or None)
            return self._cursor.fetch_arrow_table()

    def run(self, statement: str, values: Sequence[Any] = ()) -> None:
        with translated(self._source):
            self._cursor.execute(statement, [str(each) for each in values] or None)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A read-only transaction that sees one state of the database; it always ends without effect."""
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            with suppress(TieoutError):  # a lost connection has ended it already
                self.run("ROLLBACK")


@contextmanager
def open_session(source: SourceSection, password: bytes | None) -> Iterator[Session]:
    """A read-only session with a limit on every statement. Raises Unreachable and WrongConfiguration."""
    import adbc_driver_postgresql
    from adbc_driver_postgresql import dbapi

    uri = connection_uri(source, password)
    with translated(source):
        connection = dbapi.connect(uri, autocommit=True)
    try:
        cursor = connection.cursor()
        # Without COPY the driver takes bound values and FETCH from a cursor, which is what keeps memory constant.
        cursor.adbc_statement.set_options(**{adbc_driver_postgresql.StatementOptions.USE_COPY.value: "false"})
        try:
            session = Session(cursor, source)
            _limit(session, source)
            yield session
        finally:
            cursor.close()
    finally:
        connection.close()


def _limit(session: Session, source: SourceSection) -> None:
    settings = {
        "statement_timeout": source.timeout_s * 1000,
        "default_transaction_read_only": "on",
        "TimeZone": source.zone,  # what a time without zone means when it is made a time with zone
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "iso_8601",
        "bytea_output": "hex",
        "extra_float_digits": "1",  # shortest text that gives the same number again
    }
    calls = ", ".join(f"set_config('{name}', ${at}, false) AS s{at}" for at, name in enumerate(settings, start=1))
    session.ask(f"SELECT {calls}", list(settings.values()))
