"""A curated object that was changed in the store never reaches a file, however well its sums still agree."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from payments.errors import Tampered
from payments.keys import ChunkKey
from payments.records import Run
from tests.unit.transfer.assemble_world import SOURCE, TODAY, AssembleWorld, Pay


@pytest.mark.parametrize("what", ["is not as it was curated", "is missing"])
def test_a_damaged_object_stops_its_run_and_the_others_go(what: str, tmp_path: Path) -> None:
    """Only the creditor's account differs: count, sums and row hashes agree, and still nothing of that run is sent; nor where an object was deleted."""
    world = AssembleWorld(tmp_path)
    bad, good = world.run(Pay("a"), Pay("b")), world.run(Pay("c"))
    path, kept = _changed(world, bad)
    if what == "is missing":
        path.unlink()
    with pytest.raises(Tampered, match=what):
        world.assemble()
    assert not world.files()
    world.assemble()
    assert [world.payments_of(each) for each in world.files()] == [{"c"}]
    with world.ledger.begin() as tx:
        stopped = tx.runs.get(bad.source, bad.ordinal)
        other = tx.runs.get(good.source, good.ordinal)
        assert stopped is not None
        assert other is not None
        assert (stopped.state, other.state) == ("stopped", "assembled")
        assert what in stopped.note
        # Made whole, and taken up by a person (`tieout requeue`).
        tx.runs.change(stopped, state="curated", note="")
    path.write_bytes(kept)
    world.assemble()
    assert {"a", "b"} in [world.payments_of(each) for each in world.files()]
    world.check_books()


def test_a_pool_that_rests_on_a_changed_object_waits(tmp_path: Path) -> None:
    """A payment that waited for its date is read again when it is due: its object must still be the one that was recorded."""
    world = AssembleWorld(tmp_path)
    run = world.run(Pay("a", day=TODAY.replace(day=TODAY.day + 1)))
    world.assemble()
    path, kept = _changed(world, run)
    world.next_day()
    with pytest.raises(Tampered, match="not as it was curated"):
        world.assemble()
    assert not world.files()
    path.write_bytes(kept)
    world.assemble()
    assert len(world.files()) == 1
    world.check_books()


def _changed(world: AssembleWorld, run: Run) -> tuple[Path, bytes]:
    """The curated object of a run with another creditor account in every row, and the bytes that were there before."""
    path = world.folder / "store" / ChunkKey(SOURCE, TODAY, run.ordinal, 0).curated
    kept = path.read_bytes()
    table = pq.read_table(path)
    at = table.schema.get_field_index("creditor_account")
    other = pa.array(["DE02120300000000202051"] * len(table), pa.string())
    path.chmod(0o600)
    pq.write_table(table.set_column(at, table.schema.field(at), other), path)
    return path, kept
