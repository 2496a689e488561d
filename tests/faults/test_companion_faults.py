"""Markers and checksum files on a hostile server: lost answers, taken files, dead workers, two hundred files in flight."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.hostile_acquirer import HOST, USER, HostileAcquirer
from local.hostile_switches import Planted, Switches
from payments.companions import Companion
from payments.config import Sftp
from payments.config_files import AfterRename
from payments.states import FileState
from tests.faults.hostile_world import HostileWorld, Warm, hostile
from tests.unit.transfer.companion_world import CompanionWorld
from transfer.deliver import deliver
from transfer.many_acts import Act
from transfer.sftp import SftpDrop, connect

RUNS = 12
TURNS_MAX = 4
OVER = {"placed", "doubtful"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


class Killed(BaseException):
    """Stands for SIGKILL: no handler of ours catches it."""


def companions(world: HostileWorld) -> list[Companion]:
    with world.ledger.look() as tx:
        return tx.companions.find()


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "link"])
@pytest.mark.parametrize("take_to", ["archive", ""], ids=["archived", "gone"])
def test_a_lost_answer_to_its_rename_never_makes_two(
    server: HostileAcquirer, tmp_path: Path, take_to: str, atomic: bool
) -> None:
    """The marker's rename is done and never answered, and all is taken within 10 ms: one marker, or a doubt that is said."""
    seeded = random.Random(f"{take_to}{atomic}")
    world = HostileWorld(
        tmp_path, server, payments=RUNS, rename_atomic=atomic, after_rename=AfterRename(write="checksum")
    )
    warm = Warm(world)
    ports = world.deliver_ports(connector=warm.connect)
    for number, file in enumerate(world.hold_all()):
        lost = (Planted("rename", 2),)
        server.plant(Switches(lose_reply=lost, take_away_ms=seeded.randint(0, 10), take_to=take_to, times=1))
        world.change(file, held="")
        for _ in range(TURNS_MAX):
            deliver(ports)
            world.next_day()
            with world.ledger.look() as tx:
                found = tx.companions.get(file.file_id)
            if found is not None and found.state in OVER:
                break
        assert world.files()[number].state == FileState.DELIVERED
        assert found is not None
        assert found.state in OVER
        if take_to:
            assert found.state == "placed", "it lies in the archive or in the inbox, and was not found"
        assert server.requests()["rename"] == 2, "renamed again"
        world.check()
    warm.close()


@pytest.mark.parametrize("sequence", ["strict", "free"])
def test_dead_between_a_file_and_its_marker(
    server: HostileAcquirer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sequence: str
) -> None:
    """A worker dies behind a file's rename, before its marker's: whoever comes next places one marker, and all files leave."""
    world = HostileWorld(
        tmp_path, server, payments=6, rename_atomic=True, sequence=sequence, after_rename=AfterRename(write="marker")
    )
    begin, seen = SftpDrop.begin, []

    def killed(drop: SftpDrop, act: Act) -> int:
        if act.verb == "place" and act.given[1].endswith(".done"):
            seen.append(act)
            if len(seen) == 3:
                raise Killed
        return begin(drop, act)

    monkeypatch.setattr("transfer.sftp.SftpDrop.begin", killed)
    with pytest.raises(Killed):
        world.deliver()
    monkeypatch.undo()
    world.ledger.leases.release_held("")
    world.deliver(2)
    world.check()
    assert world.states() == ["delivered"] * 6
    assert [each.state for each in companions(world)] == ["placed"] * 6
    assert len(world.lying_in()) == 12


def test_two_hundred_files_in_flight_over_a_link_that_breaks(server: HostileAcquirer, tmp_path: Path) -> None:
    """200 files at once, the link lost in the middle of their renames: in the end 200 files and 200 markers, and nothing else."""
    at_64 = Sftp(
        host=HOST,
        port=server.port,
        user=USER,
        host_keys=list(server.host_keys),
        files_in_flight=64,
        rename_atomic=True,
        connect_timeout_s=20,
        channel_timeout_s=20,
    )
    world = CompanionWorld(tmp_path, files=200, sftp=at_64, sequence="free")
    server.clear()
    server.plant(Switches(lose_reply=(Planted("rename", 190),), times=1, greedy="*.csv"))
    ports = world.ports(connect=lambda: connect(at_64, key=server.client_key.read_bytes(), password=None))
    for _ in range(3):
        with contextlib.suppress(Exception):  # the worker logs it and takes the message up again
            deliver(ports)
        world.later()
    assert server.faults() == 1
    assert world.states() == ["delivered"] * 200
    assert world.companion_states() == ["placed"] * 200
    wanted = {file.name: world.bodies[file.file_id] for file in world.files()}
    found = {path.name: path.read_bytes() for path in (server.root / "inbox").iterdir()}
    assert found == wanted | {f"{name}.done": b"" for name in wanted}
    assert server.partial() == []
