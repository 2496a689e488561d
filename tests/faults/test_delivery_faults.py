"""Delivery against a server that fails before, in or after each act (T1, T2, T3, T5, T7): placed once, or in doubt, never twice."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.config import Retry
from payments.errors import (
    Busy,
    DeliveryFailed,
    HostKeyRefused,
    InDoubt,
    NotAllowed,
    TargetExists,
    TieoutError,
    Unreachable,
)
from payments.states import FileState
from tests.unit.transfer.deliver_world import DeliverWorld, Fault, settle, sftp

CANARY = "DE89370400440532013000"
KNOWN = [Unreachable, DeliveryFailed, HostKeyRefused, TargetExists, NotAllowed, Busy, InDoubt, TieoutError]
UNKNOWN = [OSError, TimeoutError, ConnectionResetError, EOFError, ValueError, RuntimeError, KeyError, AssertionError]
BEFORE_RENAME = [
    ("connect", "before"),
    ("stat", "before"),
    ("upload", "before"),
    ("upload", "half"),
    ("upload", "after"),
]


@pytest.mark.parametrize("act", BEFORE_RENAME, ids="-".join)
@pytest.mark.parametrize("error", [*KNOWN, *UNKNOWN], ids=lambda each: each.__name__)
def test_no_failure_before_the_rename_ends_delivered(
    tmp_path: Path, act: tuple[str, str], error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """T1: whatever is raised while connecting, looking or uploading, nothing is placed and the file is not delivered."""
    world = DeliverWorld(tmp_path)
    world.server.faults = [Fault(*act, error(CANARY if error in UNKNOWN else "no"))]
    with contextlib.suppress(error):
        world.deliver()
    assert world.server.placed == []
    assert world.states() == ["sealed"]
    assert all(each.state == "failed" for each in world.attempts(world.file()))
    assert CANARY not in caplog.text + world.file().note + world.file().held
    world.check()
    if world.file().held:
        return
    settle(world, 2)
    assert world.states() == ["delivered"]
    assert len(world.server.placed) == 1
    assert world.inbox() == [world.file().name]


ERRORS = st.one_of(
    st.sampled_from([*KNOWN, *UNKNOWN]).map(lambda kind: kind("no")),
    st.text("abcdefg", min_size=1, max_size=8).map(lambda name: type(name.title(), (Exception,), {})("no")),
)
FAULTS = st.lists(
    st.builds(
        Fault,
        st.sampled_from(["connect", "stat", "upload", "rename", "remove", "download"]),
        st.sampled_from(["before", "after", "half"]),
        ERRORS,
    ),
    max_size=5,
)


@given(FAULTS, st.booleans(), st.sampled_from([None, "archive", "gone", ""]), st.integers(1, 3))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_sequence_of_failures_places_a_file_twice_or_claims_one_that_is_not_there(
    tmp_path: Path, faults: list[Fault], atomic: bool, takes_to: str | None, files: int
) -> None:
    """Any failures of any type at any acts, acquirers that take files at once: each file is placed once at most, and known."""
    shutil.rmtree(tmp_path / "world", ignore_errors=True)
    world = DeliverWorld(tmp_path / "world", files=files, sftp=sftp(rename_atomic=atomic))
    world.server.takes_to = takes_to
    world.server.faults = list(faults)
    settle(world)
    for file in world.files():
        placed = sum(name == f"inbox/{file.name}" for name, _ in world.server.placed)
        assert placed <= 1
        assert file.state != FileState.DELIVERING, "no attempt is left without a verdict"
    world.engine.dispose()


def test_a_time_out_after_all_bytes_is_tried_again_with_the_same_bytes(tmp_path: Path) -> None:
    """T2: the answer to the last byte is lost; the next attempt sends equal bytes under a name of its own, and one file is placed."""
    world = DeliverWorld(tmp_path)
    world.server.faults = [Fault("upload", "after", TimeoutError())]
    settle(world, 2)
    (first, second), body = world.server.uploads, world.bodies[world.file().file_id]
    assert first[1] == second[1] == body
    assert first[0] != second[0]
    assert world.states() == ["delivered"]
    assert world.inbox() == [world.file().name]
    assert not [path for path in world.server.files if path.endswith(".part")], "a temporary file stays behind"


def test_a_name_that_is_taken_is_never_replaced(tmp_path: Path) -> None:
    """T3: a file of this name in the inbox keeps its bytes; ours is held for a person and nothing of it is uploaded."""
    world = DeliverWorld(tmp_path)
    target = f"inbox/{world.file().name}"
    world.server.files[target] = b"theirs"
    settle(world, 2)
    assert world.server.files == {target: b"theirs"}
    assert world.states() == ["sealed"]
    assert "already holds a file of this name" in world.file().held
    assert world.server.uploads == []


def test_a_name_that_is_taken_in_the_last_moment_is_never_replaced(tmp_path: Path) -> None:
    """T3: the same between our look and our rename: theirs stays, ours is in doubt, and is not sent again."""
    world = DeliverWorld(tmp_path)
    target = f"inbox/{world.file().name}"
    world.server.hooks["upload", "after"] = lambda: world.server.files.update({target: b"theirs"})
    settle(world, 3)
    assert world.server.files == {target: b"theirs"}
    assert world.states() == ["in_doubt"]
    assert world.file().note == "inbox holds another file of this name"
    assert len(world.server.uploads) == 1


@pytest.mark.parametrize(
    "error", [Unreachable("cut"), TimeoutError(), DeliveryFailed("no"), RuntimeError("?")], ids=repr
)
@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "link"])
@pytest.mark.parametrize(
    ("takes_to", "state"), [(None, "delivered"), ("archive", "delivered"), ("", "in_doubt"), ("elsewhere", "in_doubt")]
)
def test_a_rename_whose_answer_was_lost_is_settled_by_what_is_seen(
    tmp_path: Path, error: Exception, atomic: bool, takes_to: str | None, state: str
) -> None:
    """T5: the rename was done and the yes got lost: found in inbox or archive it is delivered, else in doubt; never a second upload."""
    world = DeliverWorld(tmp_path, sftp=sftp(rename_atomic=atomic))
    world.server.takes_to = takes_to
    world.server.faults = [Fault("rename", "after", error)]
    settle(world, 3)
    assert world.states() == [state]
    assert (len(world.server.uploads), len(world.server.placed)) == (1, 1)


@pytest.mark.parametrize(("atomic", "states"), [(True, "delivered"), (False, "in_doubt")])
def test_a_rename_that_never_came_to_the_server(tmp_path: Path, atomic: bool, states: str) -> None:
    """T5: removing the temporary file proves that no rename happened only where the acquirer's renames are atomic."""
    world = DeliverWorld(tmp_path, sftp=sftp(rename_atomic=atomic))
    world.server.faults = [Fault("rename", "before", Unreachable("cut"))]
    settle(world, 4)
    assert world.states() == [states]
    assert len(world.server.uploads) == (2 if atomic else 1)
    assert len(world.server.placed) == (1 if atomic else 0)


def test_a_link_that_breaks_after_a_confirmed_rename_takes_nothing_away(tmp_path: Path) -> None:
    """The server's yes to the rename is the evidence; that we could not look again makes no doubt of it."""
    world = DeliverWorld(tmp_path)
    world.server.takes_to = ""
    world.server.hooks["rename", "after"] = lambda: world.server.faults.append(
        Fault("stat", "before", Unreachable("cut"))
    )
    world.deliver()
    assert world.states() == ["delivered"]
    receipt = world.receipt(world.file())
    assert receipt is not None
    assert receipt.verified_by == "rename confirmed"


def test_an_archived_file_with_other_bytes_is_no_evidence(tmp_path: Path) -> None:
    """A file of our name that holds something else proves nothing: the state is in doubt and says why."""
    world = DeliverWorld(tmp_path, sftp=sftp(rename_atomic=True))
    world.server.files[f"archive/{world.file().name}"] = b"another"
    world.server.faults = [Fault("rename", "before", Unreachable("cut"))]
    settle(world, 3)
    assert world.states() == ["in_doubt"]
    assert world.file().note == "archive holds another file of this name"


def test_a_verdict_that_holds_the_file_does_not_send_it(tmp_path: Path) -> None:
    """When the last allowed attempt is proved not placed at take-over, the file waits for a person instead of leaving."""
    world = DeliverWorld(tmp_path, sftp=sftp(rename_atomic=True), retry=Retry(attempts=1))
    world.server.faults = [Fault("rename", "before", Unreachable("cut"))]
    settle(world, 4)
    assert world.states() == ["sealed"]
    assert world.file().held.startswith("1 attempts failed")
    assert len(world.server.uploads) == 1


def test_the_acquirers_answer_may_come_before_our_own_record(tmp_path: Path) -> None:
    """The acquirer names a file while its delivery is being recorded: its state stays, the receipt is kept, nothing is raised."""
    world = DeliverWorld(tmp_path, files=2)

    def acknowledged() -> None:
        file = world.change(1, state=str(FileState.DELIVERED), delivered_at=world.clock.now())
        with world.ledger.begin() as tx:
            tx.files.change(file, state=str(FileState.ACKNOWLEDGED))

    world.server.hooks["rename", "after"] = acknowledged
    world.deliver()
    assert world.states() == ["acknowledged", "delivered"]
    assert world.receipt(world.files()[0]) is not None
    assert [each.state for each in world.attempts(world.files()[0])] == ["done"]
