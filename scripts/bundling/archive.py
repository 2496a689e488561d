"""Writes a folder as a zip whose bytes depend on its files only: sorted, one fixed time, fixed rights."""

from __future__ import annotations

import zipfile
from pathlib import Path

FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""The first that a zip can hold."""
READABLE, RUNNABLE = 0o100644, 0o100755
LEVEL = 6


def write(folder: Path, archive: Path) -> None:
    """A half-written archive never carries the name."""
    unfinished = archive.with_suffix(".new")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as file:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever builds it: else the rights are not read
            entry.external_attr = (RUNNABLE if ".so" in path.name else READABLE) << 16
            file.writestr(entry, path.read_bytes())
    unfinished.replace(archive)
