"""Open the engine of a compare within its limits, and translate its errors once: none of its texts, which quote values, get out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from payments.errors import TieoutError, TryAgain, Unreadable, WrongConfiguration
from reconciliation.compare_inputs import Input
from reconciliation.compare_sql import MACROS

MEMORY_MB_MIN = 128


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
        raise TryAgain("the matching engine does not start", next_step="Check memory and temporary directory.") from error
    try:
        connection.execute("SET TimeZone = 'UTC'")
        for macro in MACROS:
            connection.execute(macro)
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


def _translated(error: Exception, text: str, sources: tuple[Input, ...]) -> TieoutError:
    import duckdb

    if isinstance(error, duckdb.OutOfMemoryException):
        if "temp_directory" in text or "temp directory" in text:
            return TryAgain("the temporary directory is full", next_step="Free space there, or set TMPDIR, and compare again.")
        return WrongConfiguration(
            "the memory limit is too small for these files", next_step="Give more with --memory-limit-mb."
        )
    if "No space left" in text:
        return TryAgain("the temporary directory is full", next_step="Free space there, or set TMPDIR, and compare again.")
    at_fault = [source for source in sources if str(source.path) in text] or list(sources)
    label = at_fault[0].label if len(at_fault) == 1 else "one of the files"
    line = re.search(r"CSV Error on Line: (\d+)", text)
    widths = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if line and widths:
        return Unreadable(
            f"{label}, line {line[1]}: the header names {widths[1]} columns, this line has "
            f"{'more' if int(widths[2]) > int(widths[1]) else widths[2]}"
        )
    if line:
        reason = "a quote is not closed, or text follows a closing quote" if "quote" in text else "it cannot be read, or is too long"
        return Unreadable(f"{label}, line {line[1]}: {reason}")
    return Unreadable(f"{label} cannot be read to its end ({type(error).__name__})")
