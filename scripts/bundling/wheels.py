"""Installs locked wheels into a folder for another machine: pip does it, nothing is compiled and nothing is run."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from scripts.bundling.target import GLIBC_MINORS, Target

PIP_S_MAX = 600
NEWER_GLIBC = max(GLIBC_MINORS.values())
NEWER_GLIBC_FROM = next(python for python, minor in GLIBC_MINORS.items() if minor == NEWER_GLIBC)


class WheelsMissing(Exception):
    """pip found no wheel that fits, or could not fetch one."""


def install(requirements: Iterable[str], target: Target, folder: Path) -> None:
    """Raises WheelsMissing with pip's words."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    command += ["--require-hashes", "--no-deps", "--no-compile", "--only-binary=:all:", "--target", str(folder)]
    command += ["--implementation", "cp", "--python-version", target.python]
    # The lock says what fits the target; pip 23 would ask the Python that it runs on.
    command += ["--ignore-requires-python", *(f"--platform={each}" for each in target.platforms)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write("".join(f"{each}\n" for each in requirements))
        wanted.flush()
        command += ["--requirement", wanted.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PIP_S_MAX)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        what = f"Python {target.python} on {target.arch} with glibc 2.{target.glibc_minor}"
        hint = (
            f"Lambda's Python {NEWER_GLIBC_FROM} and later have a newer glibc"
            if target.glibc_minor < NEWER_GLIBC
            else ""
        )
        raise WheelsMissing(
            "\n".join(filter(None, (f"not all wheels for {what} were found.", hint, *(said or [done.stderr]))))
        )


def owners(folder: Path) -> dict[str, str]:
    """File -> its package, by the records that wheels bring."""
    found: dict[str, str] = {}
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        package = record.parent.name.partition("-")[0]
        with record.open(newline="") as file:
            found |= {row[0]: package for row in csv.reader(file)}
    return found
