"""A function that is near its end begins nothing new, and one that finds the lease taken has done its part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from functions import batch
from functions.topology import stage_named
from payments.books import Total
from payments.firings import mark_fired
from payments.leasing import TTL, always
from payments.records import OutboundFile, ResultFile, Run
from payments.schedules import firing_of_outbox, outbox_due
from payments.states import FileState
from runtime.wakes import wake
from runtime.wiring import World
from tests.contract.ledger_world import NOON, sample
from tests.unit.functions.test_handlers import sqs_event
from tests.unit.local.small_world import world as small_world
from tests.unit.transfer.collect_world import CollectWorld
from tests.unit.transfer.deliver_world import DeliverWorld
from transfer.collect import collect
from transfer.collect_ports import CollectPorts
from transfer.deliver import deliver

ENOUGH_MS = (batch.MARGIN_S + 1) * 1000


class Context:
    """As much of Lambda's context as says when it ends."""

    def __init__(self, remaining_ms: int) -> None:
        self.remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


def times(count: int) -> Callable[[], bool]:
    """Yes so many times, then no."""
    left = iter([True] * count)
    return lambda: next(left, False)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = small_world(tmp_path)
    batch.use(found)
    yield found
    batch._worlds.clear()
    found.ledger.engine.dispose()


def test_the_end_comes_a_margin_early() -> None:
    """What is begun has so much time to be done; the answer changes while the invocation runs."""
    context = Context(ENOUGH_MS)
    may_begin = batch.time_left(context)
    assert may_begin()
    context.remaining_ms = batch.MARGIN_S * 1000
    assert not may_begin()


def test_a_worker_of_our_own_is_never_ended() -> None:
    """It gives its handlers no context."""
    assert batch.time_left(None) is always


@pytest.mark.parametrize("stage", ["deliver", "collect", "reconcile"])
def test_the_handlers_of_long_work_pass_it_on(world: World, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """Each of them asks the context of its own invocation."""
    asked: list[Any] = []
    name = {"deliver": "deliver_when_due", "collect": "collect_from", "reconcile": "reconcile_with"}[stage]
    monkeypatch.setattr(world, name, lambda *given: asked.append((given[0], given[1]())), raising=True)
    handler = import_module(f"functions.{stage}").handler
    for context in (Context(ENOUGH_MS), Context(0), None):
        assert handler(sqs_event(wake("northbank")), context) == {"batchItemFailures": []}
    assert asked == [("northbank", True), ("northbank", False), ("northbank", True)]


@pytest.mark.parametrize("sequence", ["strict", "free"])
def test_a_delivery_ends_between_files(tmp_path: Path, sequence: str) -> None:
    """Files that are under way arrive; the others are as they were, without an attempt, and leave with the next wake-up."""
    at = DeliverWorld(tmp_path, files=5, sequence=sequence)
    for expected in (2, 4, 5):
        limited = replace(at.ports(), may_begin=lambda until=expected: len(at.server.placed) < until)
        assert deliver(limited)
        assert at.states() == ["delivered"] * expected + ["sealed"] * (5 - expected)
        at.check()
    assert [len(at.attempts(file)) for file in at.files()] == [1] * 5


def test_a_poll_ends_between_files(tmp_path: Path) -> None:
    """What was seen and not fetched stays on its way, the outbox is due at once, and the next poll fetches it."""
    at = CollectWorld(tmp_path, stable_listings=1)
    at.outbox.files |= {f"{name}.ack": (name.encode(), 100) for name in "abc"}
    with at.ledger.begin() as tx:
        mark_fired(tx, firing_of_outbox(at.acquirer.name), at.clock.now())  # by who woke this poll
    ports = CollectPorts(at.ledger, at.store, at.clock, at.acquirer, at.outbox.connect, at.spool)
    assert collect(replace(ports, may_begin=times(1))) == 1
    with at.ledger.look() as tx:
        assert tx.sightings.count(state="fetching") == 2
        assert outbox_due(tx, at.acquirer, at.clock.now()) <= at.clock.now()
    assert collect(ports) == 2
    assert sorted(at.outbox.downloads) == ["a.ack", "b.ack", "c.ack"]


def test_a_pass_over_results_is_not_begun(world: World) -> None:
    """It would be folded from its beginning again: the next wake-up finds it due as before."""
    with world.ledger.begin() as tx:
        given = {"acquirer": "northbank", "held": "", "awaiting": Total(1), "overdue": False, "results_due_at": NOON}
        tx.files.add(sample(OutboundFile, file_id="f1", state="delivered", **given))
    before = looked(world)
    world.reconcile_with("northbank", times(0))
    assert looked(world) == before
    lease = world.ledger.leases.acquire("reconcile:northbank", ttl=TTL)
    assert lease is not None
    assert lease.fence == 1, "it was not even taken: whoever has time is not kept out"


def looked(world: World) -> Any:
    with world.ledger.look() as tx:
        return tx.files.find(), tx.result_books.find()


@pytest.mark.parametrize(
    ("stage", "lease"),
    [
        ("assemble", "assemble"),
        ("deliver", "deliver:northbank"),
        ("collect", "collect:northbank"),
        ("reconcile", "reconcile:northbank"),
    ],
)
def test_a_wake_up_that_finds_the_lease_taken_is_acknowledged(world: World, stage: str, lease: str) -> None:
    """The holder looks again before it lets go; a message that came again would be counted, and end as a dead letter."""
    with world.ledger.begin() as tx:
        tx.runs.add(sample(Run, source="legacy", state="curated"))
        file = {"acquirer": "northbank", "state": str(FileState.SEALED), "held": "", "next_attempt_at": None}
        tx.files.add(sample(OutboundFile, file_id="f1", **file))
        tx.results.add(sample(ResultFile, acquirer="northbank", state="read", reconciled=False))
    held = world.ledger.leases.acquire(lease, ttl=TTL)
    assert held is not None
    module, _, name = stage_named(stage).handler.rpartition(".")
    handler = getattr(import_module(module), name)
    assert handler(sqs_event(wake("northbank")), None) == {"batchItemFailures": []}
    with world.ledger.look() as tx:
        assert tx.attempts.count() == tx.assemblies.count() == 0
