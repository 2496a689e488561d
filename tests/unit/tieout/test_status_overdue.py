"""`tieout status` shows what acquirers owe us, as an alarm by itself."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from payments.books import Total
from payments.records import OutboundFile, ResultBooks
from runtime.wiring import World
from tests.unit.transfer.deliver_world import DeliverWorld
from tieout.__main__ import main

CONFIGURATION = """
[[acquirer]]
name = "north"
results_list = "all"
final_status = "ACSC"
complete_when = "trailer"
sequence = "strict"
[acquirer.directory]
path = "/mnt/partner"
[acquirer.results]
acknowledged_after_s = 3600
due_after_s = 864000
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "tieout.toml").write_text(CONFIGURATION)
    return World.open(os.fspath(tmp_path / "tieout.toml"))


def record(world: World, folder: Path, delivered_at: datetime) -> OutboundFile:
    total = Total(2, {"EUR/CRDT": 300})
    file = DeliverWorld(folder, files=0).planned(1, state="delivered", total=total, awaiting=total)
    changes: dict[str, Any] = {"delivered_at": delivered_at, "results_due_at": delivered_at + timedelta(days=10)}
    with world.ledger.begin() as tx:
        tx.files.add(file)
        return tx.files.change(file, **changes)


def status(world: World, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, list[Any]]:
    code = main(["status", "--config", world.settings.path])
    screen = capsys.readouterr().out
    main(["status", "--json", "--config", world.settings.path])
    return code, screen, json.loads(capsys.readouterr().out)["overdue"]


def test_a_missing_acknowledgement_is_shown_until_it_comes(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1 by itself, one line on the screen and one entry in the JSON; gone when the acquirer speaks of the file."""
    file = record(world, tmp_path / "made", datetime.now(UTC) - timedelta(hours=2))
    code, screen, overdue = status(world, capsys)
    assert f"overdue: {file.name}: no acknowledgement since" in screen
    assert (code, [each["what"] for each in overdue]) == (1, ["acknowledgement"])
    with world.ledger.begin() as tx:
        tx.result_books.add(ResultBooks("north", "a" * 64, file.file_id))
    _, screen, overdue = status(world, capsys)
    assert ("overdue:" in screen, overdue) == (False, [])


def test_before_its_time_nothing_is_overdue(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was delivered a moment ago owes nothing yet."""
    record(world, tmp_path / "made", datetime.now(UTC))
    _, screen, overdue = status(world, capsys)
    assert ("overdue:" in screen, overdue) == (False, [])
