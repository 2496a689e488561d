"""T3: two files that want one name: same second, same destination, two workers, a restart in between."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from local.hostile_acquirer import HostileAcquirer
from local.hostile_switches import Planted, Switches
from payments.errors import TryAgain
from payments.states import FileState
from tests.faults.hostile_world import HostileWorld, hostile
from tests.unit.transfer.assemble_world import Pay
from transfer.assemble import assemble
from transfer.deliver import deliver


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_two_files_of_one_second_have_two_names(server: HostileAcquirer, tmp_path: Path) -> None:
    """T3: two runs assembled in one second, a restart in between, two workers at once: consecutive numbers, both delivered."""
    world = HostileWorld(tmp_path, server, payments=0)

    def work(holder: str) -> None:
        with suppress(TryAgain):  # the other one is at it
            assemble(world.ports(world.open_ledger(holder)))

    world.run(Pay("a"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ["worker:1", "worker:2"]))
    world.restart()
    world.run(Pay("b"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ["worker:3", "worker:4"]))
    work("worker:5")
    first, second = world.files()
    assert (first.created_at, first.sequence) == (second.created_at, second.sequence - 1)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda holder: deliver(world.deliver_ports(holder)), ["worker:6", "worker:7"]))
    deliver(world.deliver_ports("worker:8"))
    assert world.states() == [FileState.DELIVERED] * 2
    assert list(world.lying_in()) == [first.name, second.name]
    assert server.requests()["rename"] == 2
    world.check()


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "answer lost"])
def test_a_remote_name_that_exists_is_refused_and_never_replaced(
    server: HostileAcquirer, tmp_path: Path, lost: bool
) -> None:
    """T3: somebody's file has our name: it keeps its bytes, nothing of ours is renamed or removed there, a person is asked."""
    world = HostileWorld(tmp_path, server)
    target = server.root / "inbox" / world.file().name
    target.write_bytes(b"theirs")
    server.plant(Switches(lose_reply=(Planted("stat", 1),) if lost else (), greedy="nothing"))
    world.deliver(3)
    assert target.read_bytes() == b"theirs"
    assert world.states() == [FileState.SEALED]
    assert "already holds a file of this name" in world.file().held
    assert {"rename", "posix-rename", "remove"} & server.requests().keys() <= {"remove"}
    assert list(world.lying_in()) == [target.name]
    world.check()
