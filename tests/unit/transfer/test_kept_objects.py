"""What an assembly fetches from the store: each curated object once, as long as there is room, and none of it afterwards."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from payments.errors import Tampered, Unreachable
from payments.ports import ObjectStore, StoredObject
from tests.unit.transfer.assemble_world import TODAY, AssembleWorld, Pay, acquirer
from transfer import assemble as module
from transfer.assemble import assemble
from transfer.kept_objects import FREE_MIN, kept_objects


class Remote:
    """Gives copies of a store's objects, as one on S3 does: counts them, and how many are there now."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self.fetched: Counter[str] = Counter()
        self.fails = ""
        folder.mkdir()

    @property
    def held(self) -> int:
        return len(list(self._folder.iterdir()))

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        if self.fails == key:
            raise Unreachable("the store does not answer")
        self.fetched[key] += 1
        path = self._folder / f"{sum(self.fetched.values())}.parquet"
        path.write_bytes(self._store.get(key))
        try:
            yield path
        finally:
            path.unlink()

    def put(self, key: str, data: bytes) -> StoredObject:
        return self._store.put(key, data)

    def put_file(self, key: str, path: Path) -> StoredObject:
        return self._store.put_file(key, path)

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def keys(self, prefix: str) -> Iterator[str]:
        return self._store.keys(prefix)

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    def curated(self) -> list[int]:
        """How often each curated object was fetched, the rarest first."""
        return sorted(count for key, count in self.fetched.items() if key.startswith("curated/"))


def two_files_of_three_chunks(folder: Path) -> tuple[AssembleWorld, Remote]:
    world = AssembleWorld(folder, acquirer("north"), acquirer("south"))
    world.run(*(Pay(f"{name}{n}", acquirer=name) for name in ("north", "south") for n in range(3)), chunk_rows=2)
    return world, Remote(world.store, folder / "fetched")


def test_nothing_is_kept_on_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept never takes the room that the assembly itself needs: each object is fetched each time, and the files are the same."""
    world, remote = two_files_of_three_chunks(tmp_path)
    most = 0

    def usage(_path: Path) -> SimpleNamespace:
        nonlocal most
        most = max(most, remote.held)
        return SimpleNamespace(free=FREE_MIN - 1)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert assemble(world.ports(store=remote))
    assert (most, remote.held) == (1, 0)
    assert remote.curated()[0] > 1
    assert len(world.files()) == 2


def test_each_curated_object_is_fetched_once(tmp_path: Path) -> None:
    """However often an assembly reads it, into however many files its rows go; nothing of it stays."""
    world, remote = two_files_of_three_chunks(tmp_path)
    assert assemble(world.ports(store=remote))
    assert remote.curated() == [1, 1, 1]
    assert remote.held == 0
    assert len(world.files()) == 2
    world.check_books()


@pytest.mark.parametrize("room", [0, 1], ids=["nothing", "one"])
def test_what_has_no_room_is_fetched_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """The bound is of bytes; the files are the same to the last bit."""
    free, _ = two_files_of_three_chunks(tmp_path / "free")
    free.assemble()
    bounded, remote = two_files_of_three_chunks(tmp_path / "bounded")
    first = next(bounded.store.keys("curated/"))
    monkeypatch.setattr(module, "kept_objects", partial(kept_objects, bytes_max=room * len(bounded.store.get(first))))
    assert assemble(bounded.ports(store=remote))
    assert [bounded.outbound(each) for each in bounded.files()] == [free.outbound(each) for each in free.files()]
    assert [count == 1 for count in remote.curated()] == [True] * room + [False] * (3 - room)
    assert remote.held == 0


def test_a_failure_keeps_nothing(tmp_path: Path) -> None:
    """When the store stops answering in the middle, what was fetched until then is let go; the next try fetches anew."""
    world, remote = two_files_of_three_chunks(tmp_path)
    *_, remote.fails = world.store.keys("curated/")
    with pytest.raises(Unreachable):
        assemble(world.ports(store=remote))
    assert remote.curated() == [1, 1]
    assert remote.held == 0
    remote.fails = ""
    assert assemble(world.ports(store=remote))
    assert remote.curated() == [1, 2, 2]
    assert remote.held == 0


def test_the_next_assembly_fetches_and_looks_again(tmp_path: Path) -> None:
    """A payment that waited in the pool is read from its object as that is then: one that was exchanged is found."""
    world = AssembleWorld(tmp_path)
    world.run(Pay("a", day=TODAY.replace(day=TODAY.day + 1)))
    remote = Remote(world.store, tmp_path / "fetched")
    assert assemble(world.ports(store=remote))
    assert remote.curated() == [1]
    [key] = world.store.keys("curated/")
    (tmp_path / "store" / key).write_bytes(b"something else")
    world.next_day()
    with pytest.raises(Tampered, match="not as it was curated"):
        assemble(world.ports(store=remote))
    assert remote.curated() == [2]


def test_only_curated_objects_are_kept(tmp_path: Path) -> None:
    """The index of earlier assemblies is read once: keeping it would take the room of what is read again."""
    world, _ = two_files_of_three_chunks(tmp_path)
    world.assemble()
    remote = Remote(world.store, tmp_path / "again")
    [key, *_] = [each for each in world.store.keys("") if each.startswith("index/")]
    with kept_objects(remote) as store:
        for _ in range(2):
            with store.local(key) as path:
                assert path.read_bytes() == world.store.get(key)
            assert remote.held == 0
    assert remote.fetched == {key: 2}


def test_everything_else_is_the_stores_own(tmp_path: Path) -> None:
    """Puts, gets and listings go through to the store that is behind."""
    world = AssembleWorld(tmp_path)
    (tmp_path / "x").write_bytes(b"from a file")
    with kept_objects(world.store) as store:
        assert store.put("raw/a", b"x") == StoredObject("raw/a", 1, hashlib.sha256(b"x").hexdigest())
        store.put_file("raw/b", tmp_path / "x")
        assert (store.get("raw/b"), store.exists("raw/a"), list(store.keys("raw/"))) == (
            b"from a file",
            True,
            ["raw/a", "raw/b"],
        )
