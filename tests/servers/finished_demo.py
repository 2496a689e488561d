"""One finished demo for every test that only reads: made once, also when several test processes ask at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

PAYMENTS, SEED = 300, 7
END_S_MAX = 150.0
DONE = "finished"


def finished_demo(base: Path) -> Path:
    """The folder of a demo that ran to its end, below `base`. It must not be changed: copy it to change it."""
    folder = base / "finished-demo"
    with (base / "finished-demo.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / DONE).exists():
            _run(folder)
            (base / DONE).touch()
    return folder


def _run(folder: Path) -> None:
    arguments = ["demo", "--payments", str(PAYMENTS), "--seed", str(SEED), "--exit", "--json", "--dir", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "tieout", *arguments], capture_output=True, timeout=END_S_MAX, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]


def base_of(session_folder: Path) -> Path:
    """The folder that all test processes of one session share: with xdist the one above each process's own."""
    return session_folder.parent if "PYTEST_XDIST_WORKER" in os.environ else session_folder


def copied_demo(demo: Path, target: Path) -> Path:
    """A copy that may be changed. The ledger is copied by SQLite itself: others may have it open at the same time."""
    shutil.copytree(demo, target, ignore=shutil.ignore_patterns("ledger.db*", "page.address*"))
    with (
        contextlib.closing(sqlite3.connect(demo / "ledger.db")) as ledger,
        contextlib.closing(sqlite3.connect(target / "ledger.db")) as copy,
    ):
        ledger.backup(copy)
    return target
