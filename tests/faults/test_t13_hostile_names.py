"""T13: hostile names in a real listing: none becomes a path, a query or a terminal's command; each is told once, harmlessly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.hostile_acquirer import HostileAcquirer
from tests.faults.hostile_world import HostileWorld, hostile

NAMES = [
    "a\nb.result.1",
    "a\x1b[31mred.result.1",
    "a\u202egpj.result.1",
    "a\\..\\x.result.1",
    "=cmd.result.1",
    "+1.result.1",
    "@x.result.1",
    "\tx.result.1",
    "a b;rm -rf.result.1",
    "x" * 240 + ".result.1",
    "' OR 1=1 --.result.1",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_hostile_names_are_told_and_never_used(
    server: HostileAcquirer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """T13: every name is alarmed once in printable ASCII, none is fetched or becomes a key, and the good file beside them is."""
    world = HostileWorld(tmp_path, server, payments=0)
    for name in NAMES:
        world.give(name, "x")
    world.give("good.ack", "y")
    assert world.poll(4) == 1
    with world.ledger.begin() as tx:
        shown = [each.detail["name"] for each in tx.mismatches.find(kind="file_unreadable")]
    assert len(shown) == len(NAMES)
    assert all(each.isascii() and each.isprintable() and len(each) <= 200 for each in shown)
    assert [key.rpartition("/")[2] for key in world.store.keys("results/")] == ["good.ack"]
    assert all(each.isprintable() and each.isascii() for each in caplog.messages)
    assert server.requests()["open"] == 1
    before = world.everything()
    world.poll(3)
    assert world.everything() == before
