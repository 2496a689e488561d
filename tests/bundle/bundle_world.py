"""The bundle as Lambda would unpack it, and functions run in a bare interpreter that sees their layers and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from functions.topology import BESIDE, TOPOLOGY

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "build" / "bundle-here"
FUNCTIONS = {each.name: each for each in (*TOPOLOGY, *BESIDE)}
RUN_S_MAX = 120

ALLOWED: dict[str, set[str]] = {
    "extract": {"numpy", "pyarrow", "adbc_driver_manager", "adbc_driver_postgresql"},
    "curate": {"numpy", "pyarrow"},
    "assemble": {"numpy", "pyarrow", "holidays", "lxml"},
    "deliver": {"paramiko", "cryptography", "holidays"},
    "collect": {"paramiko", "cryptography"},
    "read": {"numpy", "pyarrow", "lxml"},
    "reconcile": {"numpy", "pyarrow", "duckdb"},
    "export": set(),
    "expire": set(),
    "tick": {"holidays", "boto3"},
    "migrate": {"alembic"},
    "anchor": {"cryptography"},
    "dashboard": {"starlette", "jinja2", "joserfc", "cryptography"},
}
"""Of the heavy packages, those that a function may load."""
HEAVY = set().union(*ALLOWED.values(), {"pandas", "pydantic", "uvicorn", "asyncssh", "aws_xray_sdk", "invoke"})

LAUNCH = """
import io, json, runpy, sys
sys.path[:0] = json.loads(sys.argv[1])
sys.argv[1:] = sys.argv[3:]
runpy.run_path({program!r}, run_name="__main__")
"""


@dataclass(frozen=True)
class Ran:
    """What a program printed as its last line, the heavy packages that it had loaded, and all that it said."""

    answer: Any
    heavy: set[str]
    log: str


def unpacked(folder: Path) -> Path:
    """Code and layers below `folder`, each zip in a folder of its own; skips where there is no bundle."""
    sizes = BUNDLE / "sizes.json"
    if not sizes.is_file():
        pytest.skip("there is no bundle in build/bundle-here: `make bundle-here` builds it, and needs a package index")
    for archive in (BUNDLE / "code.zip", *sorted((BUNDLE / "layers").glob("*.zip"))):
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder / archive.stem)
    return folder


def run_bare(bundle: Path, function: str, program: Path, *arguments: str, environment: dict[str, str]) -> Ran:
    """No site-packages, no environment of Python's: standard library, the function's layers and the code."""
    roots = [str(bundle / "code"), *(str(bundle / layer / "python") for layer in FUNCTIONS[function].layers)]
    launch = LAUNCH.format(program=str(program))
    command = [sys.executable, "-I", "-S", "-B", "-c", launch, json.dumps(roots), "--", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False, env=environment)
    assert done.returncode == 0, f"{function}: {done.stderr[-3000:]}{done.stdout[-1000:]}"
    said = json.loads(done.stdout.splitlines()[-1])
    return Ran(said, HEAVY & set(said["packages"]), done.stdout[-3000:] + done.stderr[-3000:])
