"""The stage extract: runs, chunks, watermark, manifest, and what happens when it is killed."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from extractors import extract as stage
from extractors.raw_chunk import Contents
from extractors.run_records import record_stored
from payments.books import Total, total_of
from payments.errors import Busy, Tampered, Unreachable, WrongConfiguration
from payments.run_closing import settle_run
from payments.totals import digest_of
from runtime.ledger.records import SqlRecords
from tests.unit.extractors.extract_world import Fate, Killed, World
from tests.unit.extractors.legacies import START, SqliteLegacy, row

ROWS = [row(f"P{at}", at=at, amount=f"{at}.10", name=None if at % 3 else "Payee") for at in range(7)]
MANIFEST = "raw/legacy/2026-03-02/000001/manifest.json"
COMPLETE = "curated/legacy/2026-03-02/000001/complete.json"


@pytest.fixture(scope="module")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated ledger to copy: migrating takes longer than any test here."""
    folder = tmp_path_factory.mktemp("ledger")
    World(folder, SqliteLegacy(folder, "epoch_ms"))
    with closing(sqlite3.connect(folder / "ledger.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder / "ledger.db"


@pytest.fixture
def world(tmp_path: Path, empty_ledger: Path) -> World:
    legacy = SqliteLegacy(tmp_path, "epoch_ms")
    legacy.insert(ROWS)
    return World(tmp_path / "world", legacy, empty_ledger)


def killed_before(step: str, world: World) -> None:
    """An extraction that dies when it comes to a step of the stage, and the restart after it."""

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, step, die)
        with pytest.raises(Killed):
            world.extract()
    world.restart()


def parquet(world: World) -> pa.Table:
    """All raw chunks in order, as one table."""
    paths = sorted(world.folder.glob("raw/**/*.parquet"))
    return pa.concat_tables([pq.read_table(path, partitioning=None) for path in paths])


def test_a_run_holds_every_row_once(world: World) -> None:
    """One extraction: chunks of the configured size, exact totals, the watermark at the bound, the manifest last."""
    run = world.extract()
    assert run is not None
    assert (run.ordinal, run.state, run.chunks, run.chunks_open) == (1, "closed", 3, 3)
    assert (run.business_date, run.opened_at) == (date(2026, 3, 2), START + timedelta(hours=1))
    table = parquet(world)
    assert table["PAY_NO"].to_pylist() == [f"P{at}" for at in range(7)]
    assert table["AMT"].to_pylist() == [f"{at}.1" for at in range(7)]
    digest = digest_of(table["_row_hash"])
    assert run.extracted == Total(7, {"EUR/CRDT": sum(range(7)) * 100 + 70}, 0, digest)
    runs, chunks, watermarks = world.records()
    assert runs == [run]
    assert [(chunk.ordinal, chunk.state, chunk.rows) for chunk in chunks] == [
        (1, "stored", 3),
        (2, "stored", 3),
        (3, "stored", 1),
    ]
    assert total_of(chunk.extracted for chunk in chunks) == run.extracted
    assert [(mark.position, mark.run) for mark in watermarks] == [(run.upper, 1)]
    manifest = json.loads(world.store.get(MANIFEST))
    assert [(each["key"], each["rows"], each["sha256"]) for each in manifest["chunks"]] == [
        (f"raw/legacy/2026-03-02/000001/0000{chunk.ordinal}.parquet", chunk.rows, chunk.raw_sha256) for chunk in chunks
    ]
    assert Total.from_json(manifest["extracted"]) == run.extracted
    assert (manifest["upper"], manifest["config_hash"]) == (run.upper, "c0ffee")
    assert not world.store.exists(COMPLETE)


def test_nothing_new_is_no_run(world: World) -> None:
    """A run without rows is never opened: not on an empty table, and not when everything was read."""
    assert world.extract() is not None
    assert world.extract() is None
    assert len(world.records()[0]) == 1
    world.clock.at = START - timedelta(days=1)
    assert world.extract() is None


def test_the_next_run_starts_behind_the_watermark(world: World) -> None:
    """New rows, and a changed row with a new watermark, come with the next ordinal; nothing comes twice."""
    world.extract()
    world.legacy.insert([row("P2", rev=2, at=100), row("P9", at=99)])
    run = world.extract()
    assert run is not None
    assert (run.ordinal, run.extracted.count) == (2, 2)
    assert parquet(world)["PAY_NO"].to_pylist()[7:] == ["P9", "P2"]


def test_the_business_date_is_the_sources_day(world: World) -> None:
    """The day in the key is the day at the source when the run was opened, not the day in UTC."""
    world.clock.at = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    world.source = world.legacy.section(zone="Asia/Tokyo")
    run = world.extract()
    assert run is not None
    assert run.business_date == date(2026, 3, 3)
    assert world.store.exists("raw/legacy/2026-03-03/000001/manifest.json")


def test_two_extractions_at_once_are_one(world: World) -> None:
    """While somebody holds the source's lease, a second extraction changes nothing and says so."""
    lease = world.ledger.leases.acquire("source:legacy", ttl=timedelta(seconds=60))
    assert lease is not None
    with pytest.raises(Busy, match="extracted already"):
        world.extract()
    world.ledger.leases.release(lease)
    assert world.extract() is not None
    assert world.ledger.leases.acquire("source:legacy", ttl=timedelta(seconds=60)) is not None


def test_a_worker_that_lost_its_lease_records_nothing(world: World) -> None:
    """A worker that was paused beyond its lease ends with Busy before its next record; the new holder finishes the run."""

    def lost(_: str) -> None:
        world.after_put = lambda _: None
        world.restart()
        assert world.ledger.leases.acquire("source:legacy", ttl=timedelta(seconds=60)) is not None

    world.after_put = lost
    with pytest.raises(Busy, match="no longer ours"):
        world.extract()
    assert [chunk.state for chunk in world.records()[1]] == ["opened"]
    world.restart()
    run = world.extract()
    assert run is not None
    assert run.extracted.count == 7


def test_curate_may_be_faster(world: World) -> None:
    """Chunks that are curated before extract records them: the run is complete when it closes, and extract says so."""
    world.after_put = world.curate
    run = world.extract()
    assert run is not None
    assert (run.state, run.chunks_open, run.curated, run.quarantined) == ("curated", 0, run.extracted, Total())
    complete = json.loads(world.store.get(COMPLETE))
    assert Total.from_json(complete["curated"]) == run.extracted
    assert {chunk.state for chunk in world.records()[1]} == {"curated"}


def test_curate_may_be_slower(world: World) -> None:
    """Chunks that are curated after the run was closed: the last one settles it, and both ways give the same bytes."""
    world.extract()
    for key in [key for key in world.store.keys("raw/") if key.endswith(".parquet")]:
        world.curate(key)
    run = world.records()[0][0]
    assert (run.state, run.chunks_open, run.curated) == ("curated", 0, run.extracted)
    # Curate was killed before it put complete.json: the next extraction makes up for it.
    assert world.extract() is None
    assert json.loads(world.store.get(COMPLETE))["chunks"] == 3


def outcome(world: World) -> tuple[Any, dict[str, bytes]]:
    return world.records(), world.objects()


@pytest.mark.parametrize("curated_at_once", [False, True], ids=["curated-later", "curated-at-once"])
def test_killed_anywhere_it_ends_the_same(tmp_path: Path, empty_ledger: Path, curated_at_once: bool) -> None:
    """Killed at any point and started again, extract leaves the same records and the same bytes as undisturbed."""
    legacy = SqliteLegacy(tmp_path, "epoch_ms")
    legacy.insert(ROWS)

    def made(name: str) -> World:
        world = World(tmp_path / name, legacy, empty_ledger)
        if curated_at_once:
            world.after_put = lambda key: _curate_once(world, key)
        return world

    undisturbed = made("undisturbed")
    fate = Fate()
    undisturbed.extract(fate)
    expected = outcome(undisturbed)
    assert fate.passed > 40
    for at in range(1, fate.passed + 1):
        world = made(f"killed-{at}")
        with pytest.raises(Killed):
            world.extract(Fate(dies_at=at))
        world.restart()
        world.extract()
        assert outcome(world) == expected, f"killed at point {at}"
        shutil.rmtree(tmp_path / f"killed-{at}")


def _curate_once(world: World, key: str) -> None:
    """Notices come twice: the second one finds the chunk curated."""
    if key.endswith(".parquet"):
        chunks = {chunk.ordinal: chunk.state for chunk in world.records()[1]}
        if chunks[int(key[-13:-8])] != "curated":
            world.curate(key)


def test_what_is_stored_stands(world: World) -> None:
    """A row that changed between a killed attempt and the next one: the stored bytes and their total are the run's."""
    killed_before("record_stored", world)
    before = world.objects()
    world.legacy.run("UPDATE JOURNAL SET AMT = 999 WHERE PAY_NO = 'P0'")
    world.legacy.run("DELETE FROM JOURNAL WHERE PAY_NO = 'P1'")
    run = world.extract()
    assert run is not None
    assert run.extracted.count == 7
    assert run.extracted.amount_minor == {"EUR/CRDT": sum(range(7)) * 100 + 70}
    assert {key: world.objects()[key] for key in before} == before


def test_a_chunk_is_recorded_once(world: World) -> None:
    """A worker that wakes late and records a chunk again changes nothing, whatever it believes to have stored."""
    world.extract()
    before = world.records()
    record_stored(world.ledger, before[1][0], Contents(99, Total(99)), "00")
    assert world.records() == before


def test_an_object_of_another_ledger_is_never_adopted(world: World, tmp_path: Path, empty_ledger: Path) -> None:
    """A store that belongs to another ledger stops the run, and nothing of it is taken over."""
    other = World(tmp_path / "other", world.legacy, empty_ledger)
    world.clock.at += timedelta(minutes=1)
    world.extract()
    other.store, other.folder = world.store, world.folder
    with pytest.raises(Tampered, match="belongs to another run"):
        other.extract()
    assert other.records()[2] == []


def test_a_raw_object_that_is_not_parquet_stops_the_run(world: World) -> None:
    """Foreign bytes under a key of ours are named, and left where they are."""
    world.store.put("raw/legacy/2026-03-02/000001/00001.parquet", b"not a Parquet file")
    with pytest.raises(Tampered, match=r"00001\.parquet exists already and is not the Parquet"):
        world.extract()
    assert world.store.get("raw/legacy/2026-03-02/000001/00001.parquet") == b"not a Parquet file"


def test_rows_that_went_away_leave_an_empty_chunk(world: World) -> None:
    """A planned chunk whose rows were deleted before they were read is stored empty, with its columns."""
    killed_before("write_raw", world)
    assert [chunk.state for chunk in world.records()[1]] == ["opened"]
    world.legacy.run("DELETE FROM JOURNAL")
    run = world.extract()
    assert run is not None
    assert (run.state, run.chunks, run.extracted) == ("closed", 1, Total())
    assert parquet(world).schema.names == [
        "PAY_NO",
        "REV_NO",
        "CHG",
        "AMT",
        "CCY",
        "DRCR",
        "NAME",
        "_payment_id",
        "_row_hash",
    ]


def test_an_open_run_goes_on_under_a_changed_configuration(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The run keeps the hash of the configuration that it was opened under, and the log says that it changed."""
    killed_before("write_raw", world)
    run = world.extract(config_hash="beef")
    assert run is not None
    assert run.config_hash == "c0ffee"
    assert "opened under another configuration" in caplog.text


def test_a_source_that_went_back_is_said(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A database restored from a backup lies before the watermark: nothing is read twice, and the log says so."""
    world.extract()
    world.legacy.run("DELETE FROM JOURNAL WHERE PAY_NO > 'P3'")
    with caplog.at_level(logging.WARNING):
        assert world.extract() is None
    assert "restored from a backup" in caplog.text


def test_a_short_conflict_with_curate_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that curate changed at the same time (PostgreSQL) is written at the second attempt."""
    change, conflicts = SqlRecords.change, iter([True, True, False, True])

    def contended(records: Any, record: Any, **changes: Any) -> Any:
        if next(conflicts, False):
            raise Busy("the record changed meanwhile")
        return change(records, record, **changes)

    monkeypatch.setattr(SqlRecords, "change", contended)
    run = world.extract()
    assert run is not None
    assert run.extracted.count == 7


def test_a_full_disk_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for the spooled chunk: a clear message, nothing stored, and the run goes on later."""

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stage, "write_raw", full)
        with pytest.raises(Unreachable, match="No space left on device") as caught:
            world.extract()
    assert "Free space" in caught.value.next_step
    run = world.extract()
    assert run is not None
    assert run.extracted.count == 7


def test_books_that_are_off_stop_the_run(world: World) -> None:
    """A run whose chunks hold more or less than was extracted is stopped, never completed."""
    world.extract()
    with world.ledger.begin() as tx:
        for chunk in tx.chunks.find():
            tx.chunks.change(chunk, state="curated", curated=replace(chunk.extracted, count=chunk.extracted.count - 1))
        run = tx.runs.change(tx.runs.find()[0], chunks_open=0)
        settled = settle_run(tx, run)
    assert settled.state == "stopped"
    assert "books off" in settled.note
    assert "3 rows" in settled.note
    assert world.extract() is None
    assert not world.store.exists(COMPLETE)


def test_no_value_of_a_row_reaches_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Account numbers and names appear in no log record of an extraction (I7)."""
    canary = "CANARY-DE89370400440532013000"
    world.legacy.insert([row("P8", at=8, name=canary), row("P9", at=9, amount=canary)])
    world.legacy.run("INSERT INTO JOURNAL (PAY_NO, REV_NO, NAME) VALUES ('PX', 1, ?)", [canary])
    with caplog.at_level(logging.DEBUG):
        run = world.extract()
    assert run is not None
    assert run.extracted.unreadable == 1
    assert "no usable watermark" in caplog.text
    assert canary not in caplog.text


def test_a_key_that_is_too_short_stops_the_extraction(tmp_path: Path, empty_ledger: Path) -> None:
    """Different payments must not pass for versions of one, unless the source is said to keep versions."""
    legacy = SqliteLegacy(tmp_path, "epoch_ms")
    legacy.insert(ROWS)
    world = World(tmp_path / "world", legacy, empty_ledger, primary_key=["CCY"], rows_per_chunk_max=100)
    with pytest.raises(WrongConfiguration, match="6 of 7 rows repeat the primary_key") as caught:
        world.extract()
    assert "history = true" in caught.value.next_step
    assert world.objects() == {}
    world.restart()
    world.source = legacy.section(primary_key=["CCY"], rows_per_chunk_max=100, history=True)
    run = world.extract()
    assert run is not None
    assert run.extracted.count == 7
