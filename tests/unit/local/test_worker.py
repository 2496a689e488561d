"""What a worker does with messages: those that fail come again, poison ends in the dead queue, neighbours go through."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions import batch
from functions.topology import TOPOLOGY, stage_named
from local import worker as worker_module
from local.worker import Worker, call, sqs_event
from payments.errors import Unreachable, Unreadable
from payments.ports import Message
from runtime.dead_letters import DEAD
from runtime.wakes import wake
from runtime.wiring import World
from tests.servers.process import until
from tests.unit.local.small_world import acquirer, source
from tests.unit.local.small_world import world as small_world

RECEIVES_MAX = 3


class Acts:
    """Stands in for the stages: counts what handlers ask for, and fails where it is told to."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.fails: dict[str, Exception] = {}

    def __call__(self, subject: str = "") -> None:
        self.seen[subject] += 1
        if subject in self.fails:
            raise self.fails[subject]


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> Acts:
    acts = Acts()
    for name in ("extract_when_due", "deliver_when_due", "collect_from", "reconcile_with", "curate_object", "assemble"):
        monkeypatch.setattr(World, name, lambda _self, subject="", *_: acts(subject))
    return acts


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(worker_module, "RETRY_AFTER", (timedelta(0),))
    world = small_world(tmp_path, f"[service]\nreceives_max = {RECEIVES_MAX}\n", source(), acquirer())
    batch.use(world)
    yield world
    batch._worlds.clear()
    world.ledger.engine.dispose()


def work(world: World, turns: int = 20) -> None:
    """Turns of a worker until nothing is waiting any more."""
    worker = Worker(world)
    for _ in range(turns):
        if not worker.turn():
            return
    raise AssertionError("messages never ended")


def test_a_message_that_succeeds_is_gone(world: World, acts: Acts) -> None:
    """Every queue is served with its own handler, and a message that was handled does not come again."""
    for queue in ("extract", "collect", "deliver", "reconcile"):
        world.queue.send(queue, wake("northbank"))
    work(world)
    assert acts.seen == {"northbank": 4}
    assert {world.queue.depth(stage.queue) for stage in TOPOLOGY} == {(0, 0)}


@pytest.mark.parametrize("error", [Unreachable("the server does not answer"), RuntimeError("DE89370400440532013000")])
def test_a_message_that_fails_comes_again_until_it_is_dead(world: World, acts: Acts, error: Exception) -> None:
    """Whatever its handler raised, a message comes `receives_max` times and then waits in the dead queue."""
    acts.fails["northbank"] = error
    world.queue.send("deliver", wake("northbank"))
    work(world)
    assert acts.seen == {"northbank": RECEIVES_MAX}
    assert world.queue.depth("deliver") == (0, 0)
    assert world.queue.depth("deliver" + DEAD) == (1, 0)


def test_a_message_that_failed_once_succeeds_later(world: World, acts: Acts) -> None:
    """After a passing fault the same message does its work, and no dead letter is left."""
    acts.fails["northbank"] = Unreachable("not now")
    world.queue.send("deliver", wake("northbank"))
    Worker(world).turn()
    assert world.queue.depth("deliver") == (1, 0)
    acts.fails.clear()
    work(world)
    assert acts.seen == {"northbank": 2}
    assert world.queue.depth("deliver" + DEAD) == (0, 0)


def test_neighbours_of_a_failing_message_succeed_once(world: World, acts: Acts) -> None:
    """In one batch the failing message alone comes again; poison that is no message of ours ends in the dead queue too."""
    acts.fails["northbank"] = Unreadable("bad")
    for body in (wake("giro"), wake("northbank"), "poison", '{"no": "notice"}', wake("third")):
        world.queue.send("deliver", body)
    work(world)
    assert acts.seen == {"giro": 1, "northbank": RECEIVES_MAX, "third": 1}
    assert world.queue.depth("deliver" + DEAD) == (3, 0)


def test_a_failing_message_rests_before_it_comes_again(
    world: World, acts: Acts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause grows with the receives, and until it is over the message is not received."""
    monkeypatch.setattr(worker_module, "RETRY_AFTER", (timedelta(0), timedelta(seconds=60)))
    acts.fails["northbank"] = Unreachable("not now")
    world.queue.send("deliver", wake("northbank"))
    work(world)
    assert acts.seen == {"northbank": 2}
    assert world.queue.depth("deliver") == (1, 0)


def test_the_log_names_the_failure_and_never_its_text(
    world: World, acts: Acts, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of ours is told with its next step; of an unknown one only its type and place are shown."""
    acts.fails = {"a": Unreachable("the server does not answer"), "b": RuntimeError("DE89370400440532013000")}
    world.queue.send("deliver", wake("a"))
    world.queue.send("deliver", wake("b"))
    Worker(world).turn()
    from runtime.logging import JsonLines

    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    assert any("the server does not answer" in line["message"] and "tried again" in line["message"] for line in lines)
    assert any(line.get("error") == "RuntimeError" for line in lines)
    assert "DE89370400440532013000" not in json.dumps(lines)


def test_the_event_is_the_one_of_sqs() -> None:
    """Handlers get what AWS sends: Powertools reads each record with body, receipt and number of receives."""
    from aws_lambda_powertools.utilities.data_classes import SQSEvent

    event = sqs_event(stage_named("deliver"), [Message("body", "r1", 2), Message("other", "r2", 1)])
    records = list(SQSEvent(event).records)
    assert [(each.body, each.message_id, each.receipt_handle) for each in records] == [
        ("body", "r1", "r1"),
        ("other", "r2", "r2"),
    ]
    assert records[0].attributes.approximate_receive_count == "2"
    assert records[0].queue_url.endswith("deliver")


def test_a_handler_that_breaks_fails_all_its_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the handler itself raises, no message is lost."""

    def broken(_event: dict[str, Any], _context: object) -> dict[str, Any]:
        raise RuntimeError("no world")

    monkeypatch.setattr("functions.deliver.handler", broken)
    assert call(stage_named("deliver"), [Message("a", "r1", 1), Message("b", "r2", 1)]) == {"r1", "r2"}


def test_a_worker_without_its_service_ends_at_once(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """A worker whose parent is not the one that is named does not start."""
    small_world(tmp_path)
    command = [sys.executable, "-m", "local.worker", "--config", str(tmp_path / "tieout.toml"), "--parent", "1"]
    done = subprocess.run(command, cwd=pytestconfig.rootpath, timeout=60, check=False, capture_output=True)
    assert done.returncode == 1


def test_a_worker_finishes_its_batch_on_sigterm(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Told to end, a worker process serves what it has, says nothing, and ends with status 0."""
    world = small_world(tmp_path)
    world.queue.send("collect", "poison")
    parent = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'local.worker', '--config', sys.argv[1],"
        " '--parent', str(os.getpid())])\n"
        "sys.stdin.read()\n"
        "child.terminate()\n"
        "sys.exit(child.wait(30))\n"
    )
    command = [sys.executable, "-c", parent, str(tmp_path / "tieout.toml")]
    with subprocess.Popen(command, cwd=pytestconfig.rootpath, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        until(lambda: "receive" in str(_receives(world)), "the worker to take its message", 60)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 0, said
    assert b"not a notice" in said
    world.ledger.engine.dispose()


def _receives(world: World) -> str:
    with world.ledger.engine.connect() as connection:
        count = connection.exec_driver_sql("SELECT max(receives) FROM notices").scalar_one()
    return "received" if count else ""
