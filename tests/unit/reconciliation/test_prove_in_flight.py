"""What a certificate says of a run that is still being worked on: what is recorded holds, what is in flight is no fault."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from extractors.raw_chunk import write_raw
from payments.keys import ChunkKey
from payments.records import Run
from reconciliation.certificate import Certificate
from reconciliation.prove import ProvePorts, prove
from runtime.wiring import World
from tests.unit.local.small_world import acquirer, source
from tests.unit.local.small_world import world as small_world
from tieout.__main__ import main

RUN = "legacy/000001"
ROWS, PER_CHUNK = 5, 2
ROUTE = '[[curation.route]]\nacquirer = "northbank"\n'
EQUATION = "extracted = curated + quarantined"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Its source holds five rows, which one run reads in three chunks."""
    found = small_world(tmp_path, source(), f"rows_per_chunk_max = {PER_CHUNK}\n", ROUTE, acquirer())
    with closing(sqlite3.connect(tmp_path / "legacy.db")) as legacy:
        legacy.execute("CREATE TABLE payment (id INTEGER PRIMARY KEY, changed TEXT, a TEXT, c TEXT, d TEXT, r TEXT)")
        row = ("2026-03-02 05:00:00", "5.04", "EUR", "CRDT", "2026-03-02")
        legacy.executemany("INSERT INTO payment VALUES (?, ?, ?, ?, ?, ?)", [(n, *row) for n in range(ROWS)])
        legacy.commit()
    yield found
    found.ledger.engine.dispose()


def extracted(world: World) -> list[str]:
    """The keys of the raw chunks of a run that nobody curated yet."""
    run = world.extract_source("legacy")
    assert run is not None
    keys = [ChunkKey(run.source, run.business_date, run.ordinal, chunk + 1).raw for chunk in range(run.chunks)]
    assert (run.state, len(keys)) == ("closed", 3)
    return keys


def change(world: World, table: str, **values: Any) -> None:
    """Values of the run, or of its first chunk, as some fault would leave them."""
    with world.ledger.begin() as tx:
        record: Any = tx.runs.get("legacy", 1) if table == "runs" else tx.chunks.get("legacy", 1, 1)
        getattr(tx, table).change(record, **values)


def certificate_of(world: World, name: str = RUN) -> Certificate:
    return prove(ProvePorts(world.ledger, world.store, world.configuration), name)[0]


def waiting(certificate: Certificate) -> list[tuple[str, Any]]:
    assert all(check.in_flight for check in certificate.unproven)
    return [(check.what, check.found) for check in certificate.unproven]


def test_a_run_in_flight_is_not_certified_until_it_is_curated(world: World) -> None:
    """Chunk by chunk fewer rows are in flight; all else holds at each step, and at the end everything does."""
    keys = extracted(world)
    for done, key in enumerate(keys):
        certificate = certificate_of(world)
        left = ROWS - done * PER_CHUNK
        assert certificate.failed == []
        assert not certificate.ties
        assert waiting(certificate) == [("is curated", f"not curated yet: {left} rows in flight")]
        assert f"{EQUATION} + in flight" in {check.what for check in certificate.checks}
        world.curate_object(key)
    certificate = certificate_of(world)
    assert certificate.ties
    assert EQUATION in {check.what for check in certificate.checks}


def test_a_run_that_is_being_extracted_is_in_flight(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was planned and killed in its second chunk: neither the missing chunks nor the missing manifest are a fault."""
    chunks: list[Any] = []

    def dies(*given: Any, **named: Any) -> Any:
        chunks.append(given)
        if len(chunks) == 2:
            raise KeyboardInterrupt
        return write_raw(*given, **named)

    monkeypatch.setattr("extractors.extract.write_raw", dies)
    with pytest.raises(KeyboardInterrupt):
        world.extract_source("legacy")
    certificate = certificate_of(world)
    assert certificate.failed == []
    assert waiting(certificate) == [("is curated", "not curated yet: 2 rows in flight")]
    with world.ledger.look() as tx:
        assert [each.state for each in tx.chunks.find(order="ordinal")] == ["stored", "opened"]


@pytest.mark.parametrize("state", ["curated", "assembled", "stopped", "abandoned"])
def test_a_run_that_says_it_is_done_must_be(world: World, state: str) -> None:
    """In no other state are uncurated rows in flight: the books are off."""
    extracted(world)
    change(world, "runs", state=state)
    certificate = certificate_of(world)
    assert certificate.unproven == []
    assert EQUATION in {check.what for check in certificate.failed}


def test_a_chunk_that_was_stopped_is_not_in_flight(world: World) -> None:
    """Nothing works on it any more: its run does not tie, whatever else of it is on its way."""
    extracted(world)
    change(world, "chunks", note="its bytes are not those that were extracted")
    change(world, "runs", note="chunk 1: its bytes are not those that were extracted")
    certificate = certificate_of(world)
    assert certificate.unproven == []
    assert {"is curated", f"{EQUATION} + in flight"} <= {check.what for check in certificate.failed}


def test_what_is_in_flight_is_proved_as_far_as_it_came(world: World) -> None:
    """A raw chunk that is lost, and one that was curated with other numbers, fail."""
    keys = extracted(world)
    world.curate_object(keys[0])
    (world.settings.base / "store" / keys[2]).unlink()
    with world.ledger.look() as tx:
        run: Run | None = tx.runs.get("legacy", 1)
    assert run is not None
    change(world, "chunks", curated=run.extracted)
    failed = {(check.subject, check.what) for check in certificate_of(world).failed}
    assert {(keys[2], "SHA-256"), (f"run {RUN}", "extracted")} <= failed
    assert (keys[0].replace("raw/", "curated/"), "curated") in failed


def test_the_screen_says_that_it_is_not_certified(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, as for anything that is not certified; the day says the same, and JSON tells each check."""
    extracted(world)
    with world.ledger.look() as tx:
        day = tx.runs.find()[0].business_date.isoformat()
    for name in (RUN, day):
        assert main(["prove", name, "--config", world.settings.path]) == 1
        shown = capsys.readouterr().out
        assert "... is curated: not curated yet: 5 rows in flight" in shown
        assert "OFF" not in shown
        verdict = "1 cannot hold yet, the others hold: NOT CERTIFIED. Prove it again when nothing of it is in flight."
        assert shown.strip().endswith(verdict)
    assert main(["prove", RUN, "--json", "--config", world.settings.path]) == 1
    shown = capsys.readouterr().out
    assert '"in_flight": true' in shown
    assert '"unproven": 1' in shown
