"""How the service ends, refuses to run twice, replaces its workers and keeps time."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.demo import acquirer as acquirer_apart
from local.router import local_world
from local.service import Service
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.ledger.queue import LedgerQueue
from runtime.schedule import begin_schedules, due_wakes
from runtime.settings import load
from runtime.wakes import wake
from runtime.wiring import World
from tests import service_runner as runner
from tests.servers.process import free_port, until

STOP_S_MAX = 5.0
HALF_A_DAY = {"end = 2026-03-04T01:00:00Z": "end = 2026-03-02T17:00:00Z"}
MOMENT = timedelta(seconds=30)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runner.prepared(tmp_path_factory.mktemp("service") / "demo", payments=200)


@pytest.fixture
def directory(demo: Path, tmp_path: Path) -> Path:
    return runner.copied(demo, tmp_path / "run", free_port(), {**runner.FEW_POLLS, **HALF_A_DAY})


def at_work(directory: Path, steps: int) -> None:
    """Wait until the path has come so many steps."""
    until(lambda: runner.progress(directory) >= steps, f"{steps} steps of the path")


def test_stops_in_time_in_the_middle_of_work(directory: Path) -> None:
    """Told to stop in the middle of work, the service is gone within five seconds with all its children, and loses nothing."""
    with acquirer_apart(directory):
        for steps in (3, 20):
            with runner.running(directory) as service:
                at_work(directory, steps)
                asked_s = time.monotonic()
                assert service.stop() == 0, service.said()
                assert time.monotonic() - asked_s < STOP_S_MAX
            assert [each for each in runner.processes_of(directory) if "local.acquirer" not in each[1]] == []
    runner.run_to_end(directory)
    books = runner.books(directory)
    assert books["ties"] is True
    assert books["in_flight"] == {"count": 0, "amount_minor": {}}
    assert runner.placed(directory) == runner.sealed(directory)


def test_a_second_signal_changes_nothing(directory: Path) -> None:
    """Asked twice to stop, the service ends as if it had been asked once."""
    with runner.running(directory) as service:
        until(lambda: len(service.ready()) == 2, "the workers")
        service.process.send_signal(signal.SIGTERM)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(STOP_S_MAX) == 0, service.said()
    assert runner.processes_of(directory) == []


def test_two_services_never_share_a_folder(directory: Path) -> None:
    """A second service on the same folder is refused with a clear message, and the first goes on."""
    with runner.running(directory) as first:
        until(lambda: len(first.ready()) == 2, "the workers")
        second = runner.Service(directory)
        assert second.process.wait(20) == 2
        assert "tieout: a service already runs in run/" in second.said()
        assert "next step: Stop it first, or use another folder." in second.said()
        assert first.process.poll() is None
        assert first.stop() == 0


def test_workers_die_with_their_service(directory: Path) -> None:
    """No worker outlives a service that was killed."""
    with runner.running(directory) as service:
        until(lambda: len(service.ready()) == 2, "the workers")
        workers = set(service.ready())
        service.kill()
        until(lambda: not workers & runner.alive(), "the workers to die", 5)


def test_a_dead_worker_is_replaced(directory: Path) -> None:
    """A worker that dies is replaced, and the log says which one and how it ended."""
    with runner.running(directory) as service:
        until(lambda: len(service.ready()) == 2, "the workers")
        dead, other = service.ready()
        runner.hard_stop(dead)
        until(lambda: len(set(service.ready()) - {dead, other}) == 1, "another worker")
        assert "ended with status -9 and is started again" in service.said()
        assert service.stop() == 0


def test_nobody_is_woken_before_the_acquirer_has_done_what_is_due(directory: Path) -> None:
    """A poll of the outbox waits until the acquirer has answered the present time: what it finds is never a matter of luck."""
    world = local_world(str(directory / "tieout.toml"))
    service = Service(world, page=False)
    service._begin()
    try:
        for child in service._children.values():
            child.kill()
            child.wait()
        service._children.clear()
        service.turn()
        assert world.queue.depth("collect") == (0, 0)
        _now, tick = (directory / "clock").read_text().split()
        (directory / "acquirer" / "clock").write_text(json.dumps({"tick": int(tick), "next_due_at": None}))
        service.turn()
        assert world.queue.depth("collect") == (2, 0)
    finally:
        service._end()


def test_exports_do_not_outlive_their_day_while_the_service_runs(directory: Path) -> None:
    """What was exported goes after a day without a restart, wherever the store of exports is; nothing else does."""
    world = local_world(str(directory / "tieout.toml"))
    service = Service(world, page=False)
    keys = ("exports/somebody/mismatches-1.csv", "exports/somebody/mismatches-2.csv", "raw/legacy/x")
    for key in keys:
        world.store.put(key, b"x")
    old = time.time() - 2 * 86_400
    for key in keys[1:]:
        with world.store.local(key) as path:
            os.utime(path, (old, old))
    service._look_after()
    assert [world.store.exists(key) for key in keys] == [True, False, True]


def test_one_dead_worker_never_frees_what_another_holds(tmp_path: Path) -> None:
    """What worker 10 holds stays its own when worker 1 dies."""
    engine = open_engine(f"sqlite:{tmp_path / 'ledger.db'}")
    upgrade(engine)
    tenth = LedgerQueue(engine, holder="worker-abc-10@here:10")
    tenth.send("read", wake("northbank"))
    assert len(tenth.receive("read", limit=1, visibility=MOMENT)) == 1
    tenth.release_held("worker-abc-1@")
    assert tenth.depth("read") == (0, 1)
    tenth.release_held("worker-abc-10@")
    assert tenth.depth("read") == (1, 0)


def test_restarts_never_make_dead_letters(tmp_path: Path) -> None:
    """A message that was in hand at any number of kills of the whole service is still worked on at the next start."""
    engine = open_engine(f"sqlite:{tmp_path / 'ledger.db'}")
    upgrade(engine)
    queue = LedgerQueue(engine, receives_max=5, holder="worker-abc-0@here:1")
    queue.send("read", wake("northbank"))
    for _ in range(12):
        assert [each.receives for each in queue.receive("read", limit=1, visibility=MOMENT)] == [1]
        queue.release_held("worker-", forgiven=True)
    assert queue.depth("read") == (1, 0)


def test_a_daily_schedule_fires_in_real_time(directory: Path, tmp_path: Path) -> None:
    """A source that is read at times of the day is read at the first of them after the service began, late looks included."""
    configuration = load(str(directory / "tieout.toml")).configuration
    engine = open_engine(f"sqlite:{tmp_path / 'ledger.db'}")
    upgrade(engine)
    began = datetime(2026, 3, 2, 5, 29, 59, tzinfo=UTC)  # the first reading is at 05:30 UTC
    with SqlLedger(engine, World(load(str(directory / "tieout.toml"))).clock).begin() as tx:
        begin_schedules(tx, configuration, began)
        begin_schedules(tx, configuration, began + timedelta(seconds=0.9))
        assert _extracts(tx, configuration, began) == []
        assert _extracts(tx, configuration, began + timedelta(seconds=1.2)) == ["legacy"]


def _extracts(tx: object, configuration: object, now: datetime) -> list[str]:
    return [each.subject for each in due_wakes(tx, configuration, now) if each.queue == "extract"]  # type: ignore[arg-type]
