"""`tieout status` tells of rows that no extraction finds, of messages that were given up, and of rows in quarantine."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from payments.books import Total
from payments.errors import Unreachable
from payments.records import Run
from runtime.dead_letters import DEAD
from runtime.wiring import World
from tests.contract.ledger_world import sample

GOOD = "2026-03-01T12:00:00"


def make_source(folder: Path, *times: Any) -> None:
    with closing(sqlite3.connect(folder / "legacy.db")) as database, database:
        database.execute("DROP TABLE IF EXISTS payment")
        database.execute("CREATE TABLE payment (id INTEGER PRIMARY KEY, changed, a TEXT, c TEXT, d TEXT, r TEXT)")
        rows = [(time, "1.00", "EUR", "CRDT", "2026-03-02") for time in times]
        database.executemany("INSERT INTO payment (changed, a, c, d, r) VALUES (?, ?, ?, ?, ?)", rows)


def test_rows_that_are_not_found_stand_in_status_until_they_are_mended(
    world: World, tieout: Any, tmp_path: Path
) -> None:
    """An extraction that hides rows is a matter for a person: exit status 1 until an extraction finds none, as text and JSON."""
    make_source(tmp_path, GOOD, "2026-03-01 12:30:00", None)
    assert tieout("extract", "legacy")[0] == 0
    status, out, _ = tieout("status")
    assert status == 1
    assert "STUCK: source legacy: 2 rows (or more) have no usable watermark" in out
    assert "next: tieout extract legacy" in out
    status, out, _ = tieout("status", "--json")
    assert (status, len(json.loads(out)["stuck"])) == (1, 1)
    assert tieout("extract", "legacy")[:2] == (0, "legacy: nothing new\n")
    assert tieout("status")[0] == 1
    make_source(tmp_path, GOOD, "2026-03-01T12:30:00")
    assert tieout("extract", "legacy")[0] == 0
    assert (tieout("status")[0], json.loads(tieout("status", "--json")[1])["stuck"]) == (0, [])


def test_a_source_without_a_usable_row_fails(world: World, tieout: Any, tmp_path: Path) -> None:
    """`nothing new` would be a lie where the type of the watermark is wrong: column and type are named."""
    make_source(tmp_path, 1_772_366_400, 1_772_366_401)
    status, _, err = tieout("extract", "legacy")
    assert status == 2
    assert "watermark column 'changed'" in err
    assert "'timestamp'" in err
    status, out, _ = tieout("status")
    assert status == 1
    assert "FAILING: source legacy cannot be read" in out


def test_messages_given_up_make_the_exit_status_1(world: World, tieout: Any) -> None:
    """Work that a stage gave up waits for a person, and a monitor that reads the JSON sees how much."""
    assert json.loads(tieout("status", "--json")[1])["given_up"] == {}
    world.queue.send("curate" + DEAD, "{}")
    assert tieout("status")[0] == 1
    status, out, _ = tieout("status", "--json")
    assert (status, json.loads(out)["given_up"]) == (1, {"curate": 1})


def test_who_may_not_look_into_queues_reads_that_it_is_not_known(
    world: World, tieout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An auditor without a right to the queues still gets the rest, and no false zero."""

    def refused(*_: Any) -> None:
        raise Unreachable("the queue does not answer")

    monkeypatch.setattr("runtime.dead_letters.counts", refused)
    status, out, _ = tieout("status")
    assert (status, "messages given up: not known; the queue does not answer" in out) == (0, True)
    assert json.loads(tieout("status", "--json")[1])["given_up"] is None


def test_quarantined_rows_are_named_with_the_run_that_has_them(world: World, tieout: Any) -> None:
    """Refused rows are in the books and are not sent: said beside the verdict; they make no alarm."""
    run = {"source": "legacy", "state": "curated", "assembly": None, "note": ""}
    two = Total(2, {"EUR/CRDT": 200})
    with world.ledger.begin() as tx:
        tx.runs.add(sample(Run, **run, ordinal=3, extracted=two, curated=Total(), quarantined=two))
    status, out, _ = tieout("status")
    assert status == 0
    assert "Quarantined and not sent: 2 rows.\nnext: tieout trace legacy/000003" in out
    assert json.loads(tieout("status", "--json")[1])["quarantined"]["count"] == 2


def test_a_run_that_cannot_go_on_is_said(world: World, tieout: Any) -> None:
    """A chunk whose object was changed stops its run: status names it first of all and ends with 1 until it is whole."""
    run = replace(sample(Run), source="legacy", ordinal=7, state="closed", note="")
    with world.ledger.begin() as tx:
        tx.runs.add(run)
    assert "STOPPED" not in tieout("status")[1]
    with world.ledger.begin() as tx:
        tx.runs.change(run, note="chunk 1: its bytes are not those that were extracted")
    status, shown, _ = tieout("status")
    assert status == 1
    assert "STOPPED: run legacy/000007 is stopped: chunk 1: its bytes" in shown
    assert "prove legacy/000007" in shown
    assert json.loads(tieout("status", "--json")[1])["runs_stopped"] == [
        "run legacy/000007 is stopped: chunk 1: its bytes are not those that were extracted"
    ]
