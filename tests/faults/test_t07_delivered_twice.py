"""T7: the same event three times at once, and a worker killed in mid-upload: the file is in the inbox once, or in doubt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from local.hostile_acquirer import HostileAcquirer
from local.hostile_switches import Switches
from payments.states import FileState
from tests.faults.hostile_world import HostileWorld, hostile
from tests.servers.process import until
from transfer.deliver import deliver

FILES = 6
PAYMENTS = 1_500
THREE_TENTHS = 0.3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_the_same_event_three_times_at_once_delivers_once(server: HostileAcquirer, tmp_path: Path) -> None:
    """T7: three workers woken by one notice at the same time: one session, one rename, one file."""
    world = HostileWorld(tmp_path, server, payments=FILES)
    server.plant(Switches(slow_s=0.01))
    ports = [world.deliver_ports(f"worker:{number}") for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(deliver, ports))
    assert said.count(True) >= 1
    assert server.requests()["rename"] == FILES
    assert len(server.hands()) == FILES
    assert world.states() == [FileState.DELIVERED] * FILES
    world.check()


def worker(world: HostileWorld) -> subprocess.Popen[bytes]:
    """A delivery in a process of its own."""
    folder, sftp = world.folder, world.sftp()
    (folder / "key").write_bytes(world.server.client_key.read_bytes())
    (folder / "sftp.json").write_text(json.dumps(msgspec.to_builtins(sftp)))
    script = Path(__file__).with_name("stopped_worker.py")
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), str(folder / "sftp.json"), "never"],
        cwd=script.parents[2],
        env={**os.environ, "PYTHONPATH": str(script.parents[2])},
    )


def sent(world: HostileWorld) -> int:
    """Bytes under temporary names."""
    return sum(len(data) for name, data in world.lying_in().items() if name.startswith("."))


AT: dict[str, Callable[[HostileWorld], bool]] = {
    "30 percent": lambda world: sent(world) >= THREE_TENTHS * world.file().size,
    "100 percent": lambda world: sent(world) == world.file().size,
    "the rename": lambda world: world.file().name in world.lying_in(),
}


@pytest.mark.parametrize("moment", AT)
def test_a_worker_killed_in_the_middle_places_nothing_twice(
    server: HostileAcquirer, tmp_path: Path, moment: str
) -> None:
    """T7: SIGKILL at 30 %, at 100 % and at the rename; the next worker finds the verdict: once there, or in doubt."""
    world = HostileWorld(tmp_path, server, payments=PAYMENTS, per_file=PAYMENTS)
    server.plant(Switches(slow_s=0.15))
    process = worker(world)
    try:
        until(lambda: process.poll() is not None or AT[moment](world), f"the worker to reach {moment}", 60)
        if moment != "the rename":
            assert process.poll() is None, "the worker ended before it could be killed"
        process.kill()
    finally:
        process.kill()
        process.wait(10)
    server.plant(Switches())
    world.restart()
    world.deliver(3)
    state = world.file().state
    assert state == FileState.DELIVERED or (state == FileState.IN_DOUBT and moment != "30 percent")
    assert len(server.hands()) == (1 if state == FileState.DELIVERED else 0)
    assert not [name for name in world.lying_in() if name.startswith(".")], "a temporary file stays behind"
    world.check()
