"""T6: servers that cannot do what others can: the file goes by what is left, or waits with a reason; nothing is replaced."""

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


@pytest.mark.parametrize("cannot", ["posix-rename", "fsync"])
def test_what_is_not_needed_may_be_missing(server: HostileAcquirer, tmp_path: Path, cannot: str) -> None:
    """T6: without posix-rename, without fsync: the file is delivered, by a plain rename to a free name."""
    world = HostileWorld(tmp_path, server)
    server.plant(Switches(refuse=(Planted(cannot),)))
    world.deliver()
    assert world.states() == [FileState.DELIVERED]
    assert "posix-rename" not in server.requests()
    world.check()


@pytest.mark.parametrize(
    ("switches", "says"),
    [
        (Switches(refuse=(Planted("stat"),)), "answered 'unsupported'"),
        (Switches(lie_about_size=True), "bytes are there"),
        (Switches(refuse=(Planted("open"),)), "permission denied"),
    ],
    ids=["no stat", "sizes that are wrong", "no new files"],
)
def test_what_cannot_be_proved_is_not_claimed(
    server: HostileAcquirer, tmp_path: Path, switches: Switches, says: str
) -> None:
    """T6: where size cannot be asked or is told wrong, nothing is renamed: the file waits and says what the server cannot."""
    world = HostileWorld(tmp_path, server)
    server.plant(switches)
    world.deliver(3)
    assert world.states() == [FileState.SEALED]
    assert says in world.file().note
    assert "rename" not in server.requests()
    assert server.contents() == {}
    world.check()


@pytest.mark.parametrize(("atomic", "state"), [(True, FileState.SEALED), (False, FileState.IN_DOUBT)])
def test_a_refused_rename_proves_nothing_unless_renames_are_atomic(
    server: HostileAcquirer, tmp_path: Path, atomic: bool, state: str
) -> None:
    """T6: no rename at all: declared atomic, the file waits; else only the acquirer knows. The existing target stays."""
    world = HostileWorld(tmp_path, server, rename_atomic=atomic)
    server.plant(Switches(refuse=(Planted("rename"),)))
    world.deliver(2)
    assert world.states() == [state]
    assert ("was no, which proves nothing here" in world.file().note) == (not atomic)
    assert server.hands() == []
    assert world.lying_in() == {}, "a temporary file stays behind"
    world.check()


def test_results_of_a_server_that_gives_each_file_once_are_kept(server: HostileAcquirer, tmp_path: Path) -> None:
    """T6: a read-once outbox: the only reading is stored whole, byte by byte."""
    world = HostileWorld(tmp_path, server, payments=0)
    server.plant(Switches(serve_once=True))
    data = b"RH,once\n" * 20_000
    (server.root / "outbox" / "a.result.1").write_bytes(data)
    assert world.poll(4) == 1
    assert world.lying_in("outbox") == {}
    with world.ledger.look() as tx:
        (result,) = tx.results.find()
    assert world.store.get(result.key) == data
