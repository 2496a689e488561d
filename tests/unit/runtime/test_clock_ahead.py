"""The machine's clock was a day or a year ahead for a moment, and was put right: nothing waits for it (T10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from functions.topology import TOPOLOGY
from payments.config import Configuration, Retry
from payments.contacts import RETRY_LONGEST, Contact, of_source
from payments.counterparts import OVERDUE_AFTER, outboxes
from payments.errors import LoginRefused, Unreachable
from payments.firings import last_fired, mark_fired
from payments.records import Run
from payments.states import FileState
from runtime.attention import attention
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.schedule import due_wakes
from runtime.sweep import sweep
from tests.contract.ledger_world import StandingClock, sample
from tests.unit.local.small_world import acquirer, configuration, source
from tests.unit.local.small_world import world as small_world
from tests.unit.transfer.assemble_world import acquirer as section
from tests.unit.transfer.companion_world import CompanionWorld
from tests.unit.transfer.deliver_world import DeliverWorld, Fault
from transfer.login_pause import paused

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
AHEAD = [timedelta(days=1), timedelta(days=365)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    engine = open_engine(f"sqlite:{tmp_path / 'ledger.db'}")
    upgrade(engine)
    yield SqlLedger(engine, StandingClock(NOW))
    engine.dispose()


def woken(ledger: SqlLedger, config: Configuration, now: datetime) -> list[str]:
    """One look of the service: what fired, marked as fired."""
    with ledger.begin() as tx:
        fired = [each.firing for each in due_wakes(tx, config, now) if each.firing]
        for name in fired:
            mark_fired(tx, name, now)
    return fired


@pytest.mark.parametrize("ahead", AHEAD)
@pytest.mark.parametrize("schedule", ['at = ["06:30"]', "every_s = 600", "every_s = 86400"])
def test_schedules_fire_at_once_and_then_in_their_time(ledger: SqlLedger, schedule: str, ahead: timedelta) -> None:
    """Once it is put right, sources and outboxes are due now, once, and then as if nothing had been."""
    config = configuration(source(schedule=schedule), acquirer())
    with ledger.begin() as tx:
        for name in ("extract:legacy", "collect:northbank"):
            mark_fired(tx, name, NOW + ahead)
    assert sorted(woken(ledger, config, NOW)) == ["collect:northbank", "extract:legacy"]
    assert woken(ledger, config, NOW + timedelta(seconds=1)) == []
    due = {'at = ["06:30"]': timedelta(hours=18.5), "every_s = 600": timedelta(seconds=600)}
    at = NOW + due.get(schedule, timedelta(days=1))
    assert "extract:legacy" not in woken(ledger, config, at - timedelta(seconds=1))
    assert "extract:legacy" in woken(ledger, config, at)


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_source_that_failed_then_is_tried_again_within_the_hour(ledger: SqlLedger, ahead: timedelta) -> None:
    """The end of its last try is kept as to come: it is tried when the longest pause is over, and not with every look."""
    config = configuration(source(schedule='at = ["06:30"]'))
    failing = Contact(of_source("legacy"), NOW + ahead, failing_since=NOW + ahead, failures=3, error="Unreachable")
    with ledger.begin() as tx:
        mark_fired(tx, "extract:legacy", NOW)
        tx.contacts.add(failing)
    assert woken(ledger, config, NOW + RETRY_LONGEST - timedelta(seconds=1)) == []
    assert woken(ledger, config, NOW + RETRY_LONGEST) == ["extract:legacy"]
    assert woken(ledger, config, NOW + RETRY_LONGEST + timedelta(seconds=1)) == []


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_file_that_failed_then_is_tried_now(tmp_path: Path, ahead: timedelta) -> None:
    """Its next attempt lies behind every pause that the acquirer's retries know."""
    world = DeliverWorld(tmp_path)
    world.change(1, next_attempt_at=world.clock.at + ahead, attempts=1, note="the connection was cut off")
    world.deliver()
    assert world.states() == [FileState.DELIVERED]


def test_a_file_of_that_time_waits_like_any_when_the_server_is_away(tmp_path: Path) -> None:
    """It gets a pause from now: otherwise a server that is down would be asked again without one."""
    world = DeliverWorld(tmp_path)
    world.change(1, next_attempt_at=world.clock.at + timedelta(days=365), attempts=1)
    world.server.faults = [Fault("connect", "before", Unreachable("no route"))]
    world.deliver()
    world.deliver()
    assert world.server.connects == 1
    assert world.file().next_attempt_at == world.clock.at + timedelta(seconds=world.acquirer.retry.first_s)


def test_an_open_run_of_a_source_that_failed_then_is_swept_up(ledger: SqlLedger, tmp_path: Path) -> None:
    """The sweep leaves a failing source in peace for an hour at the most."""
    world = small_world(tmp_path, source(), acquirer())
    now = world.clock.now()
    with world.ledger.begin() as tx:
        tx.runs.add(replace(sample(Run), source="legacy", state="open", note=""))
        tx.contacts.add(Contact(of_source("legacy"), now + AHEAD[0], failing_since=now + AHEAD[0], failures=1))
    assert sweep(world, TOPOLOGY) == 1
    world.ledger.engine.dispose()


def test_a_pause_that_may_be_is_kept(tmp_path: Path) -> None:
    """The longest pause of the acquirer's retries is a reason to wait."""
    world = DeliverWorld(tmp_path, retry=Retry(longest_s=7200))
    world.change(1, next_attempt_at=world.clock.at + timedelta(seconds=7200), attempts=1)
    world.deliver()
    assert world.states() == [FileState.SEALED]


def test_a_companion_that_failed_then_is_placed_now(tmp_path: Path) -> None:
    """The marker of a delivered file does not wait for a year either."""
    world = CompanionWorld(tmp_path)
    world.deliver()
    (file,) = world.files()
    companion = world.companion(file)
    assert companion is not None
    world.server.files.pop(world.beside(file))
    world.server.placed.pop()
    with world.ledger.begin() as tx:
        tx.companions.change(companion, state="due", next_attempt_at=world.clock.at + timedelta(days=365))
    world.deliver()
    assert world.companion_states() == ["placed"]


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_log_in_that_was_refused_then_is_tried_now(ledger: SqlLedger, ahead: timedelta) -> None:
    """The pause of a refused log-in is never longer than the acquirer's longest."""
    clock, north = StandingClock(NOW + ahead), section("north", retry=Retry(longest_s=600))

    def refused() -> None:
        raise LoginRefused("no")

    with pytest.raises(LoginRefused, match="no"):
        paused(ledger, clock, north, refused, at_once=False)().__enter__()  # type: ignore[arg-type]
    clock.at = NOW
    with pytest.raises(LoginRefused, match=r"^no$"):
        paused(ledger, clock, north, refused, at_once=False)().__enter__()  # type: ignore[arg-type]
    with pytest.raises(LoginRefused, match="did not let us in"):
        paused(ledger, clock, north, refused, at_once=False)().__enter__()  # type: ignore[arg-type]


def test_a_poll_that_nobody_makes_is_told(ledger: SqlLedger) -> None:
    """Status and page name the outbox, since when it is due, and what polls; a poll that is only a little late is nothing."""
    config = configuration(acquirer())
    with ledger.begin() as tx:
        mark_fired(tx, "collect:northbank", NOW)
        due = NOW + timedelta(seconds=600)
        quiet = outboxes(tx, config, due + 3 * timedelta(seconds=600))
        found = attention(tx, config, due + 3 * timedelta(seconds=600) + timedelta(seconds=1))
        assert last_fired(tx, "collect:northbank") == NOW
    assert 3 * timedelta(seconds=600) > OVERDUE_AFTER
    assert [each.concern for each in quiet] == [None]
    assert [each.text for each in found.failing] == [
        "outbox of northbank: a poll was due at 2026-03-02 12:10:00 UTC, and nobody polls; is `tieout run` at work?"
    ]
    assert found.failing[0].words == ("acquirer", "northbank", "test")
    assert not found.is_quiet
