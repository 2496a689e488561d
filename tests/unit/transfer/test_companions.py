"""The marker or checksum file behind a delivered file: placed once, after its file, and never in doubt without saying so."""

from __future__ import annotations

import contextlib
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.acting import Actor
from payments.config_files import AfterRename
from payments.errors import DeliveryFailed, NotAllowed, Unreachable
from payments.states import FileState
from tests.unit.transfer.companion_world import CompanionWorld
from tests.unit.transfer.deliver_world import Fault, Server, settle
from tests.unit.transfer.mortal import Fate, Killed
from transfer import companion_acts
from transfer.acts import ActPorts
from transfer.companions import LATE_AFTER, late_companions
from transfer.deliver import blocked_by, due_files

ANNA, BERT = Actor("anna", verified=True), Actor("bert", verified=True)


def told(world: CompanionWorld) -> list[str]:
    with world.ledger.look() as tx:
        return [each.text for each in late_companions(tx, world.clock.now())]


@pytest.mark.parametrize("write", ["marker", "checksum"])
@pytest.mark.parametrize("sequence", ["strict", "free"])
def test_it_lies_beside_every_delivered_file(tmp_path: Path, write: str, sequence: str) -> None:
    """Six files leave; beside each lies its marker, empty, or its checksum as sha256sum reads it, and nobody is told of anything."""
    world = CompanionWorld(tmp_path, files=6, write=write, sequence=sequence)
    world.fly(3)
    world.check()
    assert world.states() == ["delivered"] * 6
    assert world.companion_states() == ["placed"] * 6
    for file in world.files():
        assert world.server.files[world.beside(file)] == world.body_beside(file)
        assert (file.attempts, file.note) == (1, "")
    assert world.leftovers() == []
    assert told(world) == []


def test_it_is_uploaded_together_with_its_file(tmp_path: Path) -> None:
    """Behind the file's rename only the companion's own is left to do: two uploads in all, both before it."""
    world = CompanionWorld(tmp_path)
    uploads: list[int] = []
    world.server.hooks["rename", "before"] = lambda: uploads.append(len(world.server.uploads))
    world.fly()
    assert (uploads, len(world.server.uploads)) == ([2], 2)


def test_on_a_server_that_replaces_nothing_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rename would take any name: what appears under the marker's name while that is uploaded again keeps its bytes."""
    world = CompanionWorld(tmp_path)
    world.server.hooks["rename", "after"] = lambda: world.server.faults.append(
        Fault("rename", "before", DeliveryFailed("no"))
    )
    world.fly()
    assert world.companion_states() == ["due"]
    theirs = {world.beside(world.file()): b"somebody's"}
    monkeypatch.setattr(Server, "rename", lambda server, old, new: server.files.update({new: server.files.pop(old)}))
    world.server.hooks["upload", "after"] = lambda: world.server.files.update(theirs)
    world.later()
    world.fly()
    assert world.companion_states() == ["due"]
    assert world.server.files.items() >= theirs.items()


def test_one_after_the_other_is_as_good(tmp_path: Path) -> None:
    """The same over a session that takes one act at a time, and nothing is left to do behind it."""
    world = CompanionWorld(tmp_path, files=3, sequence="strict")
    world.deliver()
    world.check()
    assert world.companion_states() == ["placed"] * 3
    with world.ledger.look() as tx:
        assert due_files(tx, world.acquirer, world.clock.now()) == []


def test_the_name_is_a_template(tmp_path: Path) -> None:
    """`OK_{name}.flag` names the marker."""
    world = CompanionWorld(tmp_path, after_rename=AfterRename(write="marker", name="OK_{name}.flag"))
    world.fly()
    world.check()
    assert f"OK_{world.file().name}.flag" in world.inbox()


def test_in_strict_order_each_waits_for_the_companion_before_it(tmp_path: Path) -> None:
    """Strict: while the first file's marker fails, the second file is not renamed; people are told; a later try ends it."""
    world = CompanionWorld(tmp_path, files=3, sequence="strict")
    first = world.files()[0]

    def theirs() -> None:
        world.server.files[world.beside(first)] = b"somebody's"

    world.server.hooks["rename", "after"] = theirs  # between the file's rename and its marker's
    world.fly()
    world.check()
    assert world.states() == ["delivered", "sealed", "sealed"]
    assert world.companion_states() == ["due", "", ""]
    assert world.server.files[world.beside(first)] == b"somebody's"
    (text,) = told(world)
    assert f"the marker {first.name}.done of {first.name} is missing, the file itself was delivered" in text
    with world.ledger.look() as tx:
        assert "blocks the files behind it" in blocked_by(tx, world.acquirer, world.clock.now())
        assert due_files(tx, world.acquirer, world.clock.now()) == []
    del world.server.files[world.beside(first)]
    world.later()
    world.fly(1)
    world.check()
    assert world.companion_states() == ["placed"] * 3
    assert told(world) == []


def test_a_name_that_is_taken_before_keeps_the_file_here(tmp_path: Path) -> None:
    """Somebody's file has the marker's name already: the data file is held before anything is placed, and nothing is replaced."""
    world = CompanionWorld(tmp_path)
    world.server.files[world.beside(world.file())] = b"somebody's"
    world.fly()
    world.check()
    assert (world.states(), world.companion_states()) == (["sealed"], [""])
    assert world.file().name in world.file().held
    assert world.server.files[world.beside(world.file())] == b"somebody's"
    assert world.leftovers() == []


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_its_rename_is_settled_by_looking(tmp_path: Path, when: str, atomic: bool) -> None:
    """The link breaks at the marker's rename: found there, it is placed; proved absent, placed anew; else in doubt, and said."""
    world = CompanionWorld(tmp_path, atomic=atomic)

    def break_the_next() -> None:
        world.server.faults.append(Fault("rename", when, Unreachable("cut off")))

    world.server.hooks["rename", "after"] = lambda: world.server.hooks.__setitem__(("rename", "before"), break_the_next)
    world.fly()
    assert (world.states(), world.companion_states()) == (["delivered"], ["rename_intended"])
    assert world.receipt(world.file()) is not None
    world.later()
    world.fly(1)
    world.later()
    world.fly(2)
    world.check()
    doubtful = when == "before" and not atomic
    assert world.companion_states() == ["doubtful" if doubtful else "placed"]
    assert len(told(world)) == doubtful
    if doubtful:
        assert "may or may not have been placed" in told(world)[0]


def test_a_doubt_ends_when_the_acquirer_speaks_of_the_file(tmp_path: Path) -> None:
    """Strict: a marker in doubt blocks; once its file is acknowledged nobody waits for it any more."""
    world = CompanionWorld(tmp_path, files=2, atomic=False, sequence="strict")
    world.server.hooks["rename", "after"] = lambda: world.server.faults.append(
        Fault("rename", "before", DeliveryFailed("no"))
    )
    world.fly()
    world.check()
    assert world.companion_states() == ["doubtful", ""]
    world.later()
    world.fly()
    assert world.states() == ["delivered", "sealed"]
    world.change(1, state=str(FileState.ACKNOWLEDGED))
    assert told(world) == []
    world.fly()
    assert world.states() == ["acknowledged", "delivered"]
    assert world.companion_states() == ["doubtful", "placed"]


def doubtful_world(folder: Path) -> CompanionWorld:
    """Two files in strict order; the first one's marker is in doubt."""
    world = CompanionWorld(folder, files=2, atomic=False, sequence="strict")
    world.server.hooks["rename", "after"] = lambda: world.server.faults.append(
        Fault("rename", "before", DeliveryFailed("no"))
    )
    world.fly()
    assert world.companion_states() == ["doubtful", ""]
    return world


def test_one_person_says_that_it_is_there(tmp_path: Path) -> None:
    """Then it is not placed again, the next file leaves, and the alarm is over."""
    world = doubtful_world(tmp_path)
    acted = companion_acts.is_there(ActPorts(world.ledger, world.clock), world.files()[0].name, ANNA, "they showed it")
    assert acted.done
    world.fly()
    assert world.companion_states() == ["placed", "placed"]
    assert [name for name, _ in world.server.placed].count(world.beside(world.files()[0])) == 0
    assert told(world) == []


def test_two_people_say_that_it_shall_be_placed_again(tmp_path: Path) -> None:
    """The first only proposes, and the same person never agrees with themselves; of anything but a doubt nobody says so."""
    world = doubtful_world(tmp_path)
    ports, name = ActPorts(world.ledger, world.clock), world.files()[0].name
    assert not companion_acts.again(ports, name, ANNA).done
    with pytest.raises(NotAllowed, match="already"):
        companion_acts.again(ports, name, ANNA)
    with pytest.raises(NotAllowed, match="unverified"):
        companion_acts.again(ports, name, Actor("cron", verified=False))
    assert world.companion_states() == ["doubtful", ""]
    assert companion_acts.again(ports, name, BERT).done
    world.fly()
    world.check()
    assert world.companion_states() == ["placed", "placed"]
    for act in (companion_acts.again, companion_acts.is_there):
        with pytest.raises(NotAllowed, match="here it is: placed"):
            act(ports, name, ANNA)


@pytest.mark.parametrize("state", [FileState.REFUSED, FileState.NOT_RECEIVED])
def test_a_file_that_was_refused_or_never_came_gets_none(tmp_path: Path, state: FileState) -> None:
    """Its marker failed; then the acquirer refuses the file, or two people say that it never came: no marker is written."""
    world = CompanionWorld(tmp_path)
    world.server.hooks["rename", "after"] = lambda: world.server.faults.append(
        Fault("rename", "before", DeliveryFailed("no"))
    )
    world.fly()
    assert world.companion_states() == ["due"]
    world.change(1, state=str(state))
    world.later()
    world.fly()
    assert [name for name, _ in world.server.placed] == [f"inbox/{world.file().name}"]
    assert told(world) == []


def test_a_file_in_doubt_gets_none(tmp_path: Path) -> None:
    """The file's own rename was lost and proves nothing: neither then nor later does a marker call it complete."""
    world = CompanionWorld(tmp_path, atomic=False)
    world.server.takes_to = ""
    world.server.faults.append(Fault("rename", "after", Unreachable("cut off")))
    world.fly()
    world.later()
    world.fly()
    world.check()
    assert (world.states(), world.companion_states()) == (["in_doubt"], [""])
    assert world.leftovers() == []


def test_nobody_at_it_for_minutes_is_an_alarm(tmp_path: Path) -> None:
    """A worker that dies between file and marker leaves an alarm behind after five minutes, and not at once."""
    world = CompanionWorld(tmp_path)

    def die() -> None:
        raise Killed

    world.server.hooks["rename", "after"] = lambda: world.server.hooks.__setitem__(("rename", "before"), die)
    with pytest.raises(Killed):
        world.fly()
    assert world.companion_states() == ["rename_intended"]
    assert told(world) == []
    world.clock.at += LATE_AFTER + timedelta(seconds=1)
    assert len(told(world)) == 1


def test_an_acquirer_out_of_reach_makes_it_wait(tmp_path: Path) -> None:
    """A marker is owed and nobody answers: it waits longer after each try, as files do, and says why."""
    world = CompanionWorld(tmp_path)
    world.server.hooks["rename", "after"] = lambda: world.server.faults.append(
        Fault("rename", "before", DeliveryFailed("no"))
    )
    world.fly()
    world.later()
    pauses = []
    for _ in range(3):
        world.server.faults.append(Fault("connect", "before", Unreachable("nobody listens")))
        world.fly()
        companion = world.companion(world.file())
        assert companion is not None
        assert companion.next_attempt_at is not None
        assert "nobody listens" in companion.note
        pauses.append(companion.next_attempt_at - world.clock.now())
        world.clock.at = companion.next_attempt_at
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1]
    world.fly()
    world.check()
    assert world.companion_states() == ["placed"]


@pytest.mark.parametrize(("sequence", "write"), [("strict", "marker"), ("free", "checksum")])
def test_killed_at_any_point_it_is_placed_once(tmp_path: Path, sequence: str, write: str) -> None:
    """Dead at any act or transaction and taken over: every file is there, and beside each its companion, once."""
    fate = Fate()
    files = 2 if sequence == "strict" else 1
    CompanionWorld(tmp_path / "0", files=files, sequence=sequence, write=write).fly(7, fate=fate)
    for dies_at in range(1, fate.passed + 1):
        world = CompanionWorld(tmp_path / str(dies_at), files=files, sequence=sequence, write=write)
        with contextlib.suppress(Killed):  # lots fall anew in each run, so the last points may not be reached
            world.fly(7, fate=Fate(dies_at))
        world.check()
        world.restart()
        settle(world, 3)
        world.later()
        world.deliver()
        world.check()
        assert world.companion_states() == ["placed"] * files, f"died at {dies_at}"
        world.engine.dispose()


@given(st.integers(0, 10_000), st.integers(0, 40), st.sampled_from(["strict", "free"]), st.booleans())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_link_that_breaks_leaves_one_companion_or_a_doubt(
    tmp_path: Path, seed: int, cut_after: int, sequence: str, atomic: bool
) -> None:
    """Cut at any moment: no companion twice, none before its file, and in the end each is placed or said to be in doubt."""
    shutil.rmtree(tmp_path / "world", ignore_errors=True)
    world = CompanionWorld(tmp_path / "world", files=4, atomic=atomic, sequence=sequence)
    world.fly(seed, cut_after=cut_after)
    world.check()
    for turn in range(6):
        world.later()
        world.fly(seed + turn)
        world.check()
    for file, state in zip(world.files(), world.companion_states(), strict=True):
        assert state in {"placed", "doubtful"} or file.state != "delivered"
    if atomic:
        assert world.companion_states() == ["placed"] * 4
    world.engine.dispose()


@pytest.mark.parametrize("moment", [("upload", "after"), ("rename", "before"), ("rename", "after"), ("stat", "after")])
def test_a_paused_worker_that_is_taken_over_writes_no_second_one(tmp_path: Path, moment: tuple[str, str]) -> None:
    """Another worker takes over at that moment of the marker's way: when the first wakes, one marker was ever placed."""
    world = CompanionWorld(tmp_path)

    def taken_over() -> None:
        world.restart()
        world.later()
        world.fly(3, holder="worker:2")

    world.server.hooks["rename", "after"] = lambda: world.server.hooks.__setitem__(moment, taken_over)
    with contextlib.suppress(Exception):  # it no longer holds its lease
        world.fly(1)
    world.check()
    world.restart()
    world.later()
    world.fly(4)
    world.check()
    assert world.companion_states() == ["placed"]
    assert len(world.server.placed) == 2
    assert world.leftovers() == []
