"""Delivery by workers that are paused, outlived, woken thrice or killed at any step (T7, T8): placed once, or in doubt."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from payments.errors import Busy
from payments.states import FileState
from tests.unit.transfer.deliver_world import DeliverWorld, settle, sftp
from tests.unit.transfer.mortal import Fate, Killed, Mortal, MortalLedger
from transfer.deliver import deliver

PAUSES = [("upload", "before"), ("upload", "half"), ("upload", "after"), ("rename", "before"), ("rename", "after")]


@pytest.mark.parametrize("pause", PAUSES, ids="-".join)
@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "link"])
@pytest.mark.parametrize("takes_to", [None, "archive", ""], ids=["stays", "archived", "gone"])
def test_an_old_worker_that_wakes_after_its_lease_places_nothing_twice(
    tmp_path: Path, pause: tuple[str, str], atomic: bool, takes_to: str | None
) -> None:
    """T7: a worker is paused, its lease runs out, another takes over and ends; then the old one goes on: once, or in doubt."""
    world = DeliverWorld(tmp_path, sftp=sftp(rename_atomic=atomic))
    world.server.takes_to = takes_to

    def taken_over() -> None:
        world.restart()
        world.deliver("worker:2")

    world.server.hooks[pause] = taken_over
    with contextlib.suppress(Busy):  # it no longer holds its lease
        world.deliver("worker:1")
    world.check()
    settle(world, 3)
    assert world.states() in (["delivered"], ["in_doubt"])
    assert len(world.server.placed) == 1 or world.states() == ["in_doubt"]
    if pause[0] == "upload":
        assert world.states() == ["delivered"], "before rename_intended nothing is in doubt"
    assert not [path for path in world.server.files if path.endswith(".part")], "a temporary file stays behind"


@pytest.mark.parametrize("notices", [3])
def test_the_same_notice_three_times_delivers_once(tmp_path: Path, notices: int) -> None:
    """T7: workers woken by the same notice in the middle of the delivery do nothing."""
    world = DeliverWorld(tmp_path)
    said: list[bool] = []
    world.server.hooks["upload", "half"] = lambda: said.extend(
        world.deliver(f"worker:{n}") for n in range(2, 2 + notices)
    )
    assert world.deliver()
    assert said == [False] * notices
    assert len(world.server.placed) == 1
    world.check()


def mortal(world: DeliverWorld, fate: Fate) -> Callable[[], Any]:
    """A delivery in which ledger, connection and every act of the session may be the last."""

    @contextlib.contextmanager
    def connect() -> Any:
        with world.server.connect() as drop:
            fate.point()
            yield Mortal(drop, fate)

    return lambda: deliver(world.ports(ledger=MortalLedger(world.ledger, fate), connect=connect))


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "link"])
@pytest.mark.parametrize("takes_to", [None, ""], ids=["stays", "gone"])
def test_killed_after_any_step_the_next_worker_finds_the_verdict(
    tmp_path: Path, atomic: bool, takes_to: str | None
) -> None:
    """T7, T8: dead at any call and taken over, each of two files is in the inbox once, or in doubt only where no one can know."""
    fate = Fate()
    mortal(DeliverWorld(tmp_path / "0", files=2), fate)()
    for dies_at in range(1, fate.passed + 1):
        world = DeliverWorld(tmp_path / str(dies_at), files=2, sftp=sftp(rename_atomic=atomic))
        world.server.takes_to = takes_to
        with pytest.raises(Killed):
            mortal(world, Fate(dies_at))()
        world.check()
        world.restart()
        settle(world, 3)
        doubtful = [file for file in world.files() if file.state == FileState.IN_DOUBT]
        for file in world.files():
            placed = sum(name == f"inbox/{file.name}" for name, _ in world.server.placed)
            assert placed == 1 or (file in doubtful and not atomic) or file.state == FileState.SEALED
            if file.state == FileState.SEALED:
                assert doubtful, "only a file in doubt keeps those behind it, in strict order"
        if atomic and takes_to is None:
            assert world.states() == ["delivered", "delivered"], f"died at {dies_at}"
        world.engine.dispose()
