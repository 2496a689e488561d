"""The delivery state machine over a mounted directory and a bucket: placed once, never replaced, in doubt without evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from payments.config_drops import BucketDrop, DirectoryDrop
from payments.config_files import AfterRename
from payments.config_results import Results
from payments.errors import Unreachable
from payments.remote_ports import RemoteDrop
from runtime import aws, drop_s3
from tests.servers.moto import moto
from tests.unit.transfer.deliver_world import DeliverWorld
from transfer import drop_directory
from transfer.collect import CollectPorts, collect
from transfer.deliver import deliver, due_files


class Side:
    """One acquirer's place, from both sides. `broken` goes wrong once, before or after the decisive act."""

    def __init__(self, settings: DirectoryDrop | BucketDrop, client: Any = None) -> None:
        self.settings = settings
        self.client = client
        self.broken = ""
        self.lost_at = ""  # the target of a rename that is done and never answered

    @contextmanager
    def connect(self) -> Iterator[RemoteDrop]:
        if isinstance(self.settings, DirectoryDrop):
            with drop_directory.connect(self.settings) as drop:
                yield Cut(drop, self)  # type: ignore[misc]
        else:
            with drop_s3.connect(self.settings, access_key="testing", secret_key="testing") as drop:
                yield Cut(drop, self)  # type: ignore[misc]

    def inbox(self) -> dict[str, bytes]:
        if self.client is None:
            folder = Path(self.settings.path) / "inbox"  # type: ignore[union-attr]
            return {each.name: each.read_bytes() for each in folder.iterdir()}
        found = self.client.list_objects_v2(Bucket="delivery", Prefix="inbox/").get("Contents", [])
        return {
            each["Key"][6:]: self.client.get_object(Bucket="delivery", Key=each["Key"])["Body"].read() for each in found
        }

    def put(self, path: str, data: bytes) -> None:
        if self.client is None:
            (Path(self.settings.path) / path).write_bytes(data)  # type: ignore[union-attr]
        else:
            self.client.put_object(Bucket="delivery", Key=path, Body=data)

    def take(self, name: str) -> None:
        """The acquirer takes a file away at once."""
        if self.client is None:
            (Path(self.settings.path) / "inbox" / name).unlink()  # type: ignore[union-attr]
        else:
            self.client.delete_object(Bucket="delivery", Key=f"inbox/{name}")

    def outbox(self) -> list[str]:
        with self.connect() as drop:
            return [each.name for each in drop.listing("outbox")]


class Cut:
    """The drop with a link that breaks around the decisive act. The session is over then."""

    def __init__(self, drop: RemoteDrop, side: Side) -> None:
        self._drop, self._side = drop, side

    def rename(self, temporary: str, target: str) -> None:
        broken, self._side.broken = self._side.broken, ""
        if broken == "before":
            raise Unreachable("cut before the rename")
        self._drop.rename(temporary, target)
        if target == self._side.lost_at:
            self._side.lost_at = ""
            raise Unreachable("cut after the rename")
        if broken:
            if broken == "after, taken":
                self._side.take(target.rpartition("/")[2])
            raise Unreachable("cut after the rename")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drop, name)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto() as found:
        yield found


@pytest.fixture(params=["directory", "directory by links", "bucket"])
def side(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Side]:
    if request.param == "bucket":
        endpoint = request.getfixturevalue("endpoint")
        client = aws.client("s3", endpoint=endpoint, in_region="eu-central-1", keys=("testing", "testing"))
        client.create_bucket(Bucket="delivery", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield Side(BucketDrop(url="s3://delivery", endpoint=endpoint, region="eu-central-1"), client)
        for each in client.list_objects_v2(Bucket="delivery").get("Contents", []):
            client.delete_object(Bucket="delivery", Key=each["Key"])
        client.delete_bucket(Bucket="delivery")
        client.close()
        return
    for folder in ("inbox", "outbox", "taken"):
        (tmp_path / "mounted" / folder).mkdir(parents=True)
    if request.param == "directory by links":
        monkeypatch.setattr("transfer.rename_once._renameat2", lambda: None)
    yield Side(DirectoryDrop(path=str(tmp_path / "mounted")))


Make = Callable[..., DeliverWorld]


@pytest.fixture
def make(side: Side, tmp_path: Path) -> Make:
    way = "directory" if isinstance(side.settings, DirectoryDrop) else "s3"

    def made(files: int = 1, **more: Any) -> DeliverWorld:
        settings: dict[str, Any] = {"sftp": None, way: side.settings, **more}
        return DeliverWorld(tmp_path / "world", files=files, **settings)

    return made


def run(world: DeliverWorld, side: Side) -> bool:
    world.restart()
    done = deliver(world.ports(connect=side.connect))
    world.later()
    return done


def bodies(world: DeliverWorld) -> dict[str, bytes]:
    return {file.name: world.bodies[file.file_id] for file in world.files()}


def test_files_are_placed_once_and_whole(make: Make, side: Side) -> None:
    """Every file lies in the inbox under its name with its sealed bytes, nothing else does, and each has its receipt."""
    world = make(3)
    run(world, side)
    run(world, side)
    assert world.states() == ["delivered"] * 3
    assert side.inbox() == bodies(world)
    for file in world.files():
        receipt = world.receipt(file)
        assert receipt is not None
        assert (receipt.sha256, receipt.remote_path) == (file.sha256, f"inbox/{file.name}")
        assert receipt.host_key.startswith("none: ")


def test_bytes_are_read_back_from_a_share_where_that_is_asked_for(make: Make, side: Side) -> None:
    """`verify = read_back` works before the rename, on a directory; a bucket compares a checksum itself."""
    if side.client is not None:
        return
    world = make(verify="read_back")
    run(world, side)
    receipt = world.receipt(world.file())
    assert receipt is not None
    assert "read back" in receipt.verified_by
    assert side.inbox() == bodies(world)


def test_a_file_of_somebody_else_under_our_name_is_never_replaced(make: Make, side: Side) -> None:
    """T3: the file is held for a person, and theirs keeps its bytes."""
    world = make()
    side.put(f"inbox/{world.file().name}", b"theirs")
    run(world, side)
    assert (world.file().state, bool(world.file().held)) == ("sealed", True)
    assert list(side.inbox().values()) == [b"theirs"]


def test_when_the_answer_is_lost_what_lies_there_decides(make: Make, side: Side) -> None:
    """T5: placed and the answer lost; the next turn compares the bytes, and sends nothing again."""
    world = make(2)
    side.broken = "after"
    run(world, side)
    run(world, side)
    run(world, side)
    assert world.states() == ["delivered", "delivered"]
    assert side.inbox() == bodies(world)
    receipt = world.receipt(world.files()[0])
    assert receipt is not None
    assert "bytes compared" in receipt.verified_by


@pytest.mark.parametrize("broken", ["before", "after, taken"])
def test_without_evidence_the_file_is_in_doubt(make: Make, side: Side, broken: str) -> None:
    """T5: nowhere to be seen after a lost answer: no second upload, whether it had been placed or not."""
    world = make(2)
    side.broken = broken
    for _ in range(3):
        run(world, side)
    assert world.states() == ["in_doubt", "sealed"]
    assert side.inbox() == {}


def test_a_definite_no_leaves_the_file_to_be_tried_again(
    make: Make, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused by the other side: with the proof that nothing was placed it goes out later, else a person is asked."""
    world = make()
    if side.client is None:
        monkeypatch.setattr("transfer.rename_once._in_one_step", lambda *_: 13)
        expected = "in_doubt"  # a rename that may take two steps proves nothing
    else:
        monkeypatch.setattr("runtime.drop_s3.put_new", refused)
        expected = "sealed"
    run(world, side)
    assert (world.file().state, side.inbox()) == (expected, {})
    monkeypatch.undo()
    run(world, side)
    assert side.inbox() == (bodies(world) if expected == "sealed" else {})


def refused(*_: Any) -> Any:
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403, "RetryAttempts": 0}}
    raise ClientError(answer, "PutObject")


def test_results_are_collected_and_put_away(make: Make, side: Side) -> None:
    """The same polls as over SFTP: stable, stored, moved to the archive without replacing anything."""
    world = make(results=Results(names=["*.ack"], after="move", archive="taken"))
    ports = CollectPorts(world.ledger, world.store, world.clock, world.acquirer, side.connect, world.spool)
    side.put("taken/a.ack", b"older")
    side.put("outbox/a.ack", b"answer")
    assert [collect(ports), collect(ports), collect(ports)] == [0, 1, 0]
    with world.ledger.begin() as tx:
        (result,) = tx.results.find()
    assert world.store.get(result.key) == b"answer"
    assert side.outbox() == []
    with side.connect() as drop:
        assert [each.name for each in drop.listing("taken")] == ["a.ack", f"a.ack.{result.sha256[:12]}"]


@pytest.mark.parametrize("write", ["marker", "checksum"])
def test_a_companion_lies_beside_every_file(make: Make, side: Side, write: Literal["marker", "checksum"]) -> None:
    """A marker is empty, a checksum file as sha256sum writes it; nothing else is left, and nothing is left to do."""
    world = make(2, after_rename=AfterRename(write=write), sequence="strict")
    run(world, side)
    found = side.inbox()
    for name, body in bodies(world).items():
        assert found.pop(name) == body
        line = f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode()
        assert found.pop(f"{name}.done" if write == "marker" else f"{name}.sha256") == (
            b"" if write == "marker" else line
        )
    assert found == {}
    with world.ledger.look() as tx:
        assert [each.state for each in tx.companions.find()] == ["placed", "placed"]
        assert due_files(tx, world.acquirer, world.clock.now()) == []


def test_a_companion_whose_answer_was_lost_is_found_there(make: Make, side: Side) -> None:
    """The file is delivered; its marker's answer is lost; the next turn compares bytes and places no second one."""
    world = make(2, after_rename=AfterRename(write="checksum"), sequence="strict")
    side.lost_at = f"inbox/{world.files()[0].name}.sha256"
    run(world, side)
    assert world.states() == ["delivered", "sealed"]
    run(world, side)
    assert world.states() == ["delivered", "delivered"]
    assert len(side.inbox()) == 4
    with world.ledger.look() as tx:
        assert [each.state for each in tx.companions.find()] == ["placed", "placed"]
