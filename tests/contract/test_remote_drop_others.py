"""The contract of RemoteDrop, kept by a mounted directory (in one step and by links) and by a bucket of the acquirer."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from payments.config_drops import BucketDrop, DirectoryDrop
from payments.errors import DeliveryFailed, NotAllowed, TargetExists, Unreachable
from payments.remote_ports import RemoteDrop, RemoteFile
from runtime import aws, drop_s3
from runtime.drop_s3_errors import acting
from tests.servers.moto import CREDENTIALS, moto
from transfer import drop_directory


@dataclass
class FolderSide:
    """The acquirer's side of a mounted directory."""

    root: Path
    settings: DirectoryDrop

    def open(self) -> Any:
        return drop_directory.connect(self.settings)

    def put(self, path: str, data: bytes) -> None:
        (self.root / path).write_bytes(data)

    def take(self, path: str) -> bytes:
        return (self.root / path).read_bytes()


@dataclass
class BucketSide:
    """The acquirer's side of a bucket."""

    client: Any
    settings: BucketDrop

    def open(self) -> Any:
        return drop_s3.connect(self.settings, access_key="testing", secret_key="testing")

    def put(self, path: str, data: bytes) -> None:
        self.client.put_object(Bucket="partner", Key=f"deep/{path}", Body=data)

    def take(self, path: str) -> bytes:
        found: bytes = self.client.get_object(Bucket="partner", Key=f"deep/{path}")["Body"].read()
        return found


Side = FolderSide | BucketSide


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto() as found:
        yield found


@contextmanager
def bucket_side(endpoint: str) -> Iterator[BucketSide]:
    keys = (CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    client = aws.client("s3", endpoint=endpoint, in_region="eu-central-1", keys=keys)
    client.create_bucket(Bucket="partner", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield BucketSide(client, BucketDrop(url="s3://partner/deep/", endpoint=endpoint, region="eu-central-1"))
    for each in client.list_objects_v2(Bucket="partner").get("Contents", []):
        client.delete_object(Bucket="partner", Key=each["Key"])
    client.delete_bucket(Bucket="partner")
    client.close()


@pytest.fixture(params=["directory", "directory by links", "bucket"])
def side(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Side]:
    if request.param == "bucket":
        with bucket_side(request.getfixturevalue("endpoint")) as found:
            yield found
        return
    root = tmp_path / "mounted"
    for folder in ("inbox", "outbox"):
        (root / folder).mkdir(parents=True)
    if request.param == "directory by links":
        monkeypatch.setattr("transfer.rename_once._renameat2", lambda: None)
    yield FolderSide(root, DirectoryDrop(path=str(root)))


@pytest.fixture
def drop(side: Side) -> Iterator[RemoteDrop]:
    with side.open() as opened:
        yield opened


def write(path: Path, size: int) -> bytes:
    data = random.Random(size).randbytes(size)
    path.write_bytes(data)
    return data


@pytest.mark.parametrize("size", [0, 1, 3_000_001])
def test_a_file_arrives_and_comes_back_byte_by_byte(drop: RemoteDrop, side: Side, tmp_path: Path, size: int) -> None:
    """What is uploaded and renamed lies with the acquirer with the same bytes, and a download brings them back."""
    data = write(tmp_path / "out", size)
    drop.upload(tmp_path / "out", "inbox/.a.tmp")
    found = drop.stat("inbox/.a.tmp")
    assert found is not None
    assert (found.name, found.size) == (".a.tmp", size)
    drop.rename("inbox/.a.tmp", "inbox/a")
    assert drop.stat("inbox/.a.tmp") is None
    assert side.take("inbox/a") == data
    drop.download("inbox/a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_before_the_rename_the_acquirer_sees_no_file_by_its_name(drop: RemoteDrop, tmp_path: Path) -> None:
    """T4: an upload alone places nothing, and its bytes can be read back before the rename."""
    data = write(tmp_path / "out", 70_000)
    drop.upload(tmp_path / "out", "inbox/.a.tmp")
    (tmp_path / "out").unlink()  # the store's copy may go at once
    assert drop.stat("inbox/a") is None
    drop.download("inbox/.a.tmp", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_an_upload_never_touches_a_name_that_is_in_use(drop: RemoteDrop, tmp_path: Path) -> None:
    """A taken temporary name is refused."""
    write(tmp_path / "out", 100)
    drop.upload(tmp_path / "out", "inbox/.a.tmp")
    with pytest.raises(DeliveryFailed):
        drop.upload(tmp_path / "out", "inbox/.a.tmp")


def test_a_local_file_that_is_missing_is_no_fault_of_the_acquirer(drop: RemoteDrop, tmp_path: Path) -> None:
    """When our own file cannot be read the error says so, and nothing appears."""
    with pytest.raises(DeliveryFailed, match="this machine could not open a file to upload"):
        drop.upload(tmp_path / "absent", "inbox/.a.tmp")
    assert drop.stat("inbox/.a.tmp") is None


def test_a_rename_never_replaces(drop: RemoteDrop, side: Side, tmp_path: Path) -> None:
    """T3: a target that is taken keeps its bytes, and our file can still be taken back."""
    write(tmp_path / "out", 100)
    side.put("inbox/a", b"theirs")
    drop.upload(tmp_path / "out", "inbox/.a.tmp")
    with pytest.raises(TargetExists, match="'inbox/a' exists already"):
        drop.rename("inbox/.a.tmp", "inbox/a")
    assert side.take("inbox/a") == b"theirs"
    assert drop.remove("inbox/.a.tmp") is True


def test_a_result_can_be_moved_to_an_archive(drop: RemoteDrop, side: Side) -> None:
    """A file of the acquirer moves with its bytes; a name that is taken there stops it."""
    side.put("outbox/a", b"first")
    drop.rename("outbox/a", "inbox/kept")
    assert side.take("inbox/kept") == b"first"
    assert drop.stat("outbox/a") is None
    side.put("outbox/a", b"")
    with pytest.raises(TargetExists):
        drop.rename("outbox/a", "inbox/kept")
    drop.rename("outbox/a", "inbox/empty")
    assert side.take("inbox/empty") == b""
    with pytest.raises(DeliveryFailed):
        drop.rename("outbox/a", "inbox/other")


def test_remove_tells_whether_it_was_there(drop: RemoteDrop, side: Side) -> None:
    """Removing gives True once, and False when there is nothing to remove."""
    side.put("inbox/a", b"12345")
    assert drop.remove("inbox/a") is True
    assert drop.remove("inbox/a") is False
    assert drop.remove("inbox/b/c") is False


def test_a_listing_holds_files_in_order(drop: RemoteDrop, side: Side) -> None:
    """Names come ordered, with their sizes; what lies deeper is left out, links and pipes are told as such."""
    names = [f"file {number:03}" for number in range(30)]
    for name in random.Random(1).sample(names, len(names)):
        side.put(f"outbox/{name}", b"x" * int(name[-3:]))
    if isinstance(side, FolderSide):
        (side.root / "outbox/deeper").mkdir()
        (side.root / "outbox/link").symlink_to(side.root / "outbox" / names[0])
        os.mkfifo(side.root / "outbox/pipe")
    side.put("outbox/deeper/b", b"x")
    found = drop.listing("outbox")
    assert [(each.name, each.size) for each in found if each.plain] == [(name, int(name[-3:])) for name in names]
    strange = ["link", "pipe"] if isinstance(side, FolderSide) else []
    assert [each.name for each in found if not each.plain] == strange


def test_a_listing_has_a_limit(drop: RemoteDrop, side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """More entries than allowed are refused as a whole."""
    monkeypatch.setattr("transfer.drop_directory.LISTING_MAX", 3)
    monkeypatch.setattr("runtime.drop_s3.LISTING_MAX", 3)
    for name in "abcde":
        side.put(f"outbox/{name}", b"1")
    with pytest.raises(DeliveryFailed, match="more than 3 entries"):
        drop.listing("outbox")


def test_a_download_has_a_limit(drop: RemoteDrop, side: Side, tmp_path: Path) -> None:
    """A file above the limit is refused, and nothing stays here."""
    side.put("outbox/a", b"12345")
    with pytest.raises(DeliveryFailed, match="has 5 bytes, more than the 4 allowed"):
        drop.download("outbox/a", tmp_path / "back", bytes_max=4)
    assert not (tmp_path / "back").exists()


def test_a_failed_download_leaves_nothing_behind(drop: RemoteDrop, tmp_path: Path) -> None:
    """Without a whole file there is no local file, not even an older one of that name."""
    (tmp_path / "back").write_bytes(b"older")
    with pytest.raises(DeliveryFailed, match="no such file"):
        drop.download("outbox/absent", tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("path", ["", "inbox/a\0b", "../a", "inbox/../../a", "/etc/passwd", "inbox//a"])
def test_a_path_that_leads_elsewhere_is_refused(drop: RemoteDrop, tmp_path: Path, path: str) -> None:
    """T13: no path leaves the acquirer's place, whatever is asked of it."""
    write(tmp_path / "out", 1)
    for act in (
        lambda: drop.stat(path),
        lambda: drop.remove(path),
        lambda: drop.upload(tmp_path / "out", path),
        lambda: drop.download(path, tmp_path / "back"),
        lambda: drop.rename("inbox/a", path),
    ):
        with pytest.raises(NotAllowed, match="no path for a remote file"):
            act()


def test_no_host_key_is_claimed(drop: RemoteDrop) -> None:
    """A receipt says that no host key was proven, instead of leaving it open."""
    assert drop.host_key.startswith("none: ")


def folder(tmp_path: Path, **more: Any) -> FolderSide:
    root = tmp_path / "mounted"
    for name in ("inbox", "outbox"):
        (root / name).mkdir(parents=True)
    return FolderSide(root, DirectoryDrop(path=str(root), **more))


def test_a_share_that_is_not_mounted_is_unreachable(tmp_path: Path) -> None:
    """Without its directory nothing is tried, and it is tried again."""
    with pytest.raises(Unreachable, match="mounted"):
        drop_directory.connect(DirectoryDrop(path=str(tmp_path / "mounted"))).__enter__()


def test_folders_are_never_made(tmp_path: Path) -> None:
    """A missing inbox is a delivery that failed, never a new folder: it may be the wrong mount."""
    side = folder(tmp_path)
    (side.root / "inbox").rmdir()
    write(tmp_path / "out", 1)
    with side.open() as drop, pytest.raises(DeliveryFailed) as caught:
        drop.upload(tmp_path / "out", "inbox/.a.tmp")
    assert "`inbox`" in caught.value.next_step
    with side.open() as drop, pytest.raises(DeliveryFailed):
        drop.listing("nowhere")


@pytest.mark.parametrize("kind", ["folder", "dangling link"])
def test_whatever_has_a_name_keeps_it(tmp_path: Path, kind: str) -> None:
    """A folder or a link stops a rename as a file does, and is seen before."""
    side = folder(tmp_path)
    target = side.root / "inbox/a"
    target.mkdir() if kind == "folder" else target.symlink_to("nowhere")
    write(tmp_path / "out", 1)
    with side.open() as drop:
        assert drop.stat("inbox/a") is not None
        drop.upload(tmp_path / "out", "inbox/.a.tmp")
        with pytest.raises(TargetExists):
            drop.rename("inbox/.a.tmp", "inbox/a")


def test_a_link_in_place_of_a_result_is_not_followed(tmp_path: Path) -> None:
    """T13: nobody makes us read another file of this machine."""
    side = folder(tmp_path)
    (tmp_path / "secret").write_bytes(b"secret")
    (side.root / "outbox/a").symlink_to(tmp_path / "secret")
    os.mkfifo(side.root / "outbox/pipe")
    with side.open() as drop:
        for name in ("a", "pipe"):
            with pytest.raises(DeliveryFailed):
                drop.download(f"outbox/{name}", tmp_path / "back")


def test_where_one_step_is_promised_two_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`rename_atomic` on a file system that needs two steps: nothing is placed."""
    monkeypatch.setattr("transfer.rename_once._renameat2", lambda: None)
    side = folder(tmp_path, rename_atomic=True)
    write(tmp_path / "out", 1)
    with side.open() as drop:
        drop.upload(tmp_path / "out", "inbox/.a.tmp")
        with pytest.raises(DeliveryFailed, match="cannot rename"):
            drop.rename("inbox/.a.tmp", "inbox/a")
        assert drop.stat("inbox/a") is None


@pytest.mark.parametrize(
    ("code", "error"), [(errno.EIO, Unreachable), (errno.ESTALE, Unreachable), (errno.EACCES, DeliveryFailed)]
)
def test_only_a_definite_no_counts_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception]
) -> None:
    """T5: a share that goes away in the middle of a rename says nothing about what happened."""
    side = folder(tmp_path)
    write(tmp_path / "out", 1)
    monkeypatch.setattr("transfer.rename_once._in_one_step", lambda *_: code)
    with side.open() as drop:
        drop.upload(tmp_path / "out", "inbox/.a.tmp")
        with pytest.raises(error):
            drop.rename("inbox/.a.tmp", "inbox/a")


def test_a_large_object_is_put_and_moved_in_parts(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit of one request a file goes in parts, still on condition that its name is free."""
    monkeypatch.setattr("runtime.drop_s3_place.SINGLE_BYTES_MAX", 1 << 20)
    monkeypatch.setattr("runtime.drop_s3_place.PART_BYTES", 5 << 20)
    monkeypatch.setattr("runtime.drop_s3_place.COPY_BYTES_MAX", 6 << 20)
    data = write(tmp_path / "out", (11 << 20) + 1)
    with bucket_side(endpoint) as side, side.open() as drop:
        drop.upload(tmp_path / "out", "inbox/.a.tmp")
        drop.rename("inbox/.a.tmp", "inbox/a")
        assert side.take("inbox/a") == data
        drop.rename("inbox/a", "outbox/b")
        assert side.take("outbox/b") == data


class Interfering:
    """The client with something that happens just before one of its requests."""

    def __init__(self, client: Any, act: str, before: Any) -> None:
        self._client, self._act, self._before = client, act, before

    def __getattr__(self, name: str) -> Any:
        if name == self._act:
            self._before()
        return getattr(self._client, name)


def test_a_key_that_is_taken_at_the_last_moment_stays_theirs(endpoint: str, tmp_path: Path) -> None:
    """T3: who looks and then puts may come second; the condition of the put decides."""
    write(tmp_path / "out", 100)
    with bucket_side(endpoint) as side, side.open() as drop:
        drop._client = Interfering(drop._client, "put_object", lambda: side.put("inbox/a", b"theirs"))
        drop.upload(tmp_path / "out", "inbox/.a.tmp")
        with pytest.raises(TargetExists, match="PreconditionFailed"):
            drop.rename("inbox/.a.tmp", "inbox/a")
        assert side.take("inbox/a") == b"theirs"
        assert drop.remove("inbox/.a.tmp") is False, "after that answer nothing may look like a proof"


def test_an_object_that_is_replaced_while_it_is_read_is_not_taken(endpoint: str, tmp_path: Path) -> None:
    """T12: a download is of one version, or none."""
    with bucket_side(endpoint) as side, side.open() as drop:
        side.put("outbox/a", b"first")
        drop._client = Interfering(drop._client, "get_object", lambda: side.put("outbox/a", b"other"))
        with pytest.raises(DeliveryFailed, match="PreconditionFailed"):
            drop.download("outbox/a", tmp_path / "back")
        assert not (tmp_path / "back").exists()


def test_a_bucket_that_says_no_is_a_definite_no(endpoint: str, tmp_path: Path) -> None:
    """A refused request places nothing, and the file at hand proves it."""
    write(tmp_path / "out", 100)
    with bucket_side(endpoint) as side:
        settings = BucketDrop(url="s3://absent-bucket", endpoint=endpoint, region="eu-central-1")
        with drop_s3.connect(settings, access_key="testing", secret_key="testing") as drop:
            drop.upload(tmp_path / "out", "inbox/.a.tmp")
            with pytest.raises(DeliveryFailed, match="NoSuchBucket"):
                drop.rename("inbox/.a.tmp", "inbox/a")
            assert drop.remove("inbox/.a.tmp") is True
            with pytest.raises(DeliveryFailed):
                drop.listing("outbox")
        assert isinstance(side, BucketSide)


def test_a_bucket_that_does_not_answer_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T5: no answer to the put proves nothing; neither does the file at hand."""
    monkeypatch.setattr("runtime.aws.ATTEMPTS_MAX", 1)
    write(tmp_path / "out", 100)
    settings = BucketDrop(url="s3://partner", endpoint="http://127.0.0.1:1", region="eu-central-1")
    with drop_s3.connect(settings, access_key="testing", secret_key="testing") as drop:
        drop.upload(tmp_path / "out", "inbox/.a.tmp")
        with pytest.raises(Unreachable):
            drop.stat("inbox/a")
        with pytest.raises(Unreachable):
            drop.rename("inbox/.a.tmp", "inbox/a")


@pytest.mark.parametrize(
    ("status", "tries", "error"),
    [
        (403, 0, DeliveryFailed),
        (403, 1, Unreachable),
        (503, 0, Unreachable),
        (409, 0, Unreachable),
        (0, 0, Unreachable),
    ],
)
def test_a_refusal_proves_something_only_when_it_was_the_first_answer(
    status: int, tries: int, error: type[Exception]
) -> None:
    """T2: a request that was repeated may have gone through before; a service in trouble may have done it all the same."""
    answer = {"Error": {"Code": "Some"}, "ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": tries}}
    with pytest.raises(error), acting("put", "inbox/a"):
        raise ClientError(answer, "PutObject")


def test_a_listing_tells_the_services_own_time(endpoint: str) -> None:
    """Size and time are those that a look at the object gives."""
    with bucket_side(endpoint) as side, side.open() as drop:
        side.put("outbox/a", b"12345")
        (listed,) = drop.listing("outbox")
        assert listed == drop.stat("outbox/a") == RemoteFile("a", 5, listed.modified_s)
