"""Many files on their way at once: each as safe as alone, in order where the acquirer wants order, none stopping another."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.errors import Busy
from payments.states import FileState
from tests.unit.transfer.deliver_world import settle, sftp
from tests.unit.transfer.flight_world import FlightWorld
from tests.unit.transfer.mortal import Fate, Killed


def world_of(folder: Path, files: int, width: int = 4, *, atomic: bool = True, **changes: Any) -> FlightWorld:
    return FlightWorld(folder, files=files, sftp=sftp(files_in_flight=width, rename_atomic=atomic), **changes)


@pytest.mark.parametrize("sequence", ["strict", "free"])
@pytest.mark.parametrize("width", [1, 2, 5, 64])
def test_all_files_leave_over_one_session_and_no_more_than_allowed_at_once(
    tmp_path: Path, sequence: str, width: int
) -> None:
    """Twelve files are placed by one session; at most so many are uploading, and as many again are being renamed."""
    world = world_of(tmp_path, 12, width, sequence=sequence)
    sky = world.fly(seed=width)
    world.check()
    assert world.states() == ["delivered"] * 12
    assert world.server.connects == 1
    assert world.leftovers() == []
    assert sky.most <= (2 * width if width > 1 else 1)
    if width > 1:
        assert sky.most > 1, "nothing was done side by side"


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_strict_order_uploads_end_in_any_order_and_renames_in_one(tmp_path: Path, seed: int) -> None:
    """However the uploads overtake each other, the files appear in the inbox by number."""
    shutil.rmtree(tmp_path / "world", ignore_errors=True)
    world = world_of(tmp_path / "world", 6)
    world.fly(seed)
    assert [name for name, _ in world.server.placed] == [f"inbox/{file.name}" for file in world.files()]
    world.check()
    world.engine.dispose()


def test_what_was_uploaded_ahead_behind_a_failure_is_given_back(tmp_path: Path) -> None:
    """Strict: number 2 fails; 1 is delivered, 3 and 4 are sealed again at once, without a temporary file and without blame."""
    world = world_of(tmp_path, 4)
    taken = f"inbox/.{world.files()[1].file_id}-1.part"
    world.server.files[taken] = b"somebody's"
    world.fly()
    world.check()
    assert world.states() == ["delivered", "sealed", "sealed", "sealed"]
    assert [each.state for each in world.attempts(world.files()[1])] == ["failed"]
    for file in world.files()[2:]:
        assert [each.state for each in world.attempts(file)] in ([], ["revoked"])
        assert (file.next_attempt_at, file.held, file.note) == (None, "", "")
    assert world.leftovers() == []


def test_behind_a_file_that_failed_before_nothing_is_uploaded_ahead(tmp_path: Path) -> None:
    """Strict: number 1 fails again and again; the files behind it are uploaded ahead once, not at every try."""
    world = world_of(tmp_path, 3)
    for _ in range(4):
        world.server.files[f"inbox/.{world.files()[0].file_id}-{world.files()[0].attempts + 1}.part"] = b"theirs"
        world.fly()
        world.later()
    assert all(len(world.attempts(file)) <= 1 for file in world.files()[1:])
    world.fly()
    assert world.states() == ["delivered"] * 3
    world.check()


def test_a_failure_stops_no_neighbour(tmp_path: Path) -> None:
    """Free: of ten files three names are taken; these three are held, the other seven are delivered by the same session."""
    world = world_of(tmp_path, 10, sequence="free")
    for file in world.files()[2:5]:
        world.server.files[f"inbox/{file.name}"] = b"theirs"
    world.fly()
    assert [file.state for file in world.files()].count("delivered") == 7
    assert all(file.held for file in world.files()[2:5])
    assert world.server.connects == 1


def test_a_write_that_fails_fails_alone(tmp_path: Path) -> None:
    """A person cancels one of four files that start in one transaction: the other three start and are delivered."""
    world = world_of(tmp_path, 4, sequence="free")

    def cancelled() -> None:
        world.change(3, state=str(FileState.CANCELLED))

    world.server.hooks["connect", "before"] = cancelled
    world.fly()
    assert world.states() == ["delivered", "delivered", "cancelled", "delivered"]
    assert world.attempts(world.files()[2]) == []
    assert world.server.connects == 1, "the others had to come again"


@given(
    st.integers(0, 10_000),
    st.integers(0, 30),
    st.sampled_from(["strict", "free"]),
    st.booleans(),
    st.sampled_from([None, "archive", ""]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_link_that_breaks_leaves_every_file_placed_once_or_known(
    tmp_path: Path, seed: int, cut_after: int, sequence: str, atomic: bool, takes_to: str | None
) -> None:
    """Cut at any moment, with any of the requests under way done or not: nothing is placed twice and every file gets a verdict."""
    shutil.rmtree(tmp_path / "world", ignore_errors=True)
    world = world_of(tmp_path / "world", 5, 3, atomic=atomic, sequence=sequence)
    world.server.takes_to = takes_to
    world.fly(seed, cut_after=cut_after)
    world.check()
    for turn in range(8):
        world.later()
        world.fly(seed + turn)
        world.check()
    if sequence == "free" or atomic:
        assert FileState.DELIVERING not in world.states()
    for file in world.files():
        assert sum(name == f"inbox/{file.name}" for name, _ in world.server.placed) <= 1
        if file.state == FileState.SEALED and not file.held:
            assert sequence == "strict"
            assert "in_doubt" in world.states()
    if atomic and takes_to is None:
        assert world.states() == ["delivered"] * 5
    world.engine.dispose()


@pytest.mark.parametrize("sequence", ["strict", "free"])
def test_killed_at_any_point_with_many_files_under_way(tmp_path: Path, sequence: str) -> None:
    """Dead at any act or transaction and taken over, each of three files is in the inbox once."""
    fate = Fate()
    world_of(tmp_path / "0", 3, sequence=sequence).fly(7, fate=fate)
    for dies_at in range(1, fate.passed + 1):
        world = world_of(tmp_path / str(dies_at), 3, sequence=sequence)
        with contextlib.suppress(Killed):  # lots fall anew in each run, so the last points may not be reached
            world.fly(7, fate=Fate(dies_at))
        world.check()
        world.restart()
        settle(world, 3)
        assert world.states() == ["delivered"] * 3, f"died at {dies_at}"
        world.engine.dispose()


def test_taken_over_in_mid_flight_nothing_is_placed_twice(tmp_path: Path) -> None:
    """Another worker takes all files over while they are uploading: the first places none of them again."""
    world = world_of(tmp_path, 4, sequence="free")

    def taken_over() -> None:
        world.restart()
        world.fly(3, holder="worker:2")

    world.server.hooks["upload", "after"] = taken_over
    with contextlib.suppress(Busy):  # it no longer holds its lease
        world.fly(1)
    world.check()
    settle(world, 2)
    assert world.states() == ["delivered"] * 4
    assert len(world.server.placed) == 4
    assert world.leftovers() == []
