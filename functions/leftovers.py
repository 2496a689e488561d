"""Clears what a killed invocation left on a function's disk: Lambda starts a new process there, and keeps the disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

OURS = "tieout-*"
SPOOL = "tieout-spool-"
AGE_S = 1_200
"""More than any invocation may last: where functions share a disk, as in an emulator, none loses what another works on."""


def clear(folder: Path) -> None:
    """Remove from a folder for temporary files what is ours and older than `AGE_S`; never what a server gave once."""
    oldest = time.time() - AGE_S
    for entry in _left(folder):
        if entry.lstat().st_mtime < oldest:
            shutil.rmtree(entry, ignore_errors=True)


def _left(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.glob(OURS)):
        if entry.name.startswith(SPOOL):
            from transfer.collect_once import FOLDER as READ_ONCE

            yield from (each for each in sorted(entry.iterdir()) if each.name != READ_ONCE)
        else:
            yield entry
