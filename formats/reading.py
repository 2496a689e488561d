"""Reads a result file in the format that its acquirer's configuration names: the register of formats we receive."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from formats.delimited_in import read_delimited
from formats.pain002 import read_pain002
from formats.reported import Problem, Reading
from payments.errors import WrongConfiguration

__all__ = ["Problem", "Reading", "read_result"]


def read_result(format: str, path: Path, *, zone: str = "UTC") -> Reading:  # noqa: A002  (the configuration's word)
    """Read the file at `path` in constant memory; a time without offset is taken in `zone`.

    Raises Unreadable (FF01), here or while the reading is iterated, when the bytes are not such a file at all;
    WrongConfiguration for a format we do not read. A single bad line is a row with `error`, not an exception.
    """
    match format:
        case "delimited":
            return read_delimited(path, ZoneInfo(zone))
        case "pain.002":
            return read_pain002(path, ZoneInfo(zone))
        case _:
            raise WrongConfiguration(f"acquirer.results.format: {format!a} is unknown; allowed: delimited, pain.002")
