"""A server that nobody reaches puts the open window at risk before it is missed; what was reached, or what nobody waits for, does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from payments.contacts import noted, of_outbox
from payments.errors import DeliveryFailed, HostKeyRefused, LoginRefused, TieoutError, Unreachable
from payments.states import FileState
from runtime.schedule import new_alarms
from tests.unit.transfer.assemble_world import Pay
from tests.unit.transfer.test_forecast import measured, risk
from tests.unit.transfer.windows_world import WindowsWorld, at, section
from transfer.forecast import alarms

AWAY = "its server has not been reached since 2026-03-02T10:00:00Z"


def new_world(folder: Path) -> WindowsWorld:
    """Ten o'clock: lines and runs are fast enough, all was delivered, and nothing is left to do."""
    world = WindowsWorld(folder, section(), now="2026-03-02T09:00")
    measured(world, rows=1000, run_s=1, sent=1_000_000, send_s=1)
    world.clock.at = at("2026-03-02T10:00")
    assert risk(world).verdict == "ok"
    return world


def polled(world: WindowsWorld, error: TieoutError | None = None) -> None:
    """One poll of the outbox now, and how it ended."""
    try:
        with noted(world.ledger, world.clock, of_outbox("north")):
            if error is not None:
                raise error
    except TieoutError:
        return


def told(world: WindowsWorld) -> list[str]:
    """What the service says now, each once."""
    with world.ledger.begin() as tx:
        return new_alarms(tx, world.configuration, world.clock.now())


def test_a_server_that_does_not_answer_is_at_risk_from_the_first_try_to_the_first_success(tmp_path: Path) -> None:
    """The next attempt lies before the close each time, and the file is at risk all the same; delivered, it is not any more."""
    world = new_world(tmp_path)
    world.is_down = True
    world.pay("a")
    for now in ("10:00", "12:00", "14:00"):
        world.go(now)
        said = risk(world)
        assert (said.verdict, said.reasons) == ("at_risk", [AWAY])
    with world.ledger.look() as tx:
        (alarm,) = alarms(tx, world.configuration, world.clock.now())
    assert alarm.text == f"acquirer north: window main of 2026-03-02 may be missed: {AWAY}"
    world.is_down = False
    world.run_until("2026-03-02T15:59")
    assert world.files()[-1].state == FileState.DELIVERED
    assert (risk(world).verdict, risk(world).reasons) == ("ok", [])


@pytest.mark.parametrize(
    ("error", "is_away"),
    [
        (Unreachable("no route"), True),
        (LoginRefused("no"), True),
        (HostKeyRefused("another key"), True),
        (DeliveryFailed("the outbox cannot be listed"), False),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, TieoutError) else "",
)
def test_polls_tell_of_the_same_server(tmp_path: Path, error: TieoutError, is_away: bool) -> None:
    """Rows are on their way and no file was tried yet: a poll that did not come through counts, one that could not read does not."""
    world = new_world(tmp_path)
    polled(world, error)
    assert risk(world).verdict == "ok", "nothing is to be delivered"
    world.run(Pay("a"))
    world.clock.at = at("2026-03-02T11:00")
    polled(world, error)
    assert risk(world).reasons == ([AWAY] if is_away else [])
    polled(world)
    assert risk(world).verdict == "ok"


def test_a_delivery_that_came_through_outweighs_polls_that_do_not(tmp_path: Path) -> None:
    """A server that hangs up on every poll and takes every file has been reached."""
    world = new_world(tmp_path)
    polled(world, Unreachable("cut off"))
    world.run(Pay("a"))
    assert risk(world).reasons == [AWAY]
    world.go("11:00")
    assert world.files()[-1].state == FileState.DELIVERED
    world.run(Pay("b"))
    polled(world, Unreachable("cut off"))
    assert risk(world).verdict == "ok"


def test_what_failed_long_ago_says_nothing_while_nobody_tries(tmp_path: Path) -> None:
    """The last session failed and its file was cancelled since: only the polls tell how the server is now."""
    world = new_world(tmp_path)
    world.is_down = True
    world.pay("a")
    world.change(world.files()[-1], state=str(FileState.CANCELLED))
    world.run(Pay("b"))
    assert risk(world).verdict == "ok"
    polled(world, Unreachable("no route"))
    assert risk(world).reasons == [AWAY]


def test_before_the_window_opens_nothing_is_at_risk_by_that(tmp_path: Path) -> None:
    """A server that rests at night, while rows wait for the morning, alarms nobody; one that still rests when it opens does."""
    world = new_world(tmp_path)
    world.clock.at = at("2026-03-03T02:00")
    world.run(Pay("a"))
    polled(world, Unreachable("no route"))
    assert risk(world).verdict == "ok"
    world.clock.at = at("2026-03-03T08:00")
    assert risk(world).reasons == ["its server has not been reached since 2026-03-03T02:00:00Z"]


def test_an_outage_that_ended_silences_no_later_alarm(tmp_path: Path) -> None:
    """The service says once that the server is away, and once more when the same window is at risk for another reason."""
    world = new_world(tmp_path)
    world.is_down = True
    world.pay("a")
    assert [len(told(world)), len(told(world))] == [1, 0]
    world.change(world.files()[-1], held="held by anna")
    (said,) = told(world)
    assert "waits for a person (held by anna)" in said
    assert told(world) == []
