"""Which objects curate takes for a chunk: the one that was extracted, under its own key, and nothing that looks like it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from payments.errors import SetAside
from payments.keys import ChunkKey
from runtime.wiring import World
from tests.unit.local.small_world import acquirer, source
from tests.unit.local.small_world import world as small_world

ROUTE = '[[curation.route]]\nacquirer = "northbank"\n'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Its source holds one row."""
    found = small_world(tmp_path, source(), ROUTE, acquirer())
    with closing(sqlite3.connect(tmp_path / "legacy.db")) as legacy:
        legacy.execute("CREATE TABLE payment (id INTEGER PRIMARY KEY, changed TEXT, a TEXT, c TEXT, d TEXT, r TEXT)")
        row = (1, "2026-03-02 05:00:00", "5.04", "EUR", "CRDT", "2026-03-02")
        legacy.execute("INSERT INTO payment VALUES (?, ?, ?, ?, ?, ?)", row)
        legacy.commit()
    yield found
    found.ledger.engine.dispose()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("raw/", "curated/"),
        ("raw/", "quarantine/"),
        ("/000001/", "/1/"),
        ("{day}", "1999-01-01"),
        ("{day}", "2199-01-01"),
    ],
)
def test_only_the_extracted_object_is_curated(world: World, before: str, after: str) -> None:
    """A notice about another store's object, or about a copy under another day, stops no run and stands for no chunk."""
    run = world.extract_source("legacy")
    assert run is not None
    raw = ChunkKey("legacy", run.business_date, run.ordinal, 1).raw
    strange = raw.replace(before.format(day=run.business_date), after)
    assert strange != raw
    if not world.store.exists(strange):
        world.store.put(strange, world.store.get(raw))
    with pytest.raises(SetAside):
        world.curate_object(strange)
    with world.ledger.look() as tx:
        assert [each.state for each in tx.chunks.find(source="legacy")] == ["stored"]
        assert [each.note for each in tx.runs.find(source="legacy")] == [""]
    world.curate_object(raw)
    with world.ledger.look() as tx:
        assert [each.state for each in tx.runs.find(source="legacy")] == ["curated"]
