"""Deliver: which files leave when, in which order, after which pause, and what holds them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

import payments.leasing
from payments.config import Retry
from payments.errors import DeliveryFailed, HostKeyRefused, Unreachable
from payments.keys import file_chain, outbound_key
from payments.states import FileState
from runtime.ledger.audit import audit_records
from tests.unit.transfer.assemble_world import START
from tests.unit.transfer.deliver_world import DeliverWorld, Fault
from transfer.deliver import blocked_by, due_files


def test_a_due_file_is_placed_with_a_receipt(tmp_path: Path) -> None:
    """A sealed file lies in the inbox byte by byte, the receipt says where, and its results have a due time."""
    world = DeliverWorld(tmp_path)
    assert world.deliver()
    file = world.file()
    assert world.server.files == {f"inbox/{file.name}": world.bodies[file.file_id]}
    assert file.delivered_at == START
    assert file.results_due_at == START + timedelta(seconds=world.acquirer.results.due_after_s)
    receipt = world.receipt(file)
    assert receipt is not None
    assert (receipt.remote_path, receipt.verified_by) == (f"inbox/{file.name}", "rename confirmed, size compared")
    with world.engine.connect() as connection:
        assert [each.act for each in audit_records(connection, file_chain(file.file_id))] == ["delivering", "delivered"]
    world.check()


def test_files_leave_in_the_order_of_their_numbers_over_one_connection(tmp_path: Path) -> None:
    """Five due files are placed one after the other, by number, on a single session."""
    world = DeliverWorld(tmp_path, files=5)
    world.deliver()
    assert [name for name, _ in world.server.placed] == [f"inbox/{file.name}" for file in world.files()]
    assert world.server.connects == 1
    world.deliver()
    assert world.server.connects == 1, "nothing due, nobody is called"
    world.check()


@pytest.mark.parametrize(
    "blocking",
    [
        {"state": "in_doubt"},
        {"state": "cancelled"},
        {"state": "planned"},
        {"held": "limit: 3 payments, at most 2"},
        {"next_attempt_at": START + timedelta(minutes=1)},
    ],
    ids=lambda each: next(iter(each.values())) if isinstance(next(iter(each.values())), str) else "waiting",
)
@pytest.mark.parametrize("sequence", ["strict", "free"])
def test_in_strict_order_a_file_that_cannot_leave_blocks_those_behind_it(
    tmp_path: Path, blocking: dict[str, object], sequence: str
) -> None:
    """Strict: only what comes before the blocked number leaves, and people are told which file blocks; free: all others leave."""
    world = DeliverWorld(tmp_path, files=3, sequence=sequence)
    world.change(2, **blocking)
    world.deliver()
    kept = str(blocking.get("state", "sealed"))
    assert world.states() == ["delivered", kept, "sealed" if sequence == "strict" else "delivered"]
    with world.ledger.begin() as tx:
        said = blocked_by(tx, world.acquirer, world.clock.now())
    assert said.startswith(f"{world.files()[1].name} (") if sequence == "strict" else said == ""


@pytest.mark.parametrize("state", ["delivered", "acknowledged", "refused", "not_received", "reconciled"])
def test_a_settled_number_blocks_nobody(tmp_path: Path, state: str) -> None:
    """What is with the acquirer, refused or proved not received has had its turn."""
    world = DeliverWorld(tmp_path, files=3)
    world.change(1, state=state)
    world.deliver()
    assert world.states() == [state, "delivered", "delivered"]


def test_a_replacement_takes_the_turn_of_the_cancelled_file(tmp_path: Path) -> None:
    """A cancelled number blocks until its replacement is there, and the replacement leaves in that place."""
    world = DeliverWorld(tmp_path, files=2)
    world.change(1, state=str(FileState.CANCELLED))
    world.deliver()
    assert world.server.placed == []
    replacement = world.planned(1, generation=2)
    world.bodies[replacement.file_id] = world.seal(replacement)
    world.deliver()
    assert world.states() == ["cancelled", "delivered", "delivered"]
    assert [name for name, _ in world.server.placed] == [f"inbox/{file.name}" for file in world.files()[1:]]


def test_attempts_are_spread_and_the_last_one_holds_the_file(tmp_path: Path) -> None:
    """Pauses grow by the factor up to the longest; before they are over nobody is called; after the last try a person is asked."""
    world = DeliverWorld(tmp_path, retry=Retry(first_s=60, factor=3, longest_s=600, attempts=5))
    pauses = []
    for number in range(1, 6):
        world.server.faults = [Fault("upload", "half", DeliveryFailed("disk full"))]
        world.deliver()
        file = world.file()
        assert (file.attempts, file.state) == (number, "sealed")
        assert file.next_attempt_at is not None
        pauses.append((file.next_attempt_at - world.clock.now()).total_seconds())
        calls = world.server.connects
        world.later(pauses[-1] - 1)
        world.deliver()
        assert world.server.connects == calls, "called before the pause was over"
        world.later(1)
    assert pauses == [60, 180, 540, 600, 600]
    assert world.file().held == "5 attempts failed, the last: disk full"
    world.later()
    world.deliver()
    assert world.server.connects == 5
    world.check()


@pytest.mark.parametrize("error", [Unreachable("no route"), HostKeyRefused("another key")])
def test_a_server_that_cannot_be_reached_makes_all_files_wait(tmp_path: Path, error: Exception) -> None:
    """One failed connection makes every due file wait, so that retries cannot lock an account; it is no attempt of any of them."""
    world = DeliverWorld(tmp_path, files=3)
    world.server.faults = [Fault("connect", "before", error)]
    world.deliver()
    assert [(file.state, file.attempts, file.note) for file in world.files()] == [("sealed", 0, str(error))] * 3
    world.deliver()
    assert world.server.connects == 1
    world.later(60)
    world.deliver()
    assert world.states() == ["delivered"] * 3
    world.check()


def test_changed_bytes_never_leave(tmp_path: Path) -> None:
    """A file whose stored bytes are not those that were sealed is held, nothing of it is sent, its neighbours go."""
    world = DeliverWorld(tmp_path, files=2, sequence="free")
    file = world.files()[0]
    key = outbound_key(file.acquirer, file.business_date, file.file_id, file.name)
    (tmp_path / "store" / key).chmod(0o600)
    (tmp_path / "store" / key).write_bytes(b"tampered")
    world.deliver()
    assert world.states() == ["sealed", "delivered"]
    assert "the stored bytes are not those that were sealed" in world.files()[0].held
    assert [name for name, _ in world.server.uploads] == [f"inbox/.{world.files()[1].file_id}-1.part"]


def test_a_verdict_that_cannot_be_found_stops_no_neighbour(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file whose lost rename cannot be looked into now waits for its next turn; the others leave, and no canary is logged."""
    world = DeliverWorld(tmp_path, files=2, sequence="free")
    world.server.faults = [
        Fault("rename", "before", Unreachable("cut off")),
        Fault("remove", "before", ValueError("canary DE89370400440532013000")),
    ]
    world.deliver()
    assert world.states() == ["delivering", "sealed"]
    world.later(600)
    world.deliver()
    assert world.states() == ["delivering", "delivered"]
    waiting = world.files()[0]
    assert waiting.next_attempt_at is not None
    assert waiting.next_attempt_at > world.clock.now()
    assert "DE89" not in caplog.text + waiting.note
    world.later()
    world.deliver()
    assert world.states() == ["in_doubt", "delivered"]
    world.check()


@pytest.mark.parametrize("change", [{"held": "held by anna"}, {"state": "cancelled"}])
def test_a_person_who_is_quicker_than_the_attempt_wins(tmp_path: Path, change: dict[str, str]) -> None:
    """A file held or cancelled between the look at the ledger and the attempt does not leave."""
    world = DeliverWorld(tmp_path)
    world.server.hooks["connect", "before"] = lambda: world.change(1, **change)
    world.deliver()
    assert world.server.uploads == []
    assert world.file().attempts == 0


def test_a_lease_lasts_as_long_as_the_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload that takes longer than a lease is not taken over by the next worker that is woken: it ends delivered."""
    import time

    monkeypatch.setattr(payments.leasing, "TTL", timedelta(seconds=0.4))
    monkeypatch.setattr("transfer.deliver.TTL", timedelta(seconds=0.4))
    world = DeliverWorld(tmp_path)
    said = []

    def slow() -> None:
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            said.append(world.deliver("worker:2"))
            time.sleep(0.05)

    world.server.hooks["upload", "half"] = slow
    assert world.deliver()
    assert set(said) == {False}
    assert world.states() == ["delivered"]
    assert len(world.server.uploads) == 1
    world.check()


def test_who_finds_the_lease_taken_leaves_the_work_to_its_holder(tmp_path: Path) -> None:
    """A second worker does nothing; a file sealed meanwhile is seen by the first before it lets go."""
    world = DeliverWorld(tmp_path, sequence="free")

    def sealed_meanwhile() -> None:
        file = world.planned(2)
        world.bodies[file.file_id] = world.seal(file)
        assert not world.deliver("worker:2")

    world.server.hooks["rename", "after"] = sealed_meanwhile
    assert world.deliver()
    assert world.states() == ["delivered", "delivered"]
    world.check()


def test_due_files_are_told_without_changing_anything(tmp_path: Path) -> None:
    """A look says which files may leave now, by number, and is no attempt."""
    world = DeliverWorld(tmp_path, files=3)
    with world.ledger.begin() as tx:
        assert [file.sequence for file in due_files(tx, world.acquirer, world.clock.now())] == [1, 2, 3]
    assert [file.revision for file in world.files()] == [0, 0, 0]
