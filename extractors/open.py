"""Opens a source: its URL chooses the adapter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from payments.config import SourceSection
from payments.errors import WrongConfiguration
from payments.remote_ports import Source


@contextmanager
def open_source(source: SourceSection, *, password: bytes | None, base: Path) -> Iterator[Source]:
    """One read-only session with a source. A relative SQLite path starts at `base`.

    Raises Unreachable when the database does not answer, and WrongConfiguration for a scheme, table, column or right that it
    cannot work with.
    """
    scheme, _, rest = source.url.partition(":")
    match scheme:
        case "sqlite":
            from extractors.sqlite_source import open_sqlite

            path = rest.removeprefix("//") if rest.startswith("///") else rest
            with open_sqlite(source, base / path) as session:
                yield session
        case "postgresql" | "postgres":
            from extractors.postgres_source import open_postgres

            with open_postgres(source, password) as postgres:
                yield postgres
        case _:
            # The rest of a wrong URL may hold a password.
            raise WrongConfiguration(
                f"source {source.name}: url: found {scheme!a}, allowed are sqlite:FILE and"
                " postgresql://user@host:port/database"
            )
