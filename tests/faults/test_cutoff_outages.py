"""T9: what a server that is down, a worker that dies and a person that holds make of a window that closes meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from payments.acting import Actor
from payments.config import Limits, Retry
from tests.unit.transfer.assemble_world import Pay
from tests.unit.transfer.deliver_world import Fault
from tests.unit.transfer.windows_world import WindowsWorld, at, section, window
from transfer.acts import ActPorts, hold, release


def outage(folder: Path, policy: str, closes: str = "16:00", pause_s: int = 7200) -> WindowsWorld:
    """Ten payments in ten files; the server takes four and is down from then on."""
    mine = section(
        window(late=policy, closes=closes), rows_per_file_max=1, retry=Retry(first_s=pause_s, factor=1, attempts=50)
    )
    world = WindowsWorld(folder, mine)
    world.go("15:00")
    world.run(*(Pay(f"p{number}") for number in range(10)))
    world.assemble()
    world.change(world.files()[4], next_attempt_at=at("2026-03-02T15:30"))  # strict order: nothing passes the fifth
    world.deliver()
    assert len(world.placed()) == 4
    return world


def test_what_an_outage_kept_goes_in_the_same_window_while_that_is_open(tmp_path: Path) -> None:
    """T9: the server is back before the window closes: the rest goes, in order, without an alarm."""
    world = outage(tmp_path, "hold", closes="16:30", pause_s=600)
    world.is_down = True
    world.run_until("2026-03-02T16:05")
    world.is_down = False
    world.run_until("2026-03-02T16:20")
    assert world.placed() == [file.name for file in world.files()]
    assert all(file.note == file.held == "" for file in world.files())


@pytest.mark.parametrize("policy", ["late", "next", "hold"])
def test_what_an_outage_kept_past_the_window_follows_the_policy(
    tmp_path: Path, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    """T9: late goes all the same, next waits for the next window, hold asks a person; each with an alarm, bytes unchanged."""
    world = outage(tmp_path, policy)
    sealed = {file.file_id: (file.sha256, file.business_date, file.sequence) for file in world.files()}
    world.is_down = True
    world.run_until("2026-03-02T18:00")
    world.is_down = False
    assert caplog.text.count("closed before the file was delivered") == 6
    world.run_until("2026-03-02T23:00")
    rest = world.files()[4:]
    if policy == "late":
        assert {file.state for file in rest} == {"delivered"}
    else:
        assert {file.state for file in rest} == {"sealed"}
        assert all((file.held or file.note).startswith("late: window main of 2026-03-02 closed") for file in rest)
        assert all(bool(file.held) == (policy == "hold") for file in rest)
    if policy == "next":
        world.run_until("2026-03-03T07:59")
        assert len(world.placed()) == 4
        assert world.run_until("2026-03-03T08:00")[-1] == at("2026-03-03T08:00")
    if policy == "hold":
        for file in rest:
            release(ActPorts(world.ledger, world.clock), file.file_id, Actor("anna", verified=True))
        world.settle()
    assert world.placed() == [file.name for file in world.files()]
    assert {file.file_id: (file.sha256, file.business_date, file.sequence) for file in world.files()} == sealed


def test_nothing_leaves_behind_the_close_before_the_policy_was_applied(tmp_path: Path) -> None:
    """A service that comes back behind the close delivers nothing first and asks later."""
    world = outage(tmp_path, "next")
    world.clock.at = at("2026-03-02T18:00")
    world.deliver()
    assert len(world.placed()) == 4
    world.settle()
    assert len(world.placed()) == 4


def test_an_attempt_that_was_cut_off_is_not_repeated_behind_the_close(tmp_path: Path) -> None:
    """A worker dies while it uploads; whoever takes over behind the close revokes the attempt and uploads nothing."""
    world = WindowsWorld(tmp_path, section(window(late="next")), now="2026-03-02T15:00")
    world.run(Pay("a"))
    world.assemble()
    world.server.faults = [Fault("upload", "half", KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        world.deliver()
    world.server.faults = []
    assert world.files()[0].state == "delivering"
    world.restart()
    world.go("17:00")
    assert world.placed() == []
    assert world.files()[0].state == "sealed"
    world.run_until("2026-03-03T08:00")
    assert len(world.placed()) == 1


def test_a_release_does_not_let_a_file_leave_between_windows(tmp_path: Path) -> None:
    """Held, released at night: with `next` it still waits for the window that it was moved to."""
    world = WindowsWorld(tmp_path, section(window(late="next"), limits=Limits(count=1)), now="2026-03-02T15:00")
    world.pay("a", "b")
    acts, anna = ActPorts(world.ledger, world.clock), Actor("anna", verified=True)
    world.go("17:00")
    release(acts, world.files()[0].file_id, anna)
    world.run_until("2026-03-02T18:00")
    hold(acts, world.files()[0].file_id, Actor("boris", verified=True))
    release(acts, world.files()[0].file_id, anna)
    world.run_until("2026-03-03T07:59")
    assert world.placed() == []
    world.run_until("2026-03-03T08:00")
    assert len(world.placed()) == 1


def test_a_file_that_misses_two_windows_waits_for_the_third(tmp_path: Path) -> None:
    """With `next`, a file is not delivered between windows, however long the server is down."""
    world = outage(tmp_path, "next")
    world.is_down = True
    world.run_until("2026-03-03T20:00")
    world.is_down = False
    world.run_until("2026-03-04T07:59")
    assert len(world.placed()) == 4
    world.run_until("2026-03-04T09:00")
    assert len(world.placed()) == 10
