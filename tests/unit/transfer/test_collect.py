"""Collect: what is fetched from the outbox and when, what is refused, and that nothing is told twice (T11, T12, T13)."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import payments.leasing
from payments.config_results import Results
from payments.errors import Busy, DeliveryFailed, Unreachable
from tests.unit.transfer.assemble_world import TODAY, acquirer
from tests.unit.transfer.collect_world import CollectWorld

HOSTILE = [
    "../../etc/passwd.result.1",
    "/etc/passwd.result.1",
    ".../x.result.1",
    "a\nb.result.1",
    "a\x1b[31mb.result.1",
    "a\u202etxt.result.1",
    "a b.result.1",
    "=cmd.result.1",
    "x" * 292 + ".result.1",
    "ä.result.1",
    "",
]


@pytest.fixture
def world(tmp_path: Path) -> CollectWorld:
    return CollectWorld(tmp_path)


def test_a_result_is_fetched_once_two_listings_agree(world: CollectWorld) -> None:
    """T12: raw bytes are stored under their hash after the second equal listing, and never fetched again."""
    world.outbox.files["a.result.1"] = (b"RH\nRT\n", 100)
    assert world.poll() == 0
    assert world.outbox.downloads == []
    assert world.poll() == 1
    (result,) = world.results()
    digest = hashlib.sha256(b"RH\nRT\n").hexdigest()
    assert (result.sha256, result.key) == (digest, f"results/north/{TODAY}/{digest}/a.result.1")
    assert world.store.get(result.key) == b"RH\nRT\n"
    assert (result.state, result.size, result.name, result.note) == ("collected", 6, "a.result.1", "")
    assert world.poll(5) == 0
    assert world.outbox.downloads == ["a.result.1"]


def test_an_acquirer_that_renames_its_files_into_place_is_read_at_once(tmp_path: Path) -> None:
    """With stable_listings = 1 the first listing suffices."""
    world = CollectWorld(tmp_path, stable_listings=1)
    world.outbox.files["a.ack"] = (b"AH\n", 100)
    assert world.poll() == 1


def test_a_growing_file_is_left_alone_until_it_stands_still(world: CollectWorld) -> None:
    """T12: as long as size or time change between two listings nothing is fetched."""
    for size in range(1, 6):
        world.outbox.files["a.result.1"] = (b"x" * size, 100 + size)
        assert world.poll() == 0
    world.outbox.files["a.result.1"] = (b"x" * 5, 106)
    assert world.poll() == 0
    assert world.outbox.downloads == []
    assert world.poll() == 1
    assert world.results()[0].size == 5


@pytest.mark.parametrize("change", [(b"longer than before", 100), (b"same", 101)], ids=["size", "time"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_file_that_changes_while_it_is_read_is_read_again(
    world: CollectWorld, change: tuple[bytes, int], when: str
) -> None:
    """T12: only the version that was listed is stored; what changed meanwhile waits for two equal listings again."""
    world.outbox.files["a.result.1"] = (b"same", 100)
    world.outbox.hooks["a.result.1", when] = lambda: world.outbox.files.update({"a.result.1": change})
    assert world.poll(2) == 0
    assert world.results() == []
    assert list(world.store.keys("")) == []
    assert world.poll(3) == 1
    assert world.store.get(world.results()[0].key) == change[0]


def test_a_file_that_can_be_read_once_is_kept(world: CollectWorld) -> None:
    """T12: a server that forgets a file when it was read: the bytes are stored, and its absence afterwards is fine."""
    world.outbox.read_once = True
    world.outbox.files["a.result.1"] = (b"once", 100)
    assert world.poll(4) == 1
    assert world.store.get(world.results()[0].key) == b"once"


def test_a_file_that_is_gone_before_it_is_fetched_is_forgotten(world: CollectWorld) -> None:
    """A name that was fetched for and has vanished stops nobody, and is fetched when it comes back."""
    world.outbox.files["a.result.1"] = (b"x", 100)
    world.outbox.errors["a.result.1"] = Unreachable("cut")
    world.poll()
    with pytest.raises(Unreachable):
        world.poll()
    kept = world.outbox.files.pop("a.result.1")
    assert world.poll() == 0
    assert world.sighting("a.result.1").state == "gone"
    world.outbox.files["a.result.1"] = kept
    assert world.poll(2) == 1


def test_equal_content_under_another_name_is_a_duplicate(world: CollectWorld) -> None:
    """T11: the bytes are stored and told once; the second name is noted as a duplicate, once."""
    world.outbox.files["a.result.1"] = (b"same", 100)
    world.poll(2)
    world.outbox.files["b.result.1"] = (b"same", 200)
    assert world.poll(5) == 0
    assert [each.name for each in world.results()] == ["a.result.1"]
    assert len(list(world.store.keys("results/"))) == 1
    assert world.acts() == ["collected", "duplicate_result_file"]


def test_the_same_file_touched_again_is_nothing_new(world: CollectWorld) -> None:
    """T11: the same name with the same content and a new time is no result, no duplicate and no alarm."""
    world.outbox.files["a.result.1"] = (b"same", 100)
    world.poll(2)
    world.outbox.files["a.result.1"] = (b"same", 500)
    assert world.poll(4) == 0
    assert (world.acts(), world.alarms()) == (["collected"], [])


def test_new_content_under_a_known_name_is_a_new_version_and_flagged(world: CollectWorld) -> None:
    """T11: both versions are kept, and the second says that its name was there before."""
    world.outbox.files["a.result.1"] = (b"first", 100)
    world.poll(2)
    world.outbox.files["a.result.1"] = (b"second", 200)
    assert world.poll(2) == 1
    assert [each.note for each in world.results()] == ["", "new content under a name that was collected before"]
    assert {world.store.get(each.key) for each in world.results()} == {b"first", b"second"}


def test_a_hundred_more_polls_emit_nothing(world: CollectWorld) -> None:
    """T11: ten results, names of every kind and a name nobody knows: told once, and never again."""
    for number in range(10):
        world.outbox.files[f"f{number}.result.1"] = (b"r%d" % number, number)
    world.outbox.files |= {"unknown.doc": (b"?", 1), "half.tmp": (b"?", 1), ".hidden": (b"?", 1), "a\nb.ack": (b"?", 1)}
    assert world.poll(3) == 10
    before = world.state()
    assert world.poll(100) == 0
    assert world.state() == before
    assert sorted(world.alarms()) == ["a\\nb.ack", "unknown.doc"]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_never_fetched_and_told_once(world: CollectWorld, name: str) -> None:
    """T13: paths, control characters, text that runs backwards, formulas and endless names raise one harmless alarm each."""
    world.outbox.files = {name: (b"x", 1), "good.ack": (b"y", 1)}
    assert world.poll(3) == 1
    assert world.outbox.downloads == ["good.ack"]
    (shown,) = world.alarms()
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= 200
    assert world.acts().count("outbox_file_refused") == 1


@pytest.mark.parametrize("name", ["a.tmp", "a.result.1.part", "a.filepart", ".a.ack"])
def test_names_in_the_making_are_ignored(world: CollectWorld, name: str) -> None:
    """What the acquirer's own uploads are called before they are ready is neither fetched nor told."""
    world.outbox.files[name] = (b"x", 1)
    world.poll(3)
    assert (world.outbox.downloads, world.alarms()) == ([], [])


def test_a_file_that_is_or_becomes_too_large_raises_the_alarm(tmp_path: Path) -> None:
    """A result above the limit is not fetched, and told once, also when it was small when it was first seen."""
    world = CollectWorld(tmp_path, bytes_max=10)
    world.outbox.files = {"big.ack": (b"x" * 11, 1), "grows.ack": (b"x" * 10, 1), "grew.ack": (b"x", 1)}
    world.poll()
    world.outbox.files["grows.ack"] = (b"x" * 12, 2)
    world.poll(2)
    world.outbox.files["grew.ack"] = (b"x" * 13, 2)
    world.poll(3)
    assert world.outbox.downloads == ["grew.ack"]
    assert sorted(world.alarms()) == ["big.ack", "grew.ack", "grows.ack"]
    assert {world.sighting(name).state for name in world.outbox.files} == {"refused"}


def test_a_name_that_the_rules_know_by_now_is_fetched(tmp_path: Path) -> None:
    """A refused name is fetched once the configuration knows it, and its alarm closes; a rule taken back reopens that one."""
    world = CollectWorld(tmp_path)
    world.outbox.files["late.rep"] = (b"x", 1)
    world.poll(3)
    known, world.acquirer = world.acquirer, acquirer(results=Results(names=["*.rep"]))
    assert world.poll(2) == 1
    assert _alarm_states(world) == ["closed_by_late_result"]
    world.acquirer = known
    world.outbox.files["late.rep"] = (b"y", 2)
    world.poll(2)
    assert _alarm_states(world) == ["reopened"]


def test_a_stray_name_is_an_alarm_until_a_rule_knows_it(tmp_path: Path) -> None:
    """A file that is merely gone was never read, so its alarm stays; a rule that ignores its name closes it."""
    world = CollectWorld(tmp_path)
    world.outbox.files["README"] = (b"x", 1)
    world.poll()
    del world.outbox.files["README"]
    world.poll(2)
    assert _alarm_states(world) == ["open"]
    world.acquirer = acquirer(results=Results(names=["*.ack"], ignore=["README*"]))
    world.poll()
    assert _alarm_states(world) == ["closed_by_late_result"]
    assert world.acts().count("outbox_name_explained") == 1


def _alarm_states(world: CollectWorld) -> list[str]:
    with world.ledger.begin() as tx:
        return [each.state for each in tx.mismatches.find(kind="file_unreadable")]


@pytest.mark.parametrize("error", [DeliveryFailed("permission denied"), DeliveryFailed("too large")])
def test_a_file_that_cannot_be_fetched_stops_no_neighbour(world: CollectWorld, error: Exception) -> None:
    """One bad file is tried again with the next poll; the others are stored meanwhile."""
    world.outbox.files = {name: (name.encode(), 1) for name in ("a.ack", "b.ack", "c.ack")}
    world.outbox.errors["b.ack"] = error
    assert world.poll(2) == 2
    assert world.sighting("b.ack").state == "failed"
    assert world.poll() == 1
    assert sorted(each.name for each in world.results()) == ["a.ack", "b.ack", "c.ack"]


def test_a_broken_connection_loses_nothing(world: CollectWorld) -> None:
    """When the link is cut in the middle the rest is fetched at the next poll; what was stored stays stored once."""
    world.outbox.files = {name: (name.encode(), 1) for name in ("a.ack", "b.ack", "c.ack")}
    world.outbox.errors["b.ack"] = Unreachable("cut")
    world.poll()
    with pytest.raises(Unreachable):
        world.poll()
    assert [each.name for each in world.results()] == ["a.ack"]
    assert world.poll() == 2
    assert len(world.results()) == 3


def test_one_poll_at_a_time(world: CollectWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second poll of the same outbox is refused while the first is under way, however long a download takes."""
    monkeypatch.setattr(payments.leasing, "TTL", timedelta(seconds=0.4))
    monkeypatch.setattr("transfer.collect.TTL", timedelta(seconds=0.4))
    world.outbox.files["a.ack"] = (b"x", 1)
    world.poll()

    def meanwhile() -> None:
        deadline = time.monotonic() + 0.8
        while time.monotonic() < deadline:
            with pytest.raises(Busy):
                world.poll()
            time.sleep(0.05)  # the lease must outlive its time to live: only time that passes shows it

    world.outbox.hooks["a.ack", "before"] = meanwhile
    assert world.poll() == 1


def test_the_business_date_of_a_result_is_the_acquirers(tmp_path: Path) -> None:
    """A result collected at 23:30 in Los Angeles belongs to that day there."""
    world = CollectWorld(tmp_path, stable_listings=1)
    world.acquirer = acquirer(zone="America/Los_Angeles", results=world.acquirer.results)
    world.clock.at = datetime(2026, 3, 3, 7, 30, tzinfo=UTC)
    world.outbox.files["a.ack"] = (b"x", 1)
    world.poll()
    assert world.results()[0].business_date == TODAY
