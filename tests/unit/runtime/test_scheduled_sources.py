"""Sources that a scheduler outside starts: when the next try is, and that one which nobody makes is said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from payments.counterparts import READ_WITHIN, Counterpart
from payments.errors import Busy, TieoutError
from runtime.attention import attention
from runtime.beat import begin
from runtime.ledger.clock import LedgerClock
from runtime.wiring import World
from tests.unit.local.small_world import acquirer, source
from tests.unit.local.small_world import world as small_world
from tests.unit.local.test_failing_counterparts import make_database

START = datetime(2026, 3, 2, 5, tzinfo=UTC)
SCHEDULED = '[clock]\nstart = 2026-03-02T05:00:00Z\n[service]\nextract_by = "scheduler"\n'
DAY = timedelta(days=1)
SIX = START + timedelta(hours=1)
SHORT = timedelta(seconds=1)


class Outside:
    """A world in which tick looks at the schedules and somebody else starts the extractions."""

    def __init__(self, folder: Path, schedule: str) -> None:
        self.folder = folder
        self.world = small_world(folder, SCHEDULED, source(schedule=schedule), acquirer())
        begin(self.world)

    def at(self, time: datetime) -> Counterpart:
        """How it stands with the source then."""
        assert isinstance(self.world.clock, LedgerClock)
        self.world.clock.move(time)
        begin(self.world)
        with self.world.ledger.look() as tx:
            [found] = attention(tx, self.world.configuration, time).sources
        return found

    def extracted(self, time: datetime) -> bool:
        """Whether the task that is started then reads the source."""
        self.at(time)
        try:
            self.world.extract_source("legacy")
        except TieoutError:
            return False
        return True


@pytest.fixture
def made(tmp_path: Path) -> Iterator[dict[str, Outside]]:
    found: dict[str, Outside] = {}
    for name, schedule in (("daily", 'at = ["06:00"]'), ("often", "every_s = 3600")):
        folder = tmp_path / name
        folder.mkdir()
        found[name] = Outside(folder, schedule)
    yield found
    for each in found.values():
        each.world.ledger.engine.dispose()


def test_an_extraction_that_ended_makes_the_next_time_due(made: dict[str, Outside]) -> None:
    """Nobody but its task knows that it was read: from then on the next time of the schedule is due, not the last one."""
    daily = made["daily"]
    make_database(daily.folder)
    assert daily.at(START).next_due_at == SIX
    assert daily.extracted(SIX + SHORT)
    found = daily.at(SIX + READ_WITHIN + SHORT)
    assert (found.next_due_at, found.concern) == (SIX + DAY, None)


def test_one_that_failed_promises_no_try_that_nobody_makes(made: dict[str, Outside]) -> None:
    """Our service would try again after a minute; a scheduler outside starts the next task at its next time."""
    daily = made["daily"]
    assert not daily.extracted(SIX + SHORT)
    concern = daily.at(SIX + READ_WITHIN + SHORT).concern
    assert concern is not None
    assert "source legacy cannot be read since 2026-03-02 06:00:01 UTC (1 try)" in concern.text
    assert concern.text.endswith("; next try 2026-03-03 06:00:00 UTC")


@pytest.mark.parametrize(("name", "due"), [("daily", SIX), ("often", START + timedelta(hours=1))])
def test_one_that_nobody_reads_is_overdue(made: dict[str, Outside], name: str, due: datetime) -> None:
    """A task that never began, or died before it could tell the ledger: its time passed, and a person is told."""
    found = made[name]
    assert found.at(due + READ_WITHIN).concern is None
    concern = found.at(due + READ_WITHIN + SHORT).concern
    assert concern is not None
    assert concern.text.startswith("source legacy should have been read at 2026-03-02 06:00:00 UTC, and nobody does")
    assert concern.words == ("extract", "legacy")
    assert found.at(due + READ_WITHIN + SHORT).to_json()["overdue_since"] == "2026-03-02T06:00:00+00:00"
    with found.world.ledger.look() as tx:
        assert not attention(tx, found.world.configuration, found.world.clock.now()).is_quiet
    make_database(found.folder)
    assert found.extracted(due + 2 * READ_WITHIN)
    assert found.at(due + 2 * READ_WITHIN + SHORT).concern is None


def test_one_that_is_being_read_is_not_overdue(made: dict[str, Outside]) -> None:
    """However long that takes: its task holds the lease. One that is dead loses it."""
    daily = made["daily"]
    lease = daily.world.ledger.leases.acquire("source:legacy", ttl=timedelta(minutes=1))
    assert lease is not None
    assert daily.at(SIX + 2 * READ_WITHIN).concern is None
    with pytest.raises(Busy):
        daily.world.extract_source("legacy")
    daily.world.ledger.leases.release(lease)
    assert daily.at(SIX + 2 * READ_WITHIN).concern is not None


def test_a_time_that_passed_while_it_was_read_has_a_while_longer(
    made: dict[str, Outside], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever came then found it being read, and tries again for some minutes; nobody is called before they are over."""
    often = made["often"]
    ended = SIX + timedelta(hours=3)

    def long(*_: object, **__: object) -> None:
        often.at(ended)

    monkeypatch.setattr("extractors.extract.extract", long)
    assert often.extracted(SIX)
    found = often.at(ended + READ_WITHIN)
    assert (found.next_due_at, found.concern) == (SIX + timedelta(hours=1), None)
    assert often.at(ended + READ_WITHIN + SHORT).concern is not None


def test_a_task_that_is_killed_leaves_its_source_overdue(
    made: dict[str, Outside], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends a process in the middle is neither a success nor a failure that the ledger was told of."""
    daily = made["daily"]

    def killed(*_: object, **__: object) -> None:
        raise SystemExit(137)

    monkeypatch.setattr("extractors.extract.extract", killed)
    daily.at(SIX + SHORT)
    with pytest.raises(SystemExit):
        daily.world.extract_source("legacy")
    assert daily.at(SIX + READ_WITHIN + SHORT).concern is not None


def test_another_schedule_begins_anew(made: dict[str, Outside]) -> None:
    """A time that had passed when it was first deployed is nobody's fault: its scheduler starts the next one."""
    daily = made["daily"]
    make_database(daily.folder)
    assert daily.extracted(SIX + SHORT)
    path = daily.folder / "tieout.toml"
    path.write_text(path.read_text().replace('at = ["06:00"]', 'at = ["05:30"]'))
    daily.world.ledger.engine.dispose()
    daily.world = World.open(str(path))
    deployed = SIX + DAY - timedelta(minutes=10)
    assert daily.at(deployed).concern is None
    assert daily.at(deployed).next_due_at == SIX + 2 * DAY - timedelta(minutes=30)
