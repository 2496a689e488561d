"""Index segments and pools: sorted, complete, and the same however many buckets they were sorted in."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.unit.transfer.assemble_world import START, AssembleWorld, Pay
from transfer import segments

LATER = START.date().replace(month=9)


def rows(seed: int, count: int) -> list[Pay]:
    """Payments of every outcome, in random order."""
    rng = random.Random(seed)
    kinds = [{}, {}, {}, {"stopped": True}, {"day": LATER}, {"acquirer": "gone"}, {"reference": "SHARED"}]
    found = [Pay(f"k{at}", **rng.choice(kinds)) for at in range(count)]  # type: ignore[arg-type]
    return found + [Pay(f"k{rng.randrange(count)}", version=2) for _ in range(count // 4)]


def locators(table: pa.Table) -> list[tuple[int, int, int]]:
    return list(zip(*(table[name].to_pylist() for name in ("run", "chunk", "row")), strict=True))


@pytest.mark.parametrize("rows_per_bucket", [65_536, 100, 9])
def test_every_row_is_in_exactly_one_segment_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_per_bucket: int
) -> None:
    """Index and pool together hold each folded row once, each sorted by payment, with one, sixteen or more buckets."""
    monkeypatch.setattr(segments, "ROWS_PER_BUCKET", rows_per_bucket)
    world = AssembleWorld(tmp_path)
    given = rows(3, 200)
    world.run(*given, chunk_rows=37)
    world.assemble()
    index, pool = world.index(1), world.pool(1)
    assert sorted(locators(index) + locators(pool)) == sorted((1, at // 37, at % 37) for at in range(len(given)))
    for table in (index, pool):
        order = [*zip(table["payment_id"].to_pylist(), locators(table), strict=True)]
        assert order == sorted(order)
    assert set(pool["outcome"].to_pylist()) == {"unassigned"}
    assert set(pool["reason"].to_pylist()) == {"future_dated", "waiting"}
    assert "unassigned" not in index["outcome"].to_pylist()
    world.check_books()


def test_only_assigned_rows_name_a_file_and_only_duplicates_a_twin(tmp_path: Path) -> None:
    """The index says of each row what is needed to find it again: its file and generation, or the holder of its reference."""
    world = AssembleWorld(tmp_path)
    world.run(*rows(5, 60))
    world.assemble()
    index, files = world.index(1), {file.file_id: file for file in world.files()}
    for row in index.to_pylist():
        assert (row["file_id"] in files) == (row["outcome"] == "assigned")
        assert (row["generation"] == 1) == (row["outcome"] == "assigned")
        assert (row["twin"] is not None) == (row["outcome"] == "duplicate")
    duplicates = index.filter(pc.equal(index["outcome"], "duplicate"))
    holders = set(duplicates["twin"].to_pylist())
    assert len(holders) == 1
    assert holders <= set(index.filter(pc.equal(index["end_to_end_id"], "SHARED"))["payment_id"].to_pylist())


def test_the_number_of_buckets_changes_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The radix sort gives the same rows in the same order as one sort over everything."""
    found = []
    for rows_per_bucket in (65_536, 20):
        monkeypatch.setattr(segments, "ROWS_PER_BUCKET", rows_per_bucket)
        world = AssembleWorld(tmp_path / str(rows_per_bucket))
        world.run(*rows(7, 90))
        world.assemble()
        found.append((world.index(1), world.pool(1)))
    assert found[0] == found[1]
