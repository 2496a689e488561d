"""A store that knows: what is missing is explained by the ledger, and everything else is as without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from payments.deletions import Deletion, unsettled
from payments.errors import Expired, Gone, NotStored, Unreadable
from payments.keys import ChunkKey
from payments.records import Chunk, Run
from runtime.store_file import FileStore
from runtime.store_knowing import KnowingStore
from tests.contract.ledger_world import NOON, sample
from tests.servers.deletion_notices import deletion_notice
from tests.unit.local.small_world import world as small_world

DAY = NOON.date()
RAW = ChunkKey("legacy", DAY, 1, 0).raw


def store(folder: Path, *ends: Deletion) -> KnowingStore:
    known = {each.key: each for each in ends}
    return KnowingStore(FileStore(folder), known.get)


def end(key: str, cause: str) -> Deletion:
    return sample(Deletion, key=key, cause=cause)  # type: ignore[no-any-return]


def test_what_is_missing_is_explained(tmp_path: Path) -> None:
    """What expired, what somebody deleted, and what nobody knows of are three errors; each names the object, the first two the time."""
    knowing = store(tmp_path, end("raw/a", "lifecycle"), end("raw/b", "request"))
    for read in (knowing.get, lambda key: knowing.local(key).__enter__()):
        with pytest.raises(Expired, match="'raw/a' expired by a lifecycle rule on 2026-03-02 12:00:00 UTC") as raised:
            read("raw/a")
        assert raised.value.at == NOON
        assert "old version" in raised.value.next_step
        with pytest.raises(Gone, match="'raw/b' was deleted, not by a lifecycle rule") as gone:
            read("raw/b")
        assert not isinstance(gone.value, Expired)
        with pytest.raises(NotStored) as missing:
            read("raw/c")
        assert not isinstance(missing.value, Gone)


def test_what_is_there_is_read_whatever_the_ledger_says(tmp_path: Path) -> None:
    """An object that was brought back is an object."""
    knowing = store(tmp_path, end("raw/a", "lifecycle"))
    assert knowing.put("raw/a", b"1").size == 1
    (tmp_path / "spooled").write_bytes(b"22")
    assert knowing.put_file("raw/b", tmp_path / "spooled").size == 2
    assert knowing.get("raw/a") == b"1"
    with knowing.local("raw/b") as path:
        assert path.read_bytes() == b"22"
    assert list(knowing.keys("raw/")) == ["raw/a", "raw/b"]
    assert (knowing.exists("raw/a"), knowing.exists("raw/c")) == (True, False)


def test_what_the_reader_does_not_find_is_not_explained(tmp_path: Path) -> None:
    """An error of whoever works with the object is its own, also where it is of the same kind."""
    knowing = store(tmp_path, end("raw/a", "lifecycle"))
    knowing.put("raw/a", b"1")

    def work() -> None:
        with knowing.local("raw/a"):
            raise NotStored("another one")

    with pytest.raises(Unreadable, match="another one"):
        work()


def test_a_chunk_that_expired_stops_its_run(tmp_path: Path) -> None:
    """Curation takes nothing for empty: the run's chunk says what is gone and since when, as `tieout status` shows it."""
    world = small_world(tmp_path)
    with world.ledger.begin() as tx:
        tx.runs.add(sample(Run, source="legacy", ordinal=1, state="closed", business_date=DAY))
        tx.chunks.add(sample(Chunk, source="legacy", run=1, ordinal=0, state="stored", note=""))
    world.record_deletion(deletion_notice(RAW))
    said = f"object '{RAW}' expired by a lifecycle rule on 2027-06-01 00:20:11 UTC"
    with pytest.raises(Expired, match=said):
        world.curate_object(RAW)
    with world.ledger.look() as tx:
        [chunk], [run] = tx.chunks.find(), tx.runs.find()
        assert (chunk.state, chunk.note) == ("stored", said)
        assert said in run.note
        assert [each.key for each in unsettled(tx)] == [RAW]
    world.ledger.engine.dispose()
