"""tieout requeue --list, --queue, --all: what the stages gave up is shown and tried again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from payments.errors import Unreachable
from runtime.dead_letters import DEAD
from runtime.ledger.audit import audit_records
from runtime.ledger.engine import open_engine
from runtime.ledger.queue import LedgerQueue
from runtime.wakes import wake
from tests.unit.transfer.deliver_world import DeliverWorld
from tieout.__main__ import main
from tieout.requeue_dead import CHAIN

CONFIGURATION = """
[ledger]
url = "sqlite:ledger.db"
"""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    (tmp_path / "tieout.toml").write_text(CONFIGURATION)
    DeliverWorld(tmp_path)
    return open_engine(f"sqlite:{tmp_path / 'ledger.db'}")


def give_up(engine: Engine, name: str, *subjects: str) -> None:
    for subject in subjects:
        LedgerQueue(engine).send(name + DEAD, wake(subject))


def run(tmp_path: Path, *arguments: str) -> int:
    return main(["requeue", *arguments, "--config", str(tmp_path / "tieout.toml")])


def waiting(engine: Engine, *names: str) -> list[int]:
    return [LedgerQueue(engine).depth(name)[0] for name in names]


def test_the_list_names_queue_count_age_and_subjects(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each queue that gave something up is listed with the command that tries it again; nothing is moved."""
    assert run(tmp_path, "--list") == 0
    assert capsys.readouterr().out == "nothing was given up\n"
    give_up(engine, "deliver", "north", "south")
    give_up(engine, "collect", "north")
    assert run(tmp_path, "--list") == 0
    said = capsys.readouterr().out
    assert "tieout requeue --queue deliver" in said
    assert "north, south" in said
    assert run(tmp_path, "--list", "--json") == 0
    found = json.loads(capsys.readouterr().out)["dead_letters"]
    assert {each["queue"]: (each["count"], each["about"], each["reason"]) for each in found} == {
        "deliver": (2, ["north", "south"], ""),
        "collect": (1, ["north"], ""),
    }
    assert all(each["oldest_at"] for each in found)
    assert waiting(engine, "deliver" + DEAD, "deliver") == [2, 0]
    main(["status", "--config", str(tmp_path / "tieout.toml")])
    assert "messages given up, by stage: collect 1, deliver 2" in capsys.readouterr().out


def test_one_stage_or_all_go_back(engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--queue tries one stage's messages again, --all everybody's; what went is said, and who did it is audited."""
    give_up(engine, "deliver", "north", "south")
    give_up(engine, "collect", "north")
    assert run(tmp_path, "--queue", "deliver") == 0
    assert capsys.readouterr().out == "deliver: 2 messages are tried again\n"
    assert waiting(engine, "deliver", "deliver" + DEAD, "collect", "collect" + DEAD) == [2, 0, 0, 1]
    assert run(tmp_path, "--all", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"requeued": {"collect": 1}, "left": {}}
    assert run(tmp_path, "--all") == 0
    assert capsys.readouterr().out == "nothing was given up\n"
    with engine.connect() as connection:
        found = list(audit_records(connection, CHAIN))
    assert [json.loads(each.body) for each in found] == [{"waiting": {"deliver": 2}}, {"waiting": {"collect": 1}}]


def test_what_went_before_a_failure_is_said(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the queue fails in the middle, the count of what is tried again is true, and so is that of what is left."""
    give_up(engine, "deliver", "north", "south", "west")
    send = LedgerQueue.send

    def breaks(self: LedgerQueue, queue: str, body: str) -> None:
        if "west" in body:
            raise Unreachable("the queue does not answer")
        send(self, queue, body)

    monkeypatch.setattr(LedgerQueue, "send", breaks)
    assert run(tmp_path, "--queue", "deliver") == 1
    said = capsys.readouterr()
    assert "deliver: 2 messages are tried again\ndeliver: 1 are still there" in said.out
    assert "the queue does not answer" in said.err


def test_a_name_or_one_choice_is_needed(engine: Engine, tmp_path: Path) -> None:
    """Neither nothing nor two things at once, nor a stage that does not exist: exit status 2."""
    for arguments in ((), ("--all", "--list"), ("legacy/1", "--all"), ("--queue", "nowhere")):
        with pytest.raises(SystemExit) as ended:
            run(tmp_path, *arguments)
        assert ended.value.code == 2
