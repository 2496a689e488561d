"""What people see of a marker or checksum file, and what they say of one in doubt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import runtime.actor
from payments.acting import Actor
from payments.errors import DeliveryFailed
from runtime.ledger.queue import LedgerQueue
from tests.unit.tieout.test_file_command import CONFIGURATION
from tests.unit.transfer.companion_world import CompanionWorld
from tests.unit.transfer.deliver_world import Fault
from tieout.__main__ import main


@pytest.fixture
def world(tmp_path: Path) -> CompanionWorld:
    """One delivered file whose marker is in doubt."""
    (tmp_path / "tieout.toml").write_text(CONFIGURATION + '[acquirer.after_rename]\nwrite = "marker"\n')
    made = CompanionWorld(tmp_path, atomic=False)
    made.server.hooks["rename", "after"] = lambda: made.server.faults.append(
        Fault("rename", "before", DeliveryFailed("no"))
    )
    made.fly()
    assert made.companion_states() == ["doubtful"]
    return made


def run(world: CompanionWorld, *arguments: str) -> int:
    return main([*arguments, "--config", str(world.folder / "tieout.toml")])


def test_a_doubt_is_an_alarm_wherever_people_look(world: CompanionWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """`status` says it and exits 1, `file show` names both commands, `trace` tells it, and each has it in its JSON."""
    name = world.file().name
    assert run(world, "status") == 1
    assert f"STUCK: the marker {name}.done of {name} may or may not have been placed" in capsys.readouterr().out
    assert run(world, "status", "--json") == 1
    assert any(f"{name}.done" in each for each in json.loads(capsys.readouterr().out)["stuck"])
    assert run(world, "file", name) == 0
    said = capsys.readouterr().out
    assert all(each in said for each in ("marker", "doubtful", "companion-there", "companion-again"))
    assert run(world, "file", name, "--json") == 0
    assert json.loads(capsys.readouterr().out)["companion"]["state"] == "doubtful"
    assert run(world, "trace", name) == 0
    assert f"marker {name}.done: doubtful" in capsys.readouterr().out
    assert run(world, "trace", name, "--json") == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["companion"]["kind"] == "marker"


def test_the_doubt_is_ended_by_a_command(
    world: CompanionWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One person says that it is there: nobody is told of it any more, and delivery is woken for the files behind it."""
    monkeypatch.setattr(runtime.actor, "operating_system_user", lambda: Actor("anna", verified=True))
    name = world.file().name
    assert run(world, "file", name, "companion-again", "--why", "they see none") == 0
    assert "proposed" in capsys.readouterr().out
    assert run(world, "file", name, "companion-there", "--why", "they found it") == 0
    assert world.companion_states() == ["placed"]
    assert LedgerQueue(world.engine).depth("deliver")[0] == 1
    capsys.readouterr()
    run(world, "status")
    assert "STUCK" not in capsys.readouterr().out
    assert run(world, "file", name, "companion-there") == 2
