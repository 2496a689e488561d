"""A file in the acquirer's archive proves a delivery only when no earlier one of the same name and bytes can lie there."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from payments.errors import DeliveryFailed, Unreachable
from payments.keys import outbound_key
from payments.records import OutboundFile
from payments.remote_ports import RemoteFile
from tests.unit.transfer.deliver_world import DeliverWorld, Fault, Session, settle, sftp
from tests.unit.transfer.flight_world import FlightWorld

CUT = Unreachable("cut")


def archive_earlier(world: DeliverWorld, body: bytes | None = None) -> None:
    """What an earlier ledger sent under the same name."""
    file = world.files()[-1]
    world.server.files[f"archive/{file.name}"] = world.bodies[file.file_id] if body is None else body


@pytest.mark.parametrize("error", [CUT, DeliveryFailed("no"), RuntimeError("?")], ids=repr)
@pytest.mark.parametrize(("atomic", "state", "placed"), [(True, "delivered", 1), (False, "in_doubt", 0)])
def test_an_earlier_file_with_the_same_bytes_delivers_nothing(
    tmp_path: Path, error: Exception, atomic: bool, state: str, placed: int
) -> None:
    """A new ledger over an old archive, and the rename is cut: sent again where renames are atomic, else in doubt; no receipt."""
    world = DeliverWorld(tmp_path, sftp=sftp(rename_atomic=atomic))
    archive_earlier(world)
    world.server.faults = [Fault("rename", "before", error)]
    settle(world, 4)
    assert (world.states(), len(world.server.placed)) == ([state], placed)
    if not atomic:
        assert "a file of this name and size lay there before the rename" in world.file().note


@pytest.mark.parametrize(("atomic", "state"), [(True, "delivered"), (False, "in_doubt")])
def test_what_was_seen_outlives_the_worker(tmp_path: Path, atomic: bool, state: str) -> None:
    """The worker dies at its rename: whoever takes over, in a process of its own, knows that the archive proves nothing."""
    world = DeliverWorld(tmp_path, sftp=sftp(rename_atomic=atomic))
    archive_earlier(world)
    world.server.faults = [Fault("rename", "before", KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        world.deliver()
    world.restart()
    world.deliver("worker:2")
    world.check()
    assert world.states() == [state]
    assert len(world.server.placed) == (1 if atomic else 0)


def same_again(world: DeliverWorld) -> OutboundFile:
    """A second file of the ledger with the name and the bytes of the first."""
    first = world.files()[0]
    second, body = world.planned(2, name=first.name), world.bodies[first.file_id]
    world.store.put(outbound_key(second.acquirer, second.business_date, second.file_id, second.name), body)
    with world.ledger.begin() as tx:
        tx.files.add(replace(second, size=len(body), sha256=hashlib.sha256(body).hexdigest()))
    world.bodies[second.file_id] = body
    return second


def test_a_file_that_the_acquirer_archives_late_delivers_no_other(tmp_path: Path) -> None:
    """The first comes into the archive between our look there and the second's rename: the ledger knows that it left."""
    world = DeliverWorld(tmp_path, sftp=sftp())
    world.server.takes_to = "processing"
    world.deliver()
    second = same_again(world)
    files = world.server.files
    world.server.hooks["rename", "before"] = lambda: files.update(
        {f"archive/{second.name}": files.pop(f"processing/{second.name}")}
    )
    world.server.faults = [Fault("rename", "before", CUT)]
    world.deliver()
    world.later()
    world.deliver()
    assert (world.states(), len(world.server.placed)) == (["delivered", "in_doubt"], 1)
    assert world.receipt(second) is None
    assert "another file of this name, with the same bytes, may have left before" in world.files()[1].note


def test_an_archive_that_shows_nothing_before_proves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused when asked ahead, it is asked for nothing later; a delivery that needs no evidence is not stopped by it."""
    refused: list[str] = []
    honest = Session.stat

    def stat(session: Session, path: str) -> RemoteFile | None:
        if path.startswith("archive/") and len(refused) < 2:
            refused.append(path)
            raise DeliveryFailed("permission denied")
        return honest(session, path)

    monkeypatch.setattr(Session, "stat", stat)
    world = DeliverWorld(tmp_path, files=2, sftp=sftp())
    archive_earlier(world)
    world.server.hooks["rename", "after"] = lambda: world.server.faults.append(Fault("rename", "before", CUT))
    settle(world, 3)
    assert world.states() == ["delivered", "in_doubt"]
    assert "did not let us look there before the rename" in world.files()[1].note


def test_an_archive_whose_file_is_replaced_by_ours_is_still_evidence(tmp_path: Path) -> None:
    """One name every day: what lay there before had another size, so what has our bytes now is ours; no remark stays."""
    world = DeliverWorld(tmp_path, sftp=sftp())
    archive_earlier(world, b"yesterday")
    world.server.takes_to = "archive"
    world.server.faults = [Fault("rename", "after", CUT)]
    settle(world, 2)
    assert (world.states(), len(world.server.placed)) == (["delivered"], 1)


def test_a_delivery_that_needs_no_evidence_leaves_no_remark(tmp_path: Path) -> None:
    """An earlier file in the archive stops nothing: the rename was confirmed, and the attempt ends as any other."""
    world = DeliverWorld(tmp_path, sftp=sftp())
    archive_earlier(world)
    world.deliver()
    (attempt,) = world.attempts(world.file())
    assert (world.states(), attempt.state, attempt.error) == (["delivered"], "done", "")


@pytest.mark.parametrize("archive", ["archive", ""])
@pytest.mark.parametrize("sequence", ["strict", "free"])
def test_the_look_is_one_request_and_none_without_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: str, sequence: str
) -> None:
    """Asked while others upload, before the file is next in turn, and only of acquirers that have an archive."""
    asked: list[str] = []
    honest = Session.stat

    def stat(session: Session, path: str) -> RemoteFile | None:
        asked.append(path)
        return honest(session, path)

    monkeypatch.setattr(Session, "stat", stat)
    way = msgspec.structs.replace(sftp(files_in_flight=4), archive=archive)
    world = FlightWorld(tmp_path, files=6, sftp=way, sequence=sequence)
    with contextlib.suppress(Unreachable):
        world.fly(3)
    assert world.states() == ["delivered"] * 6
    others = [path for path in asked if not path.startswith("inbox/")]
    assert sorted(others) == [f"archive/{file.name}" for file in world.files() if archive]
