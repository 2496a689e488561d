"""A worker dies in the middle of strict order and the file in front ends in doubt: those behind it neither hang nor overtake it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from payments.config import Configuration
from payments.config_files import AfterRename
from payments.errors import Unreachable
from payments.states import FileState
from runtime.schedule import Wake, due_wakes
from tests.unit.transfer.deliver_world import Fault, settle, sftp
from tests.unit.transfer.flight_world import FlightWorld
from tests.unit.transfer.mortal import Fate, Killed
from transfer.deliver import due_files


def killed_in_flight(folder: Path, files: int, after_rename: AfterRename | None = None) -> FlightWorld:
    """The acquirer took the first file, its rename was never answered, and the process is gone: all others were uploading."""
    world = FlightWorld(
        folder, files=files, sftp=sftp(files_in_flight=32, rename_atomic=False), after_rename=after_rename
    )
    world.server.takes_to = ""
    world.server.faults = [Fault("rename", "after", Killed())]
    with pytest.raises(Killed):
        world.fly(seed=1)
    world.restart()
    assert set(world.states()) == {"delivering"}
    assert world.leftovers()
    return world


def wakes(world: FlightWorld) -> list[Wake]:
    with world.ledger.look() as tx:
        found = due_wakes(tx, Configuration(acquirer=[world.acquirer]), world.clock.now())
    return [each for each in found if each.queue == "deliver"]


def due(world: FlightWorld) -> list[str]:
    with world.ledger.look() as tx:
        return [file.name for file in due_files(tx, world.acquirer, world.clock.now())]


@pytest.mark.parametrize("after_rename", [None, AfterRename(write="checksum")], ids=["alone", "beside"])
def test_what_lies_behind_a_doubt_is_cleared_up_and_waits(tmp_path: Path, after_rename: AfterRename | None) -> None:
    """All behind it are sealed again, their temporary files gone; none is sent until the doubt ends, then all leave by number."""
    world = killed_in_flight(tmp_path, 20, after_rename)
    uploads = len(world.server.uploads)
    world.fly()
    assert world.states() == ["in_doubt", *["sealed"] * 19]
    assert world.leftovers() == []
    assert {each.state for file in world.files()[1:] for each in world.attempts(file)} == {"revoked"}
    assert (due(world), wakes(world)) == ([], [])
    settle(world, 3)
    assert (len(world.server.placed), len(world.server.uploads)) == (1, uploads), "a file overtook one in doubt"
    world.change(1, state=str(FileState.NOT_RECEIVED))
    world.fly()
    names = [name for name, _ in world.server.placed if name.endswith(".csv")]
    assert names == [f"inbox/{file.name}" for file in world.files()]


def test_they_are_cleared_up_together_with_what_may_leave_before_the_doubt(tmp_path: Path) -> None:
    """One session delivers the file in front and clears up all behind the one in doubt: none waits for another's end."""
    world = killed_in_flight(tmp_path, 6)
    world.fly()
    world.change(2, state=str(FileState.IN_DOUBT))
    world.change(1, state=str(FileState.SEALED))
    for sequence in range(3, 7):
        file = world.change(sequence, state=str(FileState.DELIVERING))
        with world.ledger.begin() as tx:
            tx.attempts.change(tx.attempts.find(file_id=file.file_id)[0], state="started")
    calls = world.server.connects
    world.fly()
    assert world.states() == ["delivered", "in_doubt", *["sealed"] * 4]
    assert world.server.connects == calls + 1


def test_clearing_up_waits_as_deliveries_do_while_the_server_is_away(tmp_path: Path) -> None:
    """It is no delivery that is due, it wakes a worker all the same; an outage gives it the pause of all, and no blame."""
    world = killed_in_flight(tmp_path, 4)
    away = Fault("connect", "before", Unreachable("no route"))
    world.server.hooks["remove", "after"] = lambda: world.server.faults.append(away)
    world.fly()
    assert world.states() == ["in_doubt", *["delivering"] * 3]
    calls, attempts = world.server.connects, [file.attempts for file in world.files()]
    world.fly()
    assert (world.server.connects, wakes(world)) == (calls, []), "called before the pause was over"
    world.later()
    assert (due(world), wakes(world)) == ([], [Wake("deliver", world.acquirer.name)])
    world.fly()
    assert world.states() == ["in_doubt", *["sealed"] * 3]
    assert [file.attempts for file in world.files()] == attempts
    assert world.leftovers() == []


def test_killed_at_any_step_of_clearing_up(tmp_path: Path) -> None:
    """Dead again and taken over again: in the end the first is in doubt, the others sealed, and nothing was placed twice."""
    fate = Fate()
    killed_in_flight(tmp_path / "0", 3).fly(7, fate=fate)
    for dies_at in range(1, fate.passed + 1):
        world = killed_in_flight(tmp_path / str(dies_at), 3)
        with contextlib.suppress(Killed):
            world.fly(7, fate=Fate(dies_at))
        world.restart()
        settle(world, 3)
        assert world.states() == ["in_doubt", "sealed", "sealed"], f"died at {dies_at}"
        assert len(world.server.placed) == 1
        world.engine.dispose()
