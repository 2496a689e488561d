"""An acquirer that hangs keeps nobody else asleep: what is on its way counts per subject, not per queue (T9)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from payments.keys import result_key
from runtime.beat import wake_due
from runtime.notices import notice
from runtime.schedule import Wake
from runtime.wakes import subject_of, wake
from runtime.wiring import World
from tests.contract.ledger_world import NOON
from tests.unit.local.small_world import acquirer, source
from tests.unit.local.small_world import world as small_world

VISIBILITY = timedelta(minutes=15)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = small_world(tmp_path, source(), acquirer("slow"), acquirer("other"))
    yield world
    world.ledger.engine.dispose()


def due(monkeypatch: pytest.MonkeyPatch, *wakes: Wake) -> None:
    monkeypatch.setattr("runtime.beat.due_wakes", lambda *_: list(wakes))


def waiting(world: World, queue: str) -> list[str]:
    return [subject_of(each.body) for each in world.queue.receive(queue, limit=10, visibility=VISIBILITY)]


def test_whoever_has_no_message_is_woken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`slow` is in flight with a worker that hangs: `other` is woken all the same, and once only."""
    world.queue.send("deliver", wake("slow"))
    assert waiting(world, "deliver") == ["slow"]
    due(monkeypatch, Wake("deliver", "slow"), Wake("deliver", "other"))
    assert wake_due(world, {"deliver"}) == 2
    assert wake_due(world, {"deliver"}) == 2
    assert waiting(world, "deliver") == ["other"]


def test_a_notice_about_its_object_is_a_message_for_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice wakes as well as a wake-up does."""
    key = result_key("slow", NOON.date(), "0" * 64, "a.ack")
    world.queue.send("reconcile", notice("bucket", key, 1))
    due(monkeypatch, Wake("reconcile", "slow"), Wake("reconcile", "other"))
    wake_due(world, {"reconcile"})
    assert sum(world.queue.depth("reconcile")) == 2


def test_a_wake_up_for_all_waits_for_its_queue(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assembly has no subject: while anything of it is on its way, no more is sent."""
    world.queue.send("assemble", wake(""))
    due(monkeypatch, Wake("assemble", ""))
    wake_due(world, {"assemble"})
    assert sum(world.queue.depth("assemble")) == 1


def test_what_is_no_message_of_ours_is_for_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told and set aside by who receives it, and hides nobody."""
    world.queue.send("deliver", "{")
    due(monkeypatch, Wake("deliver", "other"))
    wake_due(world, {"deliver"})
    assert sum(world.queue.depth("deliver")) == 2


class DepthOnly:
    """A queue that tells no more than SQS does."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, queue: str, body: str) -> None:
        self.sent.append(queue)


def test_where_only_the_depth_is_known_a_busy_queue_gets_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As before: whose message it is cannot be asked."""
    queue = DepthOnly()
    monkeypatch.setattr(world, "queue", queue)
    due(monkeypatch, Wake("deliver", "slow"), Wake("reconcile", "slow"))
    wake_due(world, {"deliver"})
    assert queue.sent == ["reconcile"]
