"""T2: time out after all bytes went out; the retry really sends them again, equal in size and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.hostile_acquirer import HostileAcquirer
from local.hostile_switches import Planted, Switches
from payments.states import FileState
from tests.faults.hostile_world import HostileWorld, hostile

PAYMENTS = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.mark.parametrize("how", ["cut at the last byte", "answer to close lost"])
def test_the_second_attempt_sends_every_byte_again(server: HostileAcquirer, tmp_path: Path, how: str) -> None:
    """T2: both attempts put the same bytes, each under a name of its own; one file is placed and the first part is gone."""
    world = HostileWorld(tmp_path, server, payments=PAYMENTS, per_file=PAYMENTS)
    sealed = world.file()
    cut = Switches(cut_at_byte=sealed.size, times=1)
    server.plant(cut if "last byte" in how else Switches(lose_reply=(Planted("close"),), times=1))
    world.deliver()
    assert world.states() == [FileState.SEALED]
    [(first, data)] = world.lying_in().items()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (sealed.size, sealed.sha256), "not all bytes went out"
    writes = server.requests()["write"]
    server.plant(Switches())
    world.deliver()
    assert server.requests()["write"] == writes, "the retry sent nothing"
    one, two = world.attempts(sealed)
    assert first == one.temporary_name != two.temporary_name
    assert world.lying_in() == {sealed.name: data}
    assert world.states() == [FileState.DELIVERED]
    world.check()
