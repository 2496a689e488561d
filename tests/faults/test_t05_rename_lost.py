"""T5: the rename was done, its answer lost, and the acquirer takes the file within 10 ms: one delivery, or a doubt; 100 runs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.hostile_acquirer import HostileAcquirer
from local.hostile_switches import Planted, Switches
from payments.states import FileState
from tests.faults.hostile_world import HostileWorld, Warm, hostile
from transfer.deliver import deliver

RUNS = 25
TURNS_MAX = 4
DONE = {FileState.DELIVERED, FileState.IN_DOUBT}
LOST = Planted("rename")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "link"])
@pytest.mark.parametrize("take_to", ["archive", ""], ids=["archived", "gone"])
def test_a_file_taken_while_its_answer_was_lost_is_never_sent_again(
    server: HostileAcquirer, tmp_path: Path, take_to: str, atomic: bool
) -> None:
    """T5: taken after 0 to 10 ms, seen again or not: settled by what is found, else in doubt; the bytes went out once."""
    seeded = random.Random(f"{take_to}{atomic}")
    world = HostileWorld(tmp_path, server, payments=RUNS, rename_atomic=atomic)
    warm = Warm(world)
    ports = world.deliver_ports(connector=warm.connect)
    for number, file in enumerate(world.hold_all()):
        server.plant(Switches(lose_reply=(LOST,), take_away_ms=seeded.randint(0, 10), take_to=take_to, times=1))
        world.change(file, held="")
        for _ in range(TURNS_MAX):
            deliver(ports)
            world.next_day()
            if (state := world.files()[number].state) in DONE:
                break
        assert state in DONE, "no verdict"
        assert server.requests()["write"] == 1, "the bytes went out twice"
        assert server.requests()["rename"] == 1
        assert len(world.attempts(file)) == 1
        world.check()
        if take_to:
            assert state == FileState.DELIVERED, "it lies in the archive or in the inbox, and was not found"
        else:
            note = "the answer to the rename was lost and the file is nowhere to be seen"
            assert state == FileState.DELIVERED or world.files()[number].note == note
    warm.close()
    assert len(server.hands()) == RUNS, "each file came once"


@pytest.mark.parametrize("request_lost", ["open", "write", "fsync", "close", "stat", "remove"])
def test_any_other_answer_that_is_lost_ends_in_one_delivery(
    server: HostileAcquirer, tmp_path: Path, request_lost: str
) -> None:
    """T5: whichever other answer is lost, nothing was placed by it: the file goes with the next attempt, once."""
    world = HostileWorld(tmp_path, server)
    if request_lost == "remove":
        # Nothing is removed unless something failed before.
        server.plant(Switches(refuse=(Planted("write"),), times=1))
        world.deliver()
    server.plant(Switches(lose_reply=(Planted(request_lost),), times=1))
    world.deliver(3)
    assert server.faults() == 1
    assert world.states() == [FileState.DELIVERED]
    assert list(world.lying_in()) == [world.file().name]
    world.check()
