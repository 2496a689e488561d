"""Pieces of the command line that several commands share: how values are read, and what is said of wrong ones."""

from __future__ import annotations

import argparse
from datetime import date
from typing import Any

CONFIG_HELP = "the configuration (default: $TIEOUT_CONFIG, else ./tieout.toml)"


def day(text: str) -> date:
    """A date as people write it in ISO 8601."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!a} is no date; write it like 2026-03-02") from None
    return found


class Version(argparse.Action):
    """Prints the installed version and ends. It is looked up only when asked for: that reads files."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("tieout")
        except PackageNotFoundError:
            found = "(a folder of source files; it is not installed)"
        print(f"tieout {found}")
        parser.exit()
