"""The switch that holds all deliveries: thrown in the middle of many files nothing more is placed, and afterwards the rest, once."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import pytest

from payments.acting import Actor
from payments.delivery_stops import CHAIN, new_stop, stop_in_force
from payments.errors import NotAllowed
from payments.states import FileState
from runtime.ledger.audit import audit_records
from tests.unit.transfer.companion_world import CompanionWorld
from tests.unit.transfer.deliver_world import DeliverWorld, settle, sftp
from tests.unit.transfer.flight_world import FlightWorld
from tests.unit.transfer.mortal import Fate, Killed
from transfer.acts import ActPorts
from transfer.delivery_stop_acts import resume, stop

ANNA, BEN, NOBODY = Actor("anna", verified=True), Actor("ben", verified=True), Actor("someone", verified=False)


def ports(world: DeliverWorld) -> ActPorts:
    return ActPorts(world.ledger, world.clock)


def intended(world: DeliverWorld) -> set[str]:
    with world.ledger.look() as tx:
        return {each.file_id for each in tx.attempts.find(state="rename_intended")}


def placed(world: DeliverWorld) -> list[str]:
    return [name for name, _ in world.server.placed]


@pytest.mark.parametrize(("sequence", "moment"), [("strict", "rename"), ("free", "upload")])
def test_in_the_middle_of_two_hundred_files(tmp_path: Path, sequence: str, moment: str) -> None:
    """Stopped with many under way, only renames already meant come to pass; all others are sealed; resumed, all go, each once."""
    world = FlightWorld(tmp_path, files=200, sftp=sftp(files_in_flight=32), sequence=sequence)
    seen, expected = 0, set[str]()

    def after() -> None:
        nonlocal seen
        seen += 1
        if seen < 60:
            world.server.hooks[moment, "after"] = after
            return
        stop(ports(world), ANNA, "the acquirer books twice")
        names = {file.file_id: f"inbox/{file.name}" for file in world.files()}
        expected.update({*placed(world), *(names[each] for each in intended(world))})

    world.server.hooks[moment, "after"] = after
    world.fly(seed=3)
    world.check()
    assert 0 < len(expected) < 200
    assert set(placed(world)) == expected
    assert set(world.states()) == {"delivered", "sealed"}
    assert world.leftovers() == []
    for file in world.files():
        if file.state == FileState.SEALED:
            assert (file.held, file.note, file.next_attempt_at) == ("", "", None)
            assert {each.state for each in world.attempts(file)} <= {"revoked"}
    connects = world.server.connects
    world.later()
    world.fly(seed=4)
    assert (world.server.connects, set(placed(world))) == (connects, expected), (
        "somebody went to the server all the same"
    )
    resume(ports(world), BEN, "it does not")
    world.fly(seed=5)
    world.check()
    assert world.states() == ["delivered"] * 200
    assert len(placed(world)) == 200


@pytest.mark.parametrize("sequence", ["strict", "free"])
def test_what_a_dead_worker_left_gets_its_verdict_while_all_is_stopped(tmp_path: Path, sequence: str) -> None:
    """Killed at any point and then stopped: no file stays in the air, none is placed anew, and resumed each is there once."""
    fate, way = Fate(), sftp(files_in_flight=4, rename_atomic=True)
    FlightWorld(tmp_path / "0", files=2, sftp=way, sequence=sequence).fly(7, fate=fate)
    for dies_at in range(1, fate.passed + 1):
        world = FlightWorld(tmp_path / str(dies_at), files=2, sftp=way, sequence=sequence)
        with contextlib.suppress(Killed):
            world.fly(7, fate=Fate(dies_at))
        stop(ports(world), ANNA, "wait")
        before = placed(world)
        world.restart()
        for turn in range(2):
            world.fly(turn)
            world.check()
        assert placed(world) == before, f"died at {dies_at}"
        assert set(world.states()) <= {"sealed", "delivered"}, f"died at {dies_at}"
        assert world.leftovers() == []
        resume(ports(world), BEN)
        settle(world, 2)
        assert world.states() == ["delivered"] * 2, f"died at {dies_at}"
        world.engine.dispose()


def test_a_marker_waits_as_well(tmp_path: Path) -> None:
    """A file whose rename was meant is delivered; the marker that would start the acquirer is not placed until all goes on."""
    world = CompanionWorld(tmp_path)

    def stopped() -> None:
        stop(ports(world), ANNA, "wait")

    world.server.hooks["rename", "after"] = stopped
    world.deliver()
    assert world.states() == ["delivered"]
    assert len(world.server.placed) == 1
    world.later()
    world.deliver()
    assert len(world.server.placed) == 1
    resume(ports(world), BEN)
    world.deliver()
    assert len(world.server.placed) == 2
    assert [path for path in world.server.files if path.endswith(".part")] == []


def test_one_stops_and_another_resumes(tmp_path: Path) -> None:
    """Anybody may stop, at once and with a reason; only a different, known person lets files leave again; both are kept."""
    world = DeliverWorld(tmp_path)
    with pytest.raises(NotAllowed, match="needs a reason"):
        stop(ports(world), ANNA, " ")
    with pytest.raises(NotAllowed, match="not stopped"):
        resume(ports(world), BEN)
    assert stop(ports(world), NOBODY, "looks odd").stopped_by == "someone"
    with pytest.raises(NotAllowed, match=r"stopped since .* by someone: looks odd"):
        stop(ports(world), ANNA, "me too")
    resume(ports(world), ANNA)
    stop(ports(world), ANNA, "again")
    with pytest.raises(NotAllowed, match="a different person must resume"):
        resume(ports(world), ANNA)
    with pytest.raises(NotAllowed, match="unverified"):
        resume(ports(world), NOBODY)
    resume(ports(world), BEN, "looked at it")
    with world.ledger.look() as tx:
        assert stop_in_force(tx) is None
        kept = [(each.subject, each.act, each.actor) for each in tx.decisions.find(order="subject")]
    assert sorted(kept) == [
        ("deliveries:1", "resume_deliveries", "anna"),
        ("deliveries:1", "stop_deliveries", "someone"),
        ("deliveries:2", "resume_deliveries", "ben"),
        ("deliveries:2", "stop_deliveries", "anna"),
    ]
    with world.engine.connect() as connection:
        acts = [(each.act, each.actor) for each in audit_records(connection, CHAIN)]
    assert acts == [("stopped", "someone"), ("resumed", "anna"), ("stopped", "anna"), ("resumed", "ben")]


def test_the_log_says_it_once_and_with_every_delivery_that_does_not_happen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that is woken says why it does nothing; whoever keeps the time tells each stop once."""
    world = DeliverWorld(tmp_path)
    stop(ports(world), ANNA, "wait")
    with caplog.at_level(logging.WARNING):
        world.deliver()
    assert "all deliveries are stopped since" in caplog.text
    assert world.server.connects == 0
    with world.ledger.begin() as tx:
        assert "by anna: wait" in new_stop(tx, world.clock.now())
        assert new_stop(tx, world.clock.now()) == ""
    resume(ports(world), BEN)
    with world.ledger.begin() as tx:
        assert new_stop(tx, world.clock.now()) == ""
