"""Opens the matching engine: DuckDB in memory with a limit, spilling to a folder that goes away afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from payments.errors import Tampered, TieoutError, Unreachable, WrongConfiguration


@contextmanager
def open_engine(spool: Path, *, memory_limit_mb: int) -> Iterator[Any]:
    """A duckdb connection. It reads no configuration, loads no extension and reaches no network.

    One thread: files are matched one by one, too small for two to be faster, and two need twice the memory for a sort.
    """
    import duckdb

    with tempfile.TemporaryDirectory(dir=spool, prefix="matching-") as folder:
        settings = {
            "memory_limit": f"{memory_limit_mb}MB",
            "threads": "1",
            "preserve_insertion_order": "false",  # every statement whose order matters says so
            "temp_directory": folder,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        connection = duckdb.connect(":memory:", config=settings)
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the engine's errors on `what` into ours. Raises WrongConfiguration, Unreachable and Tampered."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        # Without its cause: the engine quotes values, and a traceback would print them (I7).
        raise _translated(what, error) from None


def _translated(what: str, error: Exception) -> TieoutError:
    import duckdb

    if "No space left" in str(error) or "max_temp_directory_size" in str(error):
        return Unreachable(f"matching {what} found no space to spill", next_step="Free space there; nothing was lost.")
    if isinstance(error, duckdb.OutOfMemoryException):
        return WrongConfiguration(
            f"matching {what} needs more memory than it may use",
            next_step="Raise `memory_limit_mb` of [reconciliation]; a lower `rows_per_file_max` keeps later files smaller.",
        )
    return Tampered(
        f"the objects of {what} cannot be read by the matching engine ({type(error).__name__})",
        next_step="`tieout prove` names the object that is not as it was written; restore it from its copy.",
    )


def literal(value: str) -> str:
    """A SQL string literal: quotes doubled. For hashes, paths and names of our own that cannot be bound in a FROM clause."""
    return "'" + value.replace("'", "''") + "'"
