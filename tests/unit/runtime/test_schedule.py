"""When a schedule is due: by the clocks of its zone, once, across changes of the clock and across restarts."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from payments.books import Total
from payments.config import Configuration
from payments.firings import mark_fired
from payments.records import Assembly, OutboundFile, ResultFile
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.schedule import Wake, begin_schedules, due_wakes, next_due
from tests.contract.ledger_world import StandingClock, sample
from tests.unit.local.small_world import acquirer, configuration, source

STEP = timedelta(minutes=23, seconds=13)
"""Looks fall beside the minute, as those of a running service do."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    engine = open_engine(f"sqlite:{tmp_path / 'ledger.db'}")
    upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA synchronous=OFF")
    yield SqlLedger(engine, StandingClock())
    engine.dispose()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def look(ledger: SqlLedger, config: Configuration, now: datetime) -> list[str]:
    """One look of the service: what fired, marked as fired."""
    with ledger.begin() as tx:
        fired = [each for each in due_wakes(tx, config, now) if each.firing]
        for each in fired:
            mark_fired(tx, each.firing, now)
    return [each.firing for each in fired]


def begin(ledger: SqlLedger, config: Configuration, now: datetime) -> None:
    with ledger.begin() as tx:
        begin_schedules(tx, config, now)


def firings(ledger: SqlLedger, config: Configuration, start: datetime, end: datetime) -> list[datetime]:
    """When the schedules fire while somebody looks every few minutes."""
    begin(ledger, config, start)
    found, now = [], start
    while now < end:
        found += [now] * len(look(ledger, config, now))
        now += STEP
    return found


def jumps(ledger: SqlLedger, config: Configuration, start: datetime, end: datetime) -> list[datetime]:
    """When the schedules fire on a virtual clock that jumps from one due time to the next."""
    begin(ledger, config, start)
    found, now = [], start
    while now < end:
        found += [now] * len(look(ledger, config, now))
        with ledger.look() as tx:
            following = next_due(tx, config, now)
        assert following is not None
        assert following > now
        now = following
    return found


DAYS = [
    # zone, time of day, the day on which clocks change, and when the schedule is due on it
    ("America/New_York", "02:30", "2026-03-08", "2026-03-08T07:30"),  # skipped: due when the hour is over
    ("America/New_York", "01:30", "2026-11-01", "2026-11-01T05:30"),  # shown twice: due the first time
    ("America/New_York", "02:30", "2026-11-01", "2026-11-01T07:30"),
    ("Europe/London", "02:30", "2026-03-29", "2026-03-29T01:30"),
    ("Europe/London", "01:30", "2026-03-29", "2026-03-29T01:30"),  # skipped
    ("Europe/London", "01:30", "2026-10-25", "2026-10-25T00:30"),  # twice
    ("America/Sao_Paulo", "02:30", "2026-03-08", "2026-03-08T05:30"),  # no summer time any more
    ("America/Sao_Paulo", "00:30", "2018-11-04", "2018-11-04T03:30"),  # skipped at midnight
    ("America/Sao_Paulo", "23:30", "2018-02-17", "2018-02-18T01:30"),  # twice before midnight
    ("America/Sao_Paulo", "01:30", "2018-02-18", "2018-02-18T04:30"),
    ("Pacific/Apia", "02:30", "2011-12-31", "2011-12-30T12:30"),  # the day before was skipped whole
]


@pytest.mark.parametrize(("zone", "clock", "day", "due"), DAYS)
@pytest.mark.parametrize("walk", [firings, jumps])
def test_a_time_of_day_fires_once_when_clocks_change(
    ledger: SqlLedger, zone: str, clock: str, day: str, due: str, walk: type
) -> None:
    """A skipped time of day fires once, when it is over, and a repeated one the first time only; so do the days around."""
    config = configuration(source(zone=zone, schedule=f'at = ["{clock}"]'))
    changes = date.fromisoformat(day)
    start = datetime(changes.year, changes.month, changes.day, 14, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found = walk(ledger, config, start - timedelta(days=2), start + timedelta(days=2))
    late = STEP if walk is firings else timedelta(0)
    assert len([each for each in found if at(due) <= each <= at(due) + late]) == 1
    gaps = [later - earlier for earlier, later in itertools.pairwise(found)]
    assert len(found) == 4 if zone != "Pacific/Apia" else 3
    assert all(timedelta(hours=22, minutes=30) <= gap <= timedelta(hours=25, minutes=30) for gap in gaps)


def test_the_zone_of_the_process_does_not_matter(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service whose machine lives in another zone fires at the same instants."""
    config = configuration(source(zone="Europe/London", schedule='at = ["01:30"]'))
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        found = jumps(ledger, config, at("2026-10-24T12:00"), at("2026-10-26T12:00"))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found == [at("2026-10-25T00:30"), at("2026-10-26T01:30")]


def test_a_schedule_that_was_never_looked_at_fires_at_its_first_time(ledger: SqlLedger) -> None:
    """Looks just before and just behind the first time ever are enough; times before the service existed do not count."""
    config = configuration(source(schedule='at = ["06:30", "05:00"]'))
    begin(ledger, config, at("2026-03-02T06:00"))
    assert look(ledger, config, at("2026-03-02T06:29:59.9")) == []
    assert look(ledger, config, at("2026-03-02T06:30:00.1")) == ["extract:legacy"]
    assert look(ledger, config, at("2026-03-02T06:30:00.3")) == []


def test_a_service_that_begins_exactly_at_a_time_fires(ledger: SqlLedger) -> None:
    """A virtual clock may start on the very minute."""
    config = configuration(source(schedule='at = ["06:30"]'))
    begin(ledger, config, at("2026-03-02T06:30"))
    assert look(ledger, config, at("2026-03-02T06:30")) == ["extract:legacy"]


@pytest.mark.parametrize("schedule", ['at = ["06:30", "11:00"]', "every_s = 3600"])
def test_times_missed_while_nobody_ran_fire_once(ledger: SqlLedger, schedule: str) -> None:
    """After three days of silence a schedule fires once, and then goes on as always; a restart begins nothing anew."""
    config = configuration(source(schedule=schedule))
    begin(ledger, config, at("2026-03-02T06:29"))
    look(ledger, config, at("2026-03-02T06:31"))
    begin(ledger, config, at("2026-03-05T12:00"))
    fired = [look(ledger, config, at("2026-03-05T12:00") + timedelta(seconds=n)) for n in range(5)]
    assert fired == [["extract:legacy"], [], [], [], []]
    with ledger.look() as tx:
        following = next_due(tx, config, at("2026-03-05T12:00:05"))
    assert following == at("2026-03-06T06:30" if "at" in schedule else "2026-03-05T13:00")


@pytest.mark.parametrize("schedule", ['at = ["06:30"]', "every_s = 3600"])
def test_a_clock_set_back_fires_nothing_twice(ledger: SqlLedger, schedule: str) -> None:
    """When the machine's clock goes back five minutes, what has fired stays fired."""
    config = configuration(source(schedule=schedule))
    begin(ledger, config, at("2026-03-02T06:20"))
    assert look(ledger, config, at("2026-03-02T06:30:01")) == ["extract:legacy"]
    looks = [at("2026-03-02T06:25:01") + timedelta(seconds=20 * n) for n in range(40)]
    assert [look(ledger, config, now) for now in looks] == [[]] * 40


def test_a_source_without_schedule_never_fires(ledger: SqlLedger) -> None:
    """Such a source is read by command only."""
    config = configuration(source())
    begin(ledger, config, at("2026-03-02T06:00"))
    assert look(ledger, config, at("2026-03-03T06:00")) == []
    with ledger.look() as tx:
        assert next_due(tx, config, at("2026-03-02T06:00")) is None


def test_an_outbox_is_polled_at_once_and_then_at_its_pace(ledger: SqlLedger) -> None:
    """Collecting starts with the service and goes on every `collect_every_s`, for each acquirer by itself."""
    config = configuration(acquirer(), acquirer("giro"))
    now = at("2026-03-02T06:00")
    assert look(ledger, config, now) == ["collect:northbank", "collect:giro"]
    assert look(ledger, config, now + timedelta(seconds=599)) == []
    assert look(ledger, config, now + timedelta(seconds=600)) == ["collect:northbank", "collect:giro"]


def test_a_look_changes_nothing(ledger: SqlLedger) -> None:
    """Until it is marked, a schedule stays due: a service killed before it sent the message sends it when it returns."""
    config = configuration(source(schedule="every_s = 60"))
    for _ in range(2):
        with ledger.look() as tx:
            assert due_wakes(tx, config, at("2026-03-02T06:00")) == [Wake("extract", "legacy", "extract:legacy")]


def file(name: str, **given: object) -> OutboundFile:
    return sample(OutboundFile, **{"file_id": name, "acquirer": "northbank", "state": "sealed", "held": "", **given})  # type: ignore[no-any-return]


def due_by_ledger(ledger: SqlLedger, config: Configuration, now: datetime) -> list[tuple[str, str]]:
    with ledger.look() as tx:
        return [(each.queue, each.subject) for each in due_wakes(tx, config, now) if not each.firing]


NOON = at("2026-03-02T12:00")
LATER = NOON + timedelta(minutes=3)


@pytest.mark.parametrize(
    ("record", "queue"),
    [
        (file("f1", next_attempt_at=LATER), "deliver"),
        (file("f1", state="delivering", next_attempt_at=LATER), "deliver"),
        (file("f1", state="delivered", results_due_at=LATER, awaiting=Total(3)), "reconcile"),
        (
            sample(Assembly, ordinal=1, state="done", plan={"pool_due": {"northbank": "2026-03-03"}}),
            "assemble",
        ),
    ],
)
def test_what_the_ledger_foresees_is_due_at_that_time_and_not_before(
    ledger: SqlLedger, record: OutboundFile | Assembly, queue: str
) -> None:
    """A clock that jumps to the foreseen time finds the work due there; a moment before there was none."""
    config = configuration(acquirer(zone="America/Sao_Paulo"))
    with ledger.begin() as tx:
        (tx.files.add if isinstance(record, OutboundFile) else tx.assemblies.add)(record)  # type: ignore[arg-type]
    look(ledger, config, NOON)  # the poll of the outbox is another story
    with ledger.look() as tx:
        due = next_due(tx, config, NOON)
        if queue == "assemble":
            due = at("2026-03-03T03:00")  # midnight in Sao Paulo; polls come before
            assert next_due(tx, config, due - timedelta(seconds=1)) == due
    assert due is not None
    assert due_by_ledger(ledger, config, due - timedelta(microseconds=1)) == []
    assert due_by_ledger(ledger, config, due) == [(queue, "" if queue == "assemble" else "northbank")]


@pytest.mark.parametrize(
    "given",
    [
        {"held": "limit"},
        {"state": "in_doubt"},
        {"state": "delivered", "results_due_at": NOON},  # nothing is awaited any more
        {"state": "delivered", "results_due_at": NOON, "awaiting": Total(1), "overdue": True},
        {"acquirer": "another"},
    ],
)
def test_what_waits_for_somebody_else_is_not_due(ledger: SqlLedger, given: dict[str, object]) -> None:
    """A held file, a doubtful one, one that was looked at when it was late: the clock does not wait for them."""
    config = configuration(acquirer())
    with ledger.begin() as tx:
        tx.files.add(file("f1", **given))
    assert due_by_ledger(ledger, config, NOON) == []


def test_results_that_were_read_are_due_for_their_acquirer(ledger: SqlLedger) -> None:
    """Each acquirer is woken for its own results only."""
    config = configuration(acquirer(), acquirer("giro"))
    with ledger.begin() as tx:
        tx.results.add(sample(ResultFile, acquirer="giro", state="read", reconciled=False))
        tx.results.add(sample(ResultFile, acquirer="northbank", state="read", reconciled=True))
    assert due_by_ledger(ledger, config, NOON) == [("reconcile", "giro")]


def test_a_scheduler_outside_starts_extractions_alone(ledger: SqlLedger) -> None:
    """With `extract_by = "scheduler"` no source is due here: each extraction has one starter."""
    config = configuration('[service]\nextract_by = "scheduler"\n', source(schedule='at = ["06:00"]'))
    assert firings(ledger, config, at("2026-03-02T00:00"), at("2026-03-04T00:00")) == []
