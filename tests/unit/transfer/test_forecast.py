"""What is foreseen of the next window: files, sums, names as they come true; and an alarm before it is missed."""

from __future__ import annotations

import argparse
import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from payments.books import Total
from payments.contacts import of_inbox, reached
from payments.records import Attempt, Chunk, OutboundFile, Run
from payments.states import FileState
from runtime.schedule import new_alarms
from tests.unit.transfer.assemble_world import SOURCE, TODAY, Pay, acquirer
from tests.unit.transfer.windows_world import WindowsWorld, at, section, window
from tieout.acquirer_next import report
from transfer.dry_run import DryRun, dry_run
from transfer.forecast import Forecast, alarms, forecast


def foreseen(world: WindowsWorld) -> DryRun:
    return dry_run(world.ports(), world.configuration.acquirer[0])


def risk(world: WindowsWorld) -> Forecast:
    with world.ledger.look() as tx:
        return forecast(tx, world.configuration.acquirer[0], world.clock.now())


@pytest.mark.parametrize("send", ["when_complete", "at_cutoff"])
def test_the_dry_run_comes_true(tmp_path: Path, send: str) -> None:
    """Names, rows, sums and numbers of the dry run are those of the files that then go; nothing is written by it."""
    world = WindowsWorld(tmp_path, section(window(send=send), rows_per_file_max=2), acquirer("south"))
    world.pay("a", "b")
    world.run(Pay("c", minor=70, currency="USD"), Pay("d", day=date(2026, 3, 5), minor=9), Pay("s", acquirer="south"))
    before = world.facts()
    said = foreseen(world)
    assert world.facts() == before
    assert (said.future_dated.count, said.future_dated.amount_minor) == (1, {"EUR/CRDT": 9})
    assert said.future_from == date(2026, 3, 5)
    world.settle()
    world.go("08:00")
    world.go("16:00")
    came = [file for file in world.files() if file.acquirer == "north"]
    assert [(f.name, f.total, f.sequence, f.file_id) for f in said.files] == [
        (f.name, f.total, f.sequence, f.file_id) for f in came
    ]
    assert [file.total.count for file in came] == [2, 1]


def test_without_windows_the_dry_run_shows_what_goes_now(tmp_path: Path) -> None:
    """No cutoff, no risk: the files that the next assembly would make."""
    world = WindowsWorld(tmp_path, acquirer())
    world.run(Pay("a"))
    said = foreseen(world)
    assert [file.total.count for file in said.files] == [1]
    assert (said.forecast.verdict, said.forecast.window) == ("ok", None)
    assert "files go when their runs are complete" in report(said)


def test_what_was_never_measured_is_unknown(tmp_path: Path) -> None:
    """Rows wait and no delivery was ever measured: the verdict is not ok, and no alarm is raised for it."""
    world = WindowsWorld(tmp_path, section())
    assert risk(world).verdict == "ok"  # nothing is under way
    world.pay("a")
    assert risk(world).verdict == "unknown"
    with world.ledger.look() as tx:
        assert alarms(tx, world.configuration, world.clock.now()) == []


def measured(world: WindowsWorld, *, rows: int, run_s: int, sent: int, send_s: int) -> None:
    """A run of so many rows in so many seconds, and one delivery of so many bytes in so many."""
    world.pay("old")
    (run, file), planned_at = _only(world), world.assemblies()[0].created_at
    with world.ledger.begin() as tx:
        tx.runs.change(run, extracted=Total(rows), opened_at=planned_at - timedelta(seconds=run_s))
        tx.files.change(file, size=sent)
        attempt = tx.attempts.find(file_id=file.file_id)[0]
        tx.attempts.change(attempt, ended_at=attempt.started_at + timedelta(seconds=send_s))


def _only(world: WindowsWorld) -> tuple[Run, OutboundFile]:
    with world.ledger.begin() as tx:
        return tx.runs.find()[0], tx.files.find()[0]


def under_way(world: WindowsWorld, rows: int) -> None:
    """A run that is being extracted and curated."""
    with world.ledger.begin() as tx:
        tx.runs.add(Run(SOURCE, 9, TODAY, "open", None, [9], world.clock.now(), "c", chunks=1, chunks_open=1))
        tx.chunks.add(Chunk(SOURCE, 9, 0, "stored", None, [0], rows))


def test_an_alarm_comes_before_the_miss_and_is_told_once(tmp_path: Path) -> None:
    """36,000 rows at 10 a second take an hour: fine at 14:00, at risk at 15:01; the service says it once."""
    world = WindowsWorld(tmp_path, section(), now="2026-03-02T09:00")
    measured(world, rows=1000, run_s=100, sent=1_000_000, send_s=1)
    under_way(world, 36_000)
    world.clock.at = at("2026-03-02T14:00")
    # A payment of the old file took a million bytes: the estimate of what is to be sent follows what was measured.
    with world.ledger.begin() as tx:
        tx.files.change(tx.files.find()[0], total=Total(1_000_000))
    assert risk(world).verdict == "ok"
    world.clock.at = at("2026-03-02T15:01")
    said = risk(world)
    assert said.verdict == "at_risk"
    assert said.reasons[0] == "rows under way will be complete at 2026-03-02T16:01:00Z, behind the cutoff"
    for expected in (1, 0):
        with world.ledger.begin() as tx:
            assert len(new_alarms(tx, world.configuration, world.clock.now())) == expected
    with world.ledger.look() as tx:
        assert len(alarms(tx, world.configuration, world.clock.now())) == 1


def test_a_slow_line_is_at_risk(tmp_path: Path) -> None:
    """The bytes that are left take longer than the time that is left."""
    world = WindowsWorld(tmp_path, section(), now="2026-03-02T15:00")
    measured(world, rows=1000, run_s=1, sent=1_000, send_s=1)
    world.is_down = True
    world.pay("a")
    world.change(world.files()[-1], size=3_590_000, next_attempt_at=None)
    with world.ledger.begin() as tx:
        reached(tx, of_inbox("north"), world.clock.now())
    said = risk(world)
    assert said.verdict == "ok"
    assert said.finish_at == at("2026-03-02T15:59:50")
    world.change(world.files()[-1], size=3_600_000)
    assert risk(world).verdict == "at_risk"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"held": "held by anna"}, "waits for a person (held by anna)"),
        ({"state": str(FileState.IN_DOUBT)}, "waits for a person (in doubt)"),
        ({"next_attempt_at": at("2026-03-02T16:00")}, "is tried again at 2026-03-02T16:00:00Z, behind the close"),
    ],
)
def test_a_file_that_cannot_leave_in_time_by_itself_is_at_risk(
    tmp_path: Path, given: dict[str, object], why: str
) -> None:
    """Held, in doubt, or waiting too long for its next attempt: a person is told while the window is open."""
    world = WindowsWorld(tmp_path, section(), now="2026-03-02T09:00")
    world.is_down = True
    world.pay("a")
    world.change(world.files()[0], note="", **given)
    said = risk(world)
    assert said.verdict == "at_risk"
    assert said.reasons[0].endswith(why)


def test_a_late_file_stays_an_alarm_until_it_is_there(tmp_path: Path) -> None:
    """What missed its window is told as long as it is not delivered."""
    world = WindowsWorld(tmp_path, section(window(late="late")), now="2026-03-02T15:30")
    world.is_down = True
    world.pay("a")
    world.go("16:00")
    with world.ledger.look() as tx:
        (alarm,) = alarms(tx, world.configuration, world.clock.now())
    assert alarm.text.startswith(f"file {world.files()[0].name} is late and not there")
    world.is_down = False
    world.go("18:00")
    with world.ledger.look() as tx:
        assert alarms(tx, world.configuration, world.clock.now()) == []


def test_while_an_assembly_is_under_way_the_dry_run_says_so(tmp_path: Path) -> None:
    """Its files are planned already: they are shown as on their way, and nothing is folded twice."""
    world = WindowsWorld(tmp_path, section(), now="2026-03-02T09:00")
    world.is_down = True
    world.pay("a")
    with world.ledger.begin() as tx:
        tx.assemblies.change(tx.assemblies.find()[0], state="planned")
    said = foreseen(world)
    assert said.busy
    assert [file.total.count for file in said.on_their_way] == [1]
    assert "an assembly is under way" in report(said)


def test_the_screen_and_the_object_say_the_same(tmp_path: Path) -> None:
    """Names, sums and the verdict stand in both; the object is plain JSON."""
    world = WindowsWorld(tmp_path, section(late_hold := window(late="next")))
    world.pay("a", minor=1250)
    said = foreseen(world)
    found = json.loads(json.dumps(said.to_json()))
    assert found["window"]["late"] == late_hold.late
    assert found["files"][0]["total"] == {"count": 1, "amount_minor": {"EUR/CRDT": 1250}}
    assert found["verdict"] == "unknown"
    screen = report(said)
    assert found["files"][0]["name"] in screen
    assert "12.50" in screen
    assert "verdict: unknown" in screen


def test_the_command_takes_a_name() -> None:
    """`tieout acquirer NAME next` hands its arguments on as they are."""
    from tieout.acquirer_next import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert vars(parser.parse_args(["north", "--json"])) == {"name": "north", "json": True}


def test_an_attempt_without_end_is_not_measured(tmp_path: Path) -> None:
    """Only what was delivered says how fast the line is."""
    world = WindowsWorld(tmp_path, section(), now="2026-03-02T09:00")
    world.pay("a")
    (file,) = world.files()
    with world.ledger.begin() as tx:
        tx.attempts.add(Attempt(file.file_id, 7, "started", ".x", "w", world.clock.now()))
    assert risk(world).speed.bytes_per_s is None
