"""Open the engine of a compare within its limits, and translate its errors once: none of its texts, which quote values, get out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path
from typing import Any

from payments.errors import TieoutError, TryAgain, Unreadable, WrongConfiguration
from reconciliation.compare_inputs import Input
from reconciliation.compare_scan import OPEN_QUOTE
from reconciliation.compare_sql import MACROS

MEMORY_MB_MIN = 128
NO_SPACE = "No space left|max_temp_directory_size"


@contextmanager
def engine_in(workspace: Path, *, memory_limit_mb: int, threads: int) -> Iterator[Any]:
    """A DuckDB connection that spills into `workspace` above its limit. Raises WrongConfiguration."""
    import duckdb

    if memory_limit_mb < MEMORY_MB_MIN or not 1 <= threads <= 64:
        raise WrongConfiguration(
            f"a compare needs at least {MEMORY_MB_MIN} MB and 1 to 64 threads, not {memory_limit_mb} MB and {threads}",
            next_step="Correct --memory-limit-mb or --threads.",
        )
    settings = {
        "memory_limit": f"{memory_limit_mb}MiB",
        "threads": threads,
        "temp_directory": str(workspace / "spill"),
        "autoinstall_known_extensions": False,  # nothing is fetched from anywhere
        "autoload_known_extensions": False,
    }
    try:
        connection = duckdb.connect(config=settings)
    except duckdb.Error as error:
        raise TryAgain(
            "the matching engine does not start", next_step="Check memory and temporary directory."
        ) from error
    try:
        connection.execute("SET TimeZone = 'UTC'")
        # The statements put the smaller side last. Left to itself the engine takes a CSV file for a few rows, because it
        # has no statistics of it, and builds its hash table from the whole file.
        connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        for macro in MACROS:
            connection.execute(macro)
        with translated():
            yield connection
    finally:
        connection.close()


@contextmanager
def translated(*sources: Input) -> Iterator[None]:
    """Turn the engine's errors into ours; `sources` are the files that may be at fault. Raises Unreadable and others."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        # Without its cause: the engine quotes lines of the file, and a traceback would print them (I7).
        raise _translated(error, str(error), sources) from None
    except OSError as error:
        if error.errno != ENOSPC:
            raise Unreadable(f"{_label(sources)} cannot be read: {error.strerror}") from error
        raise _no_space() from error


def _no_space() -> TieoutError:
    return TryAgain(
        "the temporary directory, or that of --output, is full",
        next_step="Free space, or set TMPDIR, and compare again.",
    )


def _label(sources: tuple[Input, ...]) -> str:
    return sources[0].label if len(sources) == 1 else "one of the files"


def _translated(error: Exception, text: str, sources: tuple[Input, ...]) -> TieoutError:
    import duckdb

    if isinstance(error, (duckdb.OutOfMemoryException, duckdb.IOException)) and re.search(NO_SPACE, text):
        return _no_space()
    if isinstance(error, duckdb.OutOfMemoryException):
        return WrongConfiguration("the memory limit is too small for these files", next_step="Raise --memory-limit-mb.")
    label = _label(tuple(source for source in sources if str(source.path) in text) or sources)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    widths = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if line and widths:
        return Unreadable(
            f"{label}, line {line[1]}: the header names {widths[1]} columns, this line has "
            f"{'more' if int(widths[2]) > int(widths[1]) else widths[2]}"
        )
    if line:
        reason = OPEN_QUOTE if "unterminated quote" in text else "it is too long or cannot be read"
        return Unreadable(f"{label}, line {line[1]}: {reason}")
    return Unreadable(f"{label} cannot be read to its end ({type(error).__name__})")
