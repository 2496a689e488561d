"""Collect: markers of files and of sets, servers that give a file once, and what is put away afterwards (T11, T12)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from payments.config_results import Results
from payments.errors import DeliveryFailed, TargetExists, Unreachable
from payments.remote_ports import RemoteFile
from tests.unit.transfer.assemble_world import acquirer
from tests.unit.transfer.collect_world import CollectWorld, OutboxSession
from tests.unit.transfer.deliver_world import DeliverWorld
from transfer.collect_sighting import rule

OURS = "north_20260302_000001_1.csv"


def test_with_markers_a_file_is_fetched_only_beside_its_own(tmp_path: Path) -> None:
    """T12: however long a file stands still, it is whole only when its marker says so."""
    world = CollectWorld(tmp_path, stable="marker", marker="{name}.ok")
    world.outbox.files = {"a.result.1": (b"a", 1), "b.result.1": (b"b", 1), "a.result.1.ok": (b"", 2)}
    assert world.poll() == 1
    assert world.poll(5) == 0
    assert world.outbox.downloads == ["a.result.1"]
    world.outbox.files["b.result.1.ok"] = (b"", 3)
    assert world.poll() == 1
    assert world.alarms() == []


def test_a_marker_is_no_result_whatever_the_patterns_say(tmp_path: Path) -> None:
    """Where every name is a result, a marker still is none; without the setting it is a name like any other."""
    with_markers = acquirer(results=Results(names=["*"], stable="marker"))
    without = acquirer(results=Results(names=["*"]))
    seen = RemoteFile("a.csv.ok", 0, 1)
    assert (rule(with_markers, seen), rule(without, seen)) == ("marker", "seen")
    assert rule(with_markers, RemoteFile(".ok", 0, 1)) == "ignored"
    assert rule(with_markers, RemoteFile("a b.ok", 0, 1)) == "refused"


def set_world(folder: Path, **results: Any) -> CollectWorld:
    """An acquirer whose marker says that all results of one of our files are there."""
    world = CollectWorld(folder, **results)
    world.acquirer = acquirer(complete_when="marker", results=world.acquirer.results)
    with world.ledger.begin() as tx:
        tx.files.add(replace(DeliverWorld(folder / "sealed").planned(1), name=OURS, state="delivered"))
    return world


def test_a_set_is_complete_once_everything_beside_its_marker_is_collected(tmp_path: Path) -> None:
    """A marker that is seen before a list has stood still must not turn the silence of that list into success."""
    world = set_world(tmp_path)
    world.outbox.files = {f"{OURS}.result.1": (b"a", 1), f"{OURS}.ok": (b"", 1)}
    world.poll()
    assert world.sighting(f"{OURS}.ok").state == "marker"
    world.outbox.errors[f"{OURS}.result.1"] = DeliveryFailed("permission denied")
    world.poll()
    assert world.sighting(f"{OURS}.ok").state == "marker"
    assert world.poll() == 1
    assert world.sighting(f"{OURS}.ok").state == "complete"
    assert world.poll(3) == 0
    assert world.outbox.downloads.count(f"{OURS}.ok") == 0


def test_a_marker_of_nobodys_file_completes_nothing(tmp_path: Path) -> None:
    """Only the marker of a file of ours says anything about our results."""
    world = set_world(tmp_path)
    world.outbox.files = {"other.csv.ok": (b"", 1)}
    world.poll(3)
    assert world.sighting("other.csv.ok").state == "marker"


class Keeper(OutboxSession):
    """An outbox in which files may be removed and moved too."""

    def _changed(self, path: str) -> None:
        self.outbox.hook(path.rpartition("/")[2], "put away")
        error = self.outbox.errors.pop(f"put away {path.rpartition('/')[2]}", None)
        if error is not None:
            raise error

    def stat(self, path: str) -> RemoteFile | None:
        if not path.startswith("outbox/"):
            found = self.outbox.files.get(path)
            return None if found is None else RemoteFile(path.rpartition("/")[2], len(found[0]), found[1])
        self.outbox.hook(path.removeprefix("outbox/"), "look")
        return super().stat(path)

    def listing(self, directory: str) -> list[RemoteFile]:
        return [each for each in super().listing(directory) if "/" not in each.name]

    def remove(self, path: str) -> bool:
        self._changed(path)
        return self.outbox.files.pop(path.removeprefix("outbox/"), None) is not None

    def rename(self, old: str, new: str) -> None:
        self._changed(old)
        if new in self.outbox.files:
            raise TargetExists(new)
        self.outbox.files[new] = self.outbox.files.pop(old.removeprefix("outbox/"))


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.transfer.collect_world.OutboxSession", Keeper)


pytestmark = pytest.mark.usefixtures("keeping")


def test_a_collected_file_is_deleted_where_the_acquirer_asks_for_it(tmp_path: Path) -> None:
    """Deleted once its bytes are in the store, and told; what is not collected stays."""
    world = CollectWorld(tmp_path, after="delete")
    world.outbox.files = {"a.ack": (b"a", 1), "unknown.doc": (b"?", 1), "half.tmp": (b"?", 1)}
    assert world.poll(2) == 1
    assert sorted(world.outbox.files) == ["half.tmp", "unknown.doc"]
    assert world.store.get(world.results()[0].key) == b"a"
    assert (world.sighting("a.ack").state, world.acts()[-1]) == ("removed", "result_removed")
    before = world.state()
    assert world.poll(20) == 0
    assert world.state() == before


def test_nothing_is_put_away_unless_asked(tmp_path: Path) -> None:
    """By default the outbox is only read."""
    world = CollectWorld(tmp_path)
    world.outbox.files = {"a.ack": (b"a", 1)}
    world.poll(5)
    assert list(world.outbox.files) == ["a.ack"]


def test_only_the_version_that_was_read_is_deleted(tmp_path: Path) -> None:
    """T12: a file that changed at the last moment stays, and is collected as a new version."""
    world = CollectWorld(tmp_path, after="delete")
    world.outbox.files["a.ack"] = (b"first", 1)
    # The first look comes from fetching, the second from putting away.
    change = {"a.ack": (b"second", 2)}
    world.outbox.hooks["a.ack", "look"] = lambda: world.outbox.hooks.update(
        {("a.ack", "look"): lambda: world.outbox.files.update(change)}
    )
    assert world.poll(2) == 1
    assert world.outbox.files == change
    assert world.poll(2) == 1
    assert {world.store.get(each.key) for each in world.results()} == {b"first", b"second"}
    assert world.outbox.files == {}


def test_the_same_file_put_there_again_is_a_new_one(tmp_path: Path) -> None:
    """A name that comes back after we deleted it stands still first, and is deleted again; its content counts once."""
    world = CollectWorld(tmp_path, after="delete")
    for _ in range(2):
        world.outbox.files["a.ack"] = (b"a", 1)
        world.poll()
        assert list(world.outbox.files) == ["a.ack"]
        world.poll()
        assert world.outbox.files == {}
    assert len(world.results()) == 1


@pytest.mark.parametrize("error", [Unreachable("cut"), DeliveryFailed("permission denied")])
def test_a_file_that_could_not_be_put_away_is_put_away_later(tmp_path: Path, error: Exception) -> None:
    """Cut or refused between store and delete: the next poll repeats it, and stores nothing twice."""
    world = CollectWorld(tmp_path, after="delete", stable_listings=1)
    world.outbox.files = {"a.ack": (b"a", 1)}
    world.outbox.errors["put away a.ack"] = error
    if isinstance(error, Unreachable):
        with pytest.raises(Unreachable):
            world.poll()
    else:
        assert world.poll() == 1
    assert list(world.outbox.files) == ["a.ack"]
    assert world.poll() == 0
    assert (world.outbox.files, len(world.results())) == ({}, 1)


def test_an_archive_keeps_every_version(tmp_path: Path) -> None:
    """Moved under its own name, a later version with its hash: nothing in the archive is replaced."""
    world = CollectWorld(tmp_path, after="move", archive="taken", stable_listings=1)
    for content in (b"first", b"second"):
        world.outbox.files["a.ack"] = (content, 1)
        world.poll()
    second = next(each for each in world.results() if each.size == 6)
    assert world.outbox.files == {
        "taken/a.ack": (b"first", 1),
        f"taken/a.ack.{second.sha256[:12]}": (b"second", 1),
    }
    assert world.sighting("a.ack").state == "moved"


def test_markers_go_with_what_they_stand_for(tmp_path: Path) -> None:
    """A marker is put away behind its result or once its set is known to be complete, never before."""
    world = set_world(tmp_path, stable="marker", after="delete")
    world.outbox.files = {"a.ack": (b"a", 1), "late.ack.ok": (b"", 1), f"{OURS}.ok": (b"", 1)}
    world.poll()
    assert sorted(world.outbox.files) == ["a.ack", "late.ack.ok", f"{OURS}.ok"]
    world.outbox.files["a.ack.ok"] = (b"", 1)
    world.poll()
    assert list(world.outbox.files) == ["late.ack.ok"]
    assert world.sighting(f"{OURS}.ok").state == "complete"


def test_a_file_given_once_is_on_our_disk_before_the_store_has_it(tmp_path: Path) -> None:
    """T12: the store fails behind the only read; the next poll stores the bytes without asking the server, even away."""
    world = CollectWorld(tmp_path, read_once=True, stable_listings=1)
    world.outbox.read_once = True
    world.outbox.files["a.ack"] = (b"once", 1)
    store, world.store = world.store, Broken()  # type: ignore[assignment]
    with pytest.raises(Unreachable):
        world.poll()
    world.store = store
    assert world.outbox.files == {}

    def away() -> Any:
        raise Unreachable("the server is away")

    world.outbox.connect = away  # type: ignore[method-assign]
    with pytest.raises(Unreachable, match="away"):
        world.poll()
    (result,) = world.results()
    assert world.store.get(result.key) == b"once"
    assert list((tmp_path / "read-once/north").iterdir()) == []
    assert world.alarms() == []


class Broken:
    def put_file(self, key: str, path: Path) -> None:
        raise Unreachable("the store does not answer")


def missing(world: CollectWorld) -> list[tuple[str, str]]:
    with world.ledger.begin() as tx:
        return [(each.detail["name"], each.state) for each in tx.mismatches.find(kind="file_missing")]


def test_a_broken_read_of_a_file_given_once_is_an_alarm(tmp_path: Path) -> None:
    """T12: nobody can read it again, so somebody must ask for it; when it comes after all the alarm ends."""
    world = CollectWorld(tmp_path, read_once=True, stable_listings=1)
    world.outbox.files["a.ack"] = (b"once", 1)
    world.outbox.errors["a.ack"] = Unreachable("cut in the middle")
    with pytest.raises(Unreachable):
        world.poll()
    kept = world.outbox.files.pop("a.ack")
    world.poll(50)
    assert missing(world) == [("a.ack", "open")]
    world.outbox.files["a.ack"] = kept
    assert world.poll() + world.poll() == 1
    assert missing(world) == [("a.ack", "closed_by_late_result")]


def test_what_a_server_gives_once_is_kept_even_where_it_differs_from_the_listing(tmp_path: Path) -> None:
    """The file grew between listing and the only read: its bytes are stored, and the result says so."""
    world = CollectWorld(tmp_path, read_once=True, stable_listings=1)
    world.outbox.read_once = True
    world.outbox.files["a.ack"] = (b"once", 1)
    world.outbox.hooks["a.ack", "before"] = lambda: world.outbox.files.update({"a.ack": (b"once more", 2)})
    assert world.poll(3) == 1
    (result,) = world.results()
    assert (world.store.get(result.key), result.note) == (b"once more", "another size came than was listed")


def test_a_kill_between_record_and_clean_up_repeats_nothing(tmp_path: Path) -> None:
    """T8: bytes of a file that was recorded before the kill are only cleared away."""
    world = CollectWorld(tmp_path, read_once=True, stable_listings=1)
    world.outbox.files["a.ack"] = (b"once", 1)
    world.poll()
    folder = tmp_path / "read-once/north"
    (folder / hashlib.sha256(b"a.ack").hexdigest()[:32]).write_bytes(b"once")
    assert world.poll() == 0
    assert (list(folder.iterdir()), len(world.results())) == ([], 1)
