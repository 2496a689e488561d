"""tieout requeue: a chunk that curation stopped is curated again once its object is whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.prepare import prepare
from local.router import local_world
from payments.errors import Tampered
from reconciliation.statement import statement
from runtime.ledger.clock import LedgerClock
from tieout.__main__ import main

READ_AT = datetime(2026, 3, 2, 5, 31, tzinfo=UTC)


def test_a_stopped_chunk_is_curated_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A raw object that was damaged stops its run, and after its repair and a requeue nothing of it is missing."""
    directory = tmp_path / "demo"
    config = str(prepare(directory, payments=100, seed=3))
    world = local_world(config)
    _ = world.ledger
    assert isinstance(world.clock, LedgerClock)
    world.clock.move(READ_AT)
    run = world.extract_source("legacy")
    assert run is not None
    key = next(each for each in world.store.keys("raw/") if each.endswith(".parquet"))
    path = directory / "store" / key
    whole = path.read_bytes()
    path.write_bytes(b"not Parquet")
    with pytest.raises(Tampered, match="bytes are not those that were extracted"):
        world.curate_object(key)
    assert main(["requeue", f"legacy/{run.ordinal}", "--json", "--config", config]) == 0
    assert json.loads(capsys.readouterr().out)["chunks"] == [1]
    path.write_bytes(whole)
    world.curate_object(key)
    with world.ledger.look() as tx:
        found, books = tx.runs.get("legacy", run.ordinal), statement(tx)
    assert found is not None
    assert (found.state, found.note) == ("curated", "")
    assert books.ties
    assert books.terms["extracted"].count == run.extracted.count
    assert main(["requeue", "legacy/9", "--config", config]) == 2
    assert "there is no run" in capsys.readouterr().err


def test_an_unknown_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that does not exist is refused by name."""
    config = str(prepare(tmp_path / "demo", payments=50, seed=3))
    assert main(["requeue", "legacy/x", "--config", config]) == 2
    assert "there is no run 'legacy/x'" in capsys.readouterr().err


def test_a_run_that_assembly_stopped_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A curated object that was changed stops its run; whole again and requeued, the run is assembled."""
    directory = tmp_path / "demo"
    config = str(prepare(directory, payments=100, seed=3))
    world = local_world(config)
    _ = world.ledger
    assert isinstance(world.clock, LedgerClock)
    world.clock.move(READ_AT)
    run = world.extract_source("legacy")
    assert run is not None
    for key in world.store.keys("raw/"):
        if key.endswith(".parquet"):
            world.curate_object(key)
    path = next((directory / "store" / "curated").rglob("*.parquet"))
    whole = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(whole + b"\0")
    with pytest.raises(Tampered, match="not as it was curated"):
        world.assemble()
    path.write_bytes(whole)
    assert main(["requeue", f"legacy/{run.ordinal}", "--json", "--config", config]) == 0
    assert json.loads(capsys.readouterr().out)["assembled_again"] is True
    world.assemble()
    with world.ledger.look() as tx:
        found, books = tx.runs.get("legacy", run.ordinal), statement(tx)
    assert found is not None
    assert (found.state, found.note) == ("assembled", "")
    assert books.ties
    assert main(["requeue", f"legacy/{run.ordinal}", "--config", config]) == 0
    assert "nothing of it is stopped" in capsys.readouterr().out


def test_a_run_whose_books_are_off_is_not_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No command talks away a run in which rows are missing."""
    config = str(prepare(tmp_path / "demo", payments=50, seed=3))
    world = local_world(config)
    _ = world.ledger
    assert isinstance(world.clock, LedgerClock)
    world.clock.move(READ_AT)
    run = world.extract_source("legacy")
    assert run is not None
    with world.ledger.begin() as tx:
        tx.runs.change(run, state="stopped", note="a row is missing")
    assert main(["requeue", f"legacy/{run.ordinal}", "--config", config]) == 2
    assert "books are off" in capsys.readouterr().err
