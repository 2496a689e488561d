"""T14: another host key when we come back: a closed door and a reason, nothing offered to it; with the old key all goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.hostile_acquirer import HostileAcquirer
from local.hostile_switches import Planted, Switches
from payments.states import FileState
from tests.faults.hostile_world import HostileWorld, hostile


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_a_key_that_changed_between_two_connections_closes_the_door(
    server: HostileAcquirer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """T14: cut on a known key, back on another: no log-in is tried, all files wait with the fingerprint said; then one delivery."""
    world = HostileWorld(tmp_path, server, payments=3)
    server.plant(Switches(cut_at_byte=10, times=1, flip_host_key=1))
    world.deliver(2)
    assert server.connections() == 2
    assert server.requests()["login"] == 1, "somebody logged in at the server with another key"
    assert world.states() == [FileState.SEALED] * 3
    assert all("which is not pinned" in file.note and "SHA256:" in file.note for file in world.files())
    assert any("which is not pinned" in each for each in caplog.messages)
    assert world.poll() == 0
    assert server.requests()["login"] == 1
    world.check()
    server.plant(Switches())
    world.deliver(2)
    assert world.states() == [FileState.DELIVERED] * 3
    world.check()


def test_a_doubt_is_not_settled_by_a_stranger(server: HostileAcquirer, tmp_path: Path) -> None:
    """T14: the rename's answer is lost and the next server has another key: what it shows is no evidence, nothing is decided."""
    world = HostileWorld(tmp_path, server)
    server.plant(Switches(lose_reply=(Planted("rename"),), times=1, flip_host_key=1))
    world.deliver(3)
    assert world.states() == [FileState.DELIVERING]
    assert world.receipt(world.file()) is None
    world.check()
    server.plant(Switches())
    world.deliver()
    assert world.states() == [FileState.DELIVERED]
    world.check()
