"""T1: eight failures that other systems took for success; over a real session none ends as delivered, and each is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.hostile_acquirer import HostileAcquirer
from local.hostile_switches import Planted, Switches
from payments.states import FileState
from tests.faults.hostile_world import HASTY, PATIENT, HostileWorld, hostile
from tests.servers.line import Line

PAYMENTS = 400
MANY = 8_000  # more than three blocks, whatever a block is
CASES = {
    "host key changed on reconnect": (Switches(flip_host_key=0), "which is not pinned"),
    "permission denied on open": (Switches(refuse=(Planted("open"),)), "permission denied"),
    "failure on the third write": (Switches(refuse=(Planted("write", 3),)), "its disk is full"),
    "failure on close": (Switches(full_at_close=True), "its disk is full"),
    "authentication refused": (Switches(refuse=(Planted("login"),)), "refused our user or our credentials"),
    "connect timeout": (Switches(silent=True), "did not answer in time"),
    "connection reset at half": (Switches(cut_at_byte=20_000), "the connection was cut off"),
    "close fine but the file is not there": (Switches(vanish_at_close=True), "but nothing is there"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.mark.parametrize(("switches", "says"), CASES.values(), ids=CASES)
def test_a_failure_is_a_failure(
    server: HostileAcquirer, tmp_path: Path, switches: Switches, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """T1: the file is sealed and waits, its reason is in ledger and log, no receipt, nothing told; then it goes, once."""
    payments = MANY if switches.refuse[:1] == (Planted("write", 3),) else PAYMENTS
    world = HostileWorld(tmp_path, server, payments=payments, per_file=payments)
    world.limits = HASTY if switches.silent else PATIENT
    server.plant(switches)
    world.deliver()
    file = world.file()
    assert (file.state, file.held) == (FileState.SEALED, "")
    assert file.next_attempt_at is not None
    assert says in file.note
    assert any(file.name in each or "acquirer north" in each for each in caplog.messages), "nobody was told"
    assert "delivered" not in world.told_of(file)
    assert server.contents() == {}
    assert server.hands() == []
    world.check()
    server.plant(Switches())
    world.limits = PATIENT
    world.deliver()
    assert world.states() == [FileState.DELIVERED]
    assert world.told_of(file).count("delivered") == 1
    assert list(world.lying_in()) == [file.name]
    world.check()


def test_a_reset_that_arrives_wrapped_in_another_error_is_a_failure(server: HostileAcquirer, tmp_path: Path) -> None:
    """T1: a line cut at half of the bytes on the way, seen by the vendor as what it likes: the file waits, then goes once."""
    world = HostileWorld(tmp_path, server, payments=PAYMENTS, per_file=PAYMENTS)
    port, sftp = server.port, world.sftp
    with Line(port, 6_000 + world.file().size // 2, cut=True) as line:
        world.sftp = lambda **changes: sftp(port=line.port, **changes)  # type: ignore[method-assign]
        world.deliver()
    assert world.states() == [FileState.SEALED]
    assert world.file().note
    world.check()
    world.sftp = sftp  # type: ignore[method-assign]
    world.deliver()
    assert world.states() == [FileState.DELIVERED]
    world.check()
