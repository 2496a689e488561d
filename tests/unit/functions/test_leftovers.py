"""What a killed invocation left on the disk of a function: who clears it, and what stays."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from functions import batch
from functions.leftovers import AGE_S, clear
from runtime.wiring import World
from transfer.collect_once import FOLDER as READ_ONCE


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A folder for temporary files, in which everything with "old" in its name is old."""
    spool = "tieout-spool-7"
    for name in ("tieout-old", "tieout-new", "old of others", f"{spool}/old", f"{spool}/new", f"{spool}/{READ_ONCE}/x"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "piece").write_bytes(b"x")
    old = time.time() - AGE_S - 1
    for path in (
        *tmp_path.glob("*old*"),
        tmp_path / spool,
        *(tmp_path / spool).glob("old"),
        tmp_path / spool / READ_ONCE,
    ):
        os.utime(path, (old, old))
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(str(path.parent.relative_to(folder)) for path in folder.rglob("piece"))


STAYS = ["old of others", "tieout-new", "tieout-spool-7/new", f"tieout-spool-7/{READ_ONCE}/x"]


def test_only_what_is_ours_and_old_goes(left: Path) -> None:
    """What another process works on, what others left and what a server gave once stays."""
    clear(left)
    assert names(left) == STAYS


@pytest.mark.parametrize("in_lambda", [True, False])
def test_a_function_clears_before_it_works(left: Path, monkeypatch: pytest.MonkeyPatch, in_lambda: bool) -> None:
    """A new process of a function begins with it; a worker on one machine, whose spool is tidied elsewhere, does not."""
    monkeypatch.setattr(tempfile, "tempdir", str(left))
    monkeypatch.setattr(World, "open", classmethod(lambda cls, config=None: "a world"))
    monkeypatch.setattr(batch, "_worlds", [])
    monkeypatch.delenv(batch.FUNCTION, raising=False)
    if in_lambda:
        monkeypatch.setenv(batch.FUNCTION, "tieout-dev-assemble")
    before = names(left)
    assert batch.world() == "a world"
    assert names(left) == (STAYS if in_lambda else before)
