"""T11: poison and duplicate results, fetched over a real session: each is told once, whatever else lies beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.hostile_acquirer import HostileAcquirer
from local.hostile_switches import Planted, Switches
from tests.faults.hostile_world import HostileWorld, Warm, hostile
from tests.unit.reconciliation.reconcile_texts import Pay, results, say

TEN = 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


def answered(world: HostileWorld, number: int) -> str:
    """The acquirer's result for one of the delivered files."""
    file = world.files()[number]
    return results(file, [say(Pay(f"REF-p{number:04}", 100))])


def test_one_unreadable_result_of_ten_costs_only_itself(server: HostileAcquirer, tmp_path: Path) -> None:
    """T11: nine are processed once, one is set aside once; 100 more polls, some of them cut off, tell nothing more."""
    world = HostileWorld(tmp_path, server, payments=TEN)
    world.deliver()
    for number in range(TEN):
        world.give(f"f{number}.result.1", b"\xff\xfe\0garbage" if number == 4 else answered(world, number))
    assert world.work(3) == TEN
    states = sorted(each.state for each in world.results())
    assert states == ["read"] * (TEN - 1) + ["unreadable"]
    assert world.kinds() == ["file_unreadable f4.result.1"]
    assert [file.matched.count for file in world.files()] == [0 if number == 4 else 1 for number in range(TEN)]
    before = world.everything()
    warm = Warm(world)
    for _ in range(25):
        server.plant(Switches(lose_reply=(Planted("list", 3),), times=1))
        assert world.poll(4, warm.connect) == 0
        assert server.faults() == 1
    warm.close()
    assert world.work() == 0
    assert world.everything() == before
    world.check()


def test_known_content_new_content_and_unknown_names(server: HostileAcquirer, tmp_path: Path) -> None:
    """T11: the same bytes under a new name are a duplicate, other bytes under an old name a new version, a strange name an alarm."""
    world = HostileWorld(tmp_path, server, payments=1)
    world.deliver()
    world.give("a.result.1", answered(world, 0))
    assert world.work() == 1
    world.give("b.result.1", answered(world, 0))
    assert world.work(3) == 0
    assert world.told_of().count("duplicate_result_file") == 1
    world.give("a.result.1", answered(world, 0).replace("T07:00:00Z", "T07:30:00Z"))
    assert world.work(3) == 1
    assert [each.note for each in world.results()] == ["", "new content under a name that was collected before"]
    world.give("notes.doc", "?")
    assert world.work(3) == 0
    assert "file_unreadable notes.doc" in world.kinds()
    assert world.file().matched.count == 1
    world.check()
