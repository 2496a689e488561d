"""Servers that say yes and do nothing, refuse to remove or to look, or change what lies there: never delivered without a file."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from payments.acting import Actor
from payments.config import Retry
from payments.errors import Busy, DeliveryFailed, NotAllowed, Unreachable
from payments.remote_ports import RemoteDrop
from payments.states import SPOKEN_HOLD, FileState
from tests.unit.transfer.companion_world import CompanionWorld
from tests.unit.transfer.deliver_world import DeliverWorld, Fault, Server, settle, sftp
from tests.unit.transfer.flight_world import FlightWorld, Sky
from tests.unit.transfer.mortal import Fate, Killed
from transfer.acts import ActPorts, redeliver
from transfer.deliver import deliver, due_files
from transfer.settling import _revoke
from transfer.stuck import waiting

NO = DeliveryFailed("permission denied")


def told(world: DeliverWorld) -> list[str]:
    with world.ledger.look() as tx:
        return [each.text for each in waiting(tx)]


def taken(server: Server, path: str) -> None:
    server.files.pop(path, None)


def moved_on(world: DeliverWorld, state: FileState) -> None:
    world.change(1, state=str(state))


def says_yes_once(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """The next rename to a name that ends so is answered by yes, and not done."""
    honest, left = Server.rename, [ending]

    def rename(server: Server, old: str, new: str) -> None:
        if left and new.endswith(left[0]):
            left.pop()
            return
        honest(server, old, new)

    monkeypatch.setattr(Server, "rename", rename)


@pytest.mark.parametrize("verify", ["size", "read_back"])
@pytest.mark.parametrize(("atomic", "state", "placed"), [(True, "delivered", 1), (False, "in_doubt", 0)])
def test_a_yes_to_a_rename_that_did_nothing_is_no_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verify: str, atomic: bool, state: str, placed: int
) -> None:
    """The temporary file still lies there: sent again where renames are atomic, else in doubt; never delivered by the yes alone."""
    world = DeliverWorld(tmp_path, sftp=sftp(rename_atomic=atomic), verify=verify)
    says_yes_once(monkeypatch, ".csv")
    world.deliver()
    assert world.states() == ["sealed" if atomic else "in_doubt"]
    settle(world)
    assert (world.states(), len(world.server.placed)) == ([state], placed)


@pytest.mark.parametrize(("atomic", "state"), [(True, "due"), (False, "doubtful")])
def test_the_same_of_a_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool, state: str) -> None:
    """A marker whose rename was answered by yes and not done is not called placed."""
    world = CompanionWorld(tmp_path, atomic=atomic)
    says_yes_once(monkeypatch, ".done")
    world.fly()
    world.check()
    assert (world.states(), world.companion_states()) == (["delivered"], [state])


@pytest.mark.parametrize(
    ("takes_to", "state"),
    [(None, "delivered"), ("archive", "delivered"), ("", "in_doubt")],
    ids=["stays", "archived", "gone"],
)
def test_a_server_that_lets_nobody_remove_still_gets_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes_to: str | None, state: str
) -> None:
    """The answer to the rename is lost and removing is forbidden for ever: found it is delivered, else in doubt, and nobody waits."""
    world = DeliverWorld(tmp_path, files=2, sftp=sftp(rename_atomic=True), sequence="strict")
    world.server.takes_to = takes_to
    world.server.faults = [Fault("rename", "after", Unreachable("cut"))]
    plain = Server.step

    def step(server: Server, act: str, when: str) -> None:
        plain(server, act, when)
        if (act, when) == ("remove", "before"):
            raise NO

    monkeypatch.setattr(Server, "step", step)
    settle(world, 3)
    assert world.states() == [state, "delivered" if state == "delivered" else "sealed"]
    assert len(world.server.placed) == (2 if state == "delivered" else 1)


def test_a_server_that_does_not_let_us_look_ends_in_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused look is repeated, and shown in the status meanwhile; after `retry.attempts` tries a person is asked."""
    world = DeliverWorld(tmp_path, retry=Retry(attempts=3))
    world.server.faults = [Fault("rename", "before", Unreachable("cut"))]
    world.deliver()
    plain = Server.step

    def step(server: Server, act: str, when: str) -> None:
        plain(server, act, when)
        if (act, when) == ("stat", "before"):
            raise NO

    monkeypatch.setattr(Server, "step", step)
    world.later()
    world.deliver()
    assert world.states() == ["delivering"]
    (text,) = told(world)
    assert "may have arrived, and the server cannot be asked: permission denied" in text
    settle(world, 4)
    assert world.states() == ["in_doubt"]
    assert world.file().note == "the server does not let us look for it: permission denied"


@pytest.mark.parametrize(
    ("behind", "state", "words"),
    [
        ("as sent", "delivered", "rename confirmed, size compared, bytes read back before it, and again behind it"),
        ("changed", "in_doubt", ""),
        ("taken", "delivered", "bytes read back before it, taken or not readable behind it"),
        ("unreadable", "delivered", "bytes read back before it, taken or not readable behind it"),
        ("cut off", "delivered", "bytes read back before it, taken or not readable behind it"),
        ("taken while read", "delivered", "bytes read back before it, taken while it was compared again behind it"),
        ("taken at once", "delivered", "rename confirmed, bytes read back before it"),
    ],
)
def test_what_lies_there_is_compared_again_behind_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: str, state: str, words: str
) -> None:
    """verify = read_back: other bytes behind the rename are a doubt; what the acquirer took is delivered, as the receipt says."""
    world = DeliverWorld(tmp_path, verify="read_back")
    target, server = f"inbox/{world.file().name}", world.server
    honest = Server.rename

    def rename(server: Server, old: str, new: str) -> None:
        honest(server, old, new)
        match behind:
            case "changed":
                server.files[new] = b"x" * len(server.files[new])
            case "taken":
                server.hooks["download", "before"] = lambda: taken(server, new)
                server.faults.append(Fault("download", "before", DeliveryFailed("no such file")))
            case "unreadable":
                server.faults.append(Fault("download", "before", NO))
            case "cut off":
                server.faults.append(Fault("download", "before", Unreachable("cut")))
            case "taken while read":
                server.files[new] = b"y" * len(server.files[new])
                server.hooks["download", "after"] = lambda: taken(server, new)

    monkeypatch.setattr(Server, "rename", rename)
    if behind == "taken at once":
        server.takes_to = ""
    world.deliver()
    assert world.states() == [state]
    receipt = world.receipt(world.file())
    assert words in ("" if receipt is None else receipt.verified_by)
    assert (receipt is None) == (state == "in_doubt")
    if behind == "changed":
        assert world.file().note.startswith("the inbox shows other bytes than were sent")
        assert target in server.files


@pytest.mark.parametrize("width", [1, 8])
def test_a_file_that_ends_every_session_goes_behind_the_others(tmp_path: Path, width: int) -> None:
    """Free: the server hangs up on one of five files; the other four leave all the same, and none of them is held."""
    world = DeliverWorld(
        tmp_path,
        files=5,
        sequence="free",
        retry=Retry(attempts=6),
        sftp=sftp(files_in_flight=width, rename_atomic=True),
    )
    poison = world.files()[0].file_id

    class Hanging(Sky):
        def upload(self, local: Path, temporary: str) -> None:
            if poison in temporary:
                self.cut_after = 0  # and with it everything else that is under way
                raise Unreachable("the server hung up")
            super().upload(local, temporary)

    @contextmanager
    def connect() -> Iterator[RemoteDrop]:
        yield Hanging(world.server, random.Random(7))

    for _ in range(5):
        deliver(world.ports(connect=connect))
        world.later()
    world.check()
    assert world.states() == ["sealed", *["delivered"] * 4]
    assert not world.files()[0].held, "the others waited until it was out of the way"
    for _ in range(4):
        deliver(world.ports(connect=connect))
        world.later()
    assert world.files()[0].held.startswith("6 attempts failed")
    assert [file.held for file in world.files()[1:]] == [""] * 4
    assert max(file.attempts for file in world.files()[1:]) <= 5


def test_an_outage_is_no_attempt_of_any_file(tmp_path: Path) -> None:
    """Unreachable for thirty tries, pauses grow to the longest; then one broken upload does not hold the file; then it leaves."""
    world = DeliverWorld(tmp_path, retry=Retry(first_s=60, factor=3, longest_s=600, attempts=5))
    pauses = []
    for _ in range(30):
        world.server.faults = [Fault("connect", "before", Unreachable("no route"))]
        world.deliver()
        due = world.file().next_attempt_at
        assert due is not None
        pauses.append((due - world.clock.now()).total_seconds())
        assert "has not left: no route" in told(world)[0]
        world.later(pauses[-1])
    assert pauses[:5] == [60, 180, 540, 600, 600]
    assert (set(pauses[5:]), world.file().attempts) == ({600}, 0)
    world.server.faults = [Fault("upload", "half", Unreachable("cut"))]
    world.deliver()
    assert (world.states(), world.file().held, world.file().attempts) == (["sealed"], "", 1)
    world.later()
    world.deliver()
    assert world.states() == ["delivered"]
    world.server.faults = [Fault("connect", "before", Unreachable("no route"))]
    added = world.planned(2)
    world.bodies[added.file_id] = world.seal(added)
    world.deliver()
    due = world.files()[1].next_attempt_at
    assert due is not None
    assert (due - world.clock.now()).total_seconds() == 60, "a session that was reached ends the growth"


@pytest.mark.parametrize("state", sorted(set(FileState) - {FileState.DELIVERING, FileState.SEALED}))
def test_no_rename_is_intended_of_a_file_that_is_not_delivering(tmp_path: Path, state: FileState) -> None:
    """Whatever moved the file on while it was uploaded, and left its attempt alone: nothing of it is placed."""
    world = DeliverWorld(tmp_path)
    world.server.hooks["upload", "after"] = lambda: moved_on(world, state)
    world.deliver()
    assert (world.server.placed, world.states()) == ([], [str(state)])
    assert [each.state for each in world.attempts(world.file())] == ["revoked"]
    assert world.server.files == {}


def test_a_take_over_that_comes_too_late_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The former worker ended its attempt meanwhile: no error is told to a person, and the file leaves with the next look."""
    world = DeliverWorld(tmp_path)
    world.server.faults = [Fault("upload", "half", KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        world.deliver()
    world.restart()
    stale = world.file()

    def ended() -> None:
        with world.ledger.begin() as tx:
            _revoke(tx, world.ports(), stale)

    world.server.hooks["connect", "before"] = ended
    world.deliver("worker:2")
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
    world.later()
    world.deliver("worker:2")
    assert world.states() == ["delivered"]
    world.check()


@pytest.mark.parametrize("may_remove", [True, False])
def test_a_worker_paused_at_its_rename_places_nothing_behind_a_redelivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_remove: bool
) -> None:
    """Refused by the acquirer meanwhile: nothing goes again before another session took the temporary file away."""
    world = DeliverWorld(tmp_path)
    acts, refusals = ActPorts(world.ledger, world.clock), []

    def meanwhile() -> None:
        world.restart()
        world.change(1, state=str(FileState.REFUSED))
        try:
            redeliver(acts, world.file().name, Actor("anna", verified=True))
        except NotAllowed as refused:
            refusals.append(str(refused))
        if not may_remove:
            world.server.faults = [Fault("remove", "before", NO)]
        assert world.deliver("worker:2")
        assert not redeliver(acts, world.file().name, Actor("anna", verified=True)).done

    world.server.hooks["rename", "before"] = meanwhile
    with contextlib.suppress(Busy):  # it no longer holds its lease
        world.deliver("worker:1")
    assert refusals == [f"file {world.file().name}: its last attempt has not ended, and might still place it"]
    assert len(world.server.placed) == (0 if may_remove else 1)
    assert [each.state for each in world.attempts(world.file())] == ["failed" if may_remove else "doubtful"]
    assert world.states() == ["refused"]
    with world.ledger.look() as tx:
        assert due_files(tx, world.acquirer, world.clock.now()) == []


def test_killed_while_it_ends_what_was_left_over(tmp_path: Path) -> None:
    """Dead at any step of that, and taken over: nothing of a refused file is placed, its attempt has ended, nobody waits."""
    fate = Fate()
    left_behind(tmp_path / "0").fly(fate=fate)
    assert fate.passed > 3
    for dies_at in range(1, fate.passed + 1):
        world = left_behind(tmp_path / str(dies_at))
        with pytest.raises(Killed):
            world.fly(fate=Fate(dies_at))
        world.restart()
        world.later()
        world.fly()
        assert (world.states(), world.server.placed, world.leftovers()) == (["refused"], [], [])
        assert [each.state for each in world.attempts(world.file())] in (["failed"], ["doubtful"])
        with world.ledger.look() as tx:
            assert due_files(tx, world.acquirer, world.clock.now()) == []
        world.engine.dispose()


def left_behind(folder: Path) -> FlightWorld:
    """A worker died at its rename, and the acquirer refused the file."""
    world = FlightWorld(folder, sftp=sftp(rename_atomic=True))
    world.server.faults = [Fault("rename", "before", KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        world.deliver()
    world.restart()
    world.change(1, state=str(FileState.REFUSED))
    return world


def test_killed_anywhere_behind_a_word_that_came_while_uploading(tmp_path: Path) -> None:
    """The attempt was revoked and the file held: wherever its worker dies then, nothing is placed, and nothing stays behind."""
    fate = Fate()
    spoken_of(tmp_path / "0").fly(fate=fate)
    for dies_at in range(1, fate.passed + 1):
        world = spoken_of(tmp_path / str(dies_at))
        with contextlib.suppress(Killed):
            world.fly(fate=Fate(dies_at))
        world.restart()
        world.later()
        world.fly()
        if world.states() == ["sealed"]:
            assert (world.server.placed, world.file().held) == ([], SPOKEN_HOLD)
        else:
            assert world.states() == ["delivered"], "it died before the word came"
        world.engine.dispose()


def spoken_of(folder: Path) -> FlightWorld:
    """While the file is uploading, the acquirer's word about it is recorded."""
    world = FlightWorld(folder)

    def word() -> None:
        with world.ledger.begin() as tx:
            (file,) = tx.files.find()
            tx.attempts.change(tx.attempts.find(order="-attempt", limit=1)[0], state="revoked")
            tx.files.change(file, state=str(FileState.SEALED), held=SPOKEN_HOLD)

    world.server.hooks["upload", "half"] = word
    return world
