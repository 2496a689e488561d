"""T12: results that grow, are replaced, are cut off or can be read once, over a real session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.hostile_acquirer import HostileAcquirer
from local.hostile_switches import Planted, Switches
from tests.faults.hostile_world import HostileWorld, hostile
from tests.unit.reconciliation.reconcile_texts import Pay, results, say


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


def delivered(folder: Path, server: HostileAcquirer) -> tuple[HostileWorld, str]:
    """A file that the acquirer has, and its whole result."""
    world = HostileWorld(folder, server, payments=2, per_file=2)
    world.deliver()
    return world, results(world.file(), [say(Pay("REF-p0000", 100)), say(Pay("REF-p0001", 100))])


def test_a_result_that_grows_while_it_is_read_is_not_taken(server: HostileAcquirer, tmp_path: Path) -> None:
    """T12: as long as every reading makes it longer nothing is stored; once it stands still it is stored, whole."""
    world, text = delivered(tmp_path, server)
    world.give("a.result.1", text)
    server.plant(Switches(grow_results=True))
    assert world.work(4) == 0
    assert world.results() == []
    assert server.requests()["read"] > 0, "nobody tried to read it"
    server.plant(Switches())
    world.give("a.result.1", text)
    assert world.work(3) == 1
    assert world.store.get(world.results()[0].key) == text.encode()
    assert world.file().matched.count == 2
    world.check()


def test_a_result_without_its_end_changes_nothing(server: HostileAcquirer, tmp_path: Path) -> None:
    """T12: two listings agree and the trailer is missing: the bytes are kept, nothing of them is used; the whole one comes later."""
    world, text = delivered(tmp_path, server)
    world.give("a.result.1", text[: text.index("RT,")])
    assert world.work() == 1
    assert [each.state for each in world.results()] == ["unreadable"]
    assert world.file().matched.count == 0
    assert world.kinds() == ["file_unreadable a.result.1"]
    world.give("a.result.1", text)
    assert world.work() == 1
    assert world.file().matched.count == 2
    assert world.kinds() == []
    assert len(list(world.store.keys("results/"))) == 2
    world.check()


@pytest.mark.parametrize("lost", ["open", "read", "close", "stat"])
def test_a_result_that_is_given_once_survives_a_lost_answer(server: HostileAcquirer, tmp_path: Path, lost: str) -> None:
    """T12: read-once and the link cut at one answer: stored once, whole; or, where it went with the link, it is known to be gone."""
    world, text = delivered(tmp_path, server)
    world.give("a.result.1", text)
    server.plant(Switches(serve_once=True, lose_reply=(Planted(lost),), times=1))
    found = world.work(5)
    if found:
        assert world.store.get(world.results()[0].key) == text.encode()
    else:
        assert lost == "close"
        with world.ledger.begin() as tx:
            sighting = tx.sightings.get("north", "a.result.1")
        assert sighting is not None
        assert sighting.state == "gone"
    world.check()


def test_sizes_that_are_wrong_store_nothing(server: HostileAcquirer, tmp_path: Path) -> None:
    """T12: a server that tells other sizes than it gives: no part is taken for the whole."""
    world, text = delivered(tmp_path, server)
    world.give("a.result.1", text)
    server.plant(Switches(lie_about_size=True))
    assert world.work(4) == 0
    assert list(world.store.keys("results/")) == []
