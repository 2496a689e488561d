"""Reads a file that somebody names by a path or by `s3://bucket/key`: the configuration, and the table that it refers to."""

from __future__ import annotations

import os
from pathlib import Path

from payments.errors import SetAside, WrongConfiguration

S3 = "s3://"


def read_named(
    name: str, base: Path, *, shown: str, bytes_max: int, endpoint: str = "", next_step: str = "", setting: str = ""
) -> bytes:
    """All of it. A relative path begins at `base`; `shown` is what it is called in errors, `setting` the key that names it.

    Raises WrongConfiguration when it cannot be read or is too long, Unreachable when S3 does not answer.
    """
    if name.startswith(S3):
        content = _from_s3(name, shown, endpoint, next_step, setting or shown)
    else:
        content = _from_disk(base / name, shown, bytes_max, next_step)
    if len(content) > bytes_max:
        raise WrongConfiguration(f"{shown}: larger than {bytes_max} bytes", next_step=next_step)
    return content


def _from_s3(name: str, shown: str, endpoint: str, next_step: str, setting: str) -> bytes:
    from runtime.store import store_at

    folder, _, last = name.rpartition("/")
    try:
        return store_at(folder, Path(), endpoint=endpoint, setting=setting).get(last)
    except SetAside as error:
        raise WrongConfiguration(f"{shown}: cannot be read: {error}", next_step=next_step) from error


def _from_disk(path: Path, shown: str, bytes_max: int, next_step: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        # Only the system's word: a path that holds a zero byte is no path at all.
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not a path"
        raise WrongConfiguration(f"{shown}: cannot be read: {why}", next_step=next_step) from error
