"""Opens the matching engine: DuckDB in memory with a limit, spilling to a folder that goes away afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def open_engine(spool: Path, *, memory_limit_mb: int, threads: int = 2) -> Iterator[Any]:
    """A duckdb connection. It reads no configuration, loads no extension and reaches no network."""
    import duckdb

    with tempfile.TemporaryDirectory(dir=spool, prefix="matching-") as folder:
        settings = {
            "memory_limit": f"{memory_limit_mb}MB",
            "threads": str(threads),
            "temp_directory": folder,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        connection = duckdb.connect(":memory:", config=settings)
        try:
            yield connection
        finally:
            connection.close()


def literal(value: str) -> str:
    """A SQL string literal: quotes doubled. For hashes, paths and names of our own that cannot be bound in a FROM clause."""
    return "'" + value.replace("'", "''") + "'"
