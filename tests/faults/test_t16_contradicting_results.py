"""T16: an acquirer that contradicts itself, from its outbox to our books: every word is kept, none is believed against another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from local.hostile_acquirer import HostileAcquirer
from payments.states import FileState
from tests.faults.hostile_world import HostileWorld, hostile
from tests.unit.reconciliation.reconcile_texts import Pay, Say, ack, results, say

A, B = Pay("REF-p0000", 100), Pay("REF-p0001", 100)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def world(server: HostileAcquirer, tmp_path: Path) -> HostileWorld:
    """One delivered file of two payments."""
    made = HostileWorld(tmp_path, server, payments=2, per_file=2)
    made.deliver()
    assert made.states() == [FileState.DELIVERED]
    return made


@pytest.mark.parametrize("rejected_first", [True, False])
def test_accepted_and_rejected_for_one_payment_is_a_conflict(world: HostileWorld, rejected_first: bool) -> None:
    """T16: two results of one time, one yes and one no: the payment is a mismatch whichever came first, never matched."""
    yes = results(world.file(), [say(A), say(B)])
    no = results(world.file(), [say(A, "RJCT", reason="AC04")], n=2)
    for number, text in enumerate([no, yes] if rejected_first else [yes, no]):
        world.give(f"a{number}.result.1", text)
        assert world.work() == 1
    assert (world.file().matched.count, world.file().mismatched.count) == (1, 1)
    assert [each.partition(" ")[0] for each in world.kinds() if each.endswith(A.reference)] == ["status_conflict"]
    world.check()


def test_a_result_for_a_file_that_we_never_sent(world: HostileWorld) -> None:
    """T16: all of it is unknown to us, also where it names a reference of ours; our payment goes on awaiting."""
    world.give("a.result.1", results(None, [say(A), Say("REF-invented")]))
    assert world.work() == 1
    assert world.file().awaiting.count == 2
    assert [each.partition(" ")[0] for each in world.kinds()].count("unknown_to_us") == 2
    world.check()


def test_a_file_without_results_by_its_due_time(world: HostileWorld) -> None:
    """T16: silence is no success: at the due time every payment is missing, none a moment before, and the books tie."""
    due = world.file().results_due_at
    assert due is not None
    world.clock.at = due - timedelta(minutes=10)
    world.work()
    assert world.kinds() == []
    world.clock.at = due
    world.work()
    assert world.kinds() == [f"missing_at_acquirer {each.reference}" for each in (A, B)]
    world.check()


def test_a_file_that_is_accepted_in_part(world: HostileWorld) -> None:
    """T16: PART and one rejection: one payment matched, one rejected with the acquirer's code."""
    world.give("a.ack", ack(world.file(), "PART"))
    world.give("a.result.1", results(world.file(), [say(A), say(B, "RJCT", reason="AC04")]))
    assert world.work() == 2
    assert (world.file().matched.count, world.file().mismatched.count) == (1, 1)
    assert world.kinds() == [f"status_rejected {B.reference}"]
    world.check()


def test_settled_and_returned_days_later(world: HostileWorld) -> None:
    """T16: a reconciled file is reopened by a return: the payment is a mismatch of kind returned."""
    world.give("a.ack", ack(world.file()))
    world.give("a.result.1", results(world.file(), [say(A), say(B)]))
    world.work()
    assert world.states() == [FileState.RECONCILED]
    world.next_day(3)
    world.give("b.result.1", results(world.file(), [say(A, "RTRN", at="2026-03-06T07:00:00Z")], n=2))
    world.work()
    assert world.states() != [FileState.RECONCILED]
    assert world.kinds() == [f"returned {A.reference}"]
    world.check()


@pytest.mark.parametrize("status", ["ACXX", "", "accp"])
def test_an_unknown_status_is_no_acceptance(world: HostileWorld, status: str) -> None:
    """T16: a code that nobody knows: the line is unreadable and an alarm, its payment awaits, its neighbour matches."""
    world.give("a.result.1", results(world.file(), [say(A, status), say(B)]))
    assert world.work() == 1
    assert (world.file().matched.count, world.file().awaiting.count) == (1, 1)
    assert any(each.startswith("file_unreadable") for each in world.kinds())
    world.check()
