"""tieout deliveries: what it prints, exit status, whom it wakes, and what status says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import runtime.actor
from payments.acting import Actor
from payments.records import Attempt
from runtime.ledger.queue import LedgerQueue
from tests.contract.ledger_world import sample
from tests.unit.tieout.test_file_command import CONFIGURATION
from tests.unit.transfer.deliver_world import DeliverWorld
from tieout.__main__ import main


@pytest.fixture
def world(tmp_path: Path) -> DeliverWorld:
    (tmp_path / "tieout.toml").write_text(CONFIGURATION)
    return DeliverWorld(tmp_path)


def run(world: DeliverWorld, *arguments: str) -> int:
    return main([*arguments, "--config", str(world.folder / "tieout.toml")])


def act_as(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(runtime.actor, "operating_system_user", lambda: Actor(name, verified=True))


def test_stopped_by_one_and_resumed_by_another(
    world: DeliverWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each act says how things stand; only a different person resumes, and then every acquirer's deliveries are woken."""
    act_as(monkeypatch, "anna")
    assert run(world, "deliveries") == 0
    assert capsys.readouterr().out == "files may leave\n"
    assert run(world, "deliveries", "stop") == 2
    assert "needs a reason" in capsys.readouterr().err
    assert run(world, "deliveries", "stop", "--why", "looks odd") == 0
    said = capsys.readouterr().out
    assert "by anna: looks odd" in said
    assert "next: tieout deliveries resume" in said
    assert run(world, "deliveries", "resume") == 2
    assert "a different person" in capsys.readouterr().err
    assert LedgerQueue(world.engine).depth("deliver") == (0, 0)
    act_as(monkeypatch, "ben")
    assert run(world, "deliveries", "resume", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["stopped"], found["under_way"]) == (False, 0)
    assert [(e["ordinal"], e["stopped_by"], e["why"], e["resumed_by"]) for e in found["stops"]] == [
        (1, "anna", "looks odd", "ben")
    ]
    assert LedgerQueue(world.engine).depth("deliver") == (1, 0)


def test_status_begins_with_it(
    world: DeliverWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While deliveries are stopped that is the first line of status, in its JSON too, and its exit status is 1."""
    act_as(monkeypatch, "anna")
    run(world, "deliveries", "stop", "--why", "looks odd")
    capsys.readouterr()
    assert run(world, "status") == 1
    first, then, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("DELIVERIES STOPPED: all deliveries are stopped since 2026")
    assert first.endswith("by anna: looks odd")
    assert then.startswith("next: tieout deliveries resume")
    assert run(world, "status", "--json") == 1
    assert "looks odd" in json.loads(capsys.readouterr().out)["deliveries_stopped"][0]


def test_renames_that_had_begun_are_counted(world: DeliverWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """A stop says how many files may still arrive, because their rename was meant before."""
    file = world.file()
    with world.ledger.begin() as tx:
        tx.attempts.add(sample(Attempt, file_id=file.file_id, attempt=1, state="rename_intended"))
    run(world, "deliveries", "stop", "--why", "looks odd")
    assert "1 files were being renamed" in capsys.readouterr().out
