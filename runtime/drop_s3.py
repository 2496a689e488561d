"""A bucket of the acquirer as a RemoteDrop: a file appears in it whole, by one conditional put, or not at all.

    upload   keep the file at hand; nothing is sent, because a bucket needs no temporary name
    rename   put under the name of the target, on condition that nothing has it -> head: the same ETag and size?

A key is placed or refused in one step, and every later request sees it. So after a definite no nothing was placed; after no
answer at all the bytes may be there, and what lies under the name is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from payments.config_drops import BucketDrop
from payments.errors import DeliveryFailed, NotAllowed, TargetExists, Unreachable
from payments.remote_ports import RemoteDrop, RemoteFile
from runtime import aws
from runtime.drop_s3_errors import GONE, TAKEN, acting, code_of, shown
from runtime.drop_s3_place import copy_within, put_new

DOWNLOAD_BYTES_MAX = 10_000_000_000
LISTING_MAX = 100_000
PIECE_BYTES = 1 << 20
NO_KEY = "none: a bucket, reached over TLS"


@contextmanager
def connect(settings: BucketDrop, *, access_key: str, secret_key: str) -> Iterator[RemoteDrop]:
    """A session with the bucket; nothing is asked yet. Without keys AWS's usual places are. Raises WrongConfiguration."""
    bucket, _, prefix = settings.url.removeprefix("s3://").partition("/")
    keys = (access_key, secret_key) if access_key else None
    drop = BucketSession(
        aws.client("s3", endpoint=settings.endpoint, in_region=settings.region, keys=keys), bucket, prefix.strip("/")
    )
    try:
        yield drop
    finally:
        drop.forget()


class BucketSession:
    """RemoteDrop over one bucket below `prefix`. Files at hand are open files of this machine, by their temporary names."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._at_hand: dict[str, int] = {}

    @property
    def host_key(self) -> str:
        """A bucket proves no key of its own: the certificate of the service was checked."""
        return NO_KEY

    def stat(self, path: str) -> RemoteFile | None:
        if path in self._at_hand:
            found = os.fstat(self._at_hand[path])
            return RemoteFile(path.rpartition("/")[2], found.st_size, int(found.st_mtime))
        head = self._head(path)
        return None if head is None else _remote_file(path, head["ContentLength"], head["LastModified"])

    def upload(self, local: Path, temporary: str) -> None:
        """As the port says, but nothing leaves this machine before `rename`: the file is held open until then."""
        self._key(temporary)
        if temporary in self._at_hand:
            raise DeliveryFailed(f"the name was taken: {shown(temporary)}")
        try:
            self._at_hand[temporary] = os.open(local, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DeliveryFailed(
                f"this machine could not open a file to upload: {os.strerror(error.errno or 0)}",
                next_step="Check the spool folder and the free space of this machine; it is tried again.",
            ) from error

    def rename(self, temporary: str, target: str) -> None:
        """The conditional put. A file that lies in the bucket already is copied within it, and then removed."""
        key = self._key(target)
        if self._head(target) is not None:
            raise TargetExists(f"{shown(target)} exists already")
        if temporary not in self._at_hand:
            self._move(temporary, target)
            return
        source = self._at_hand.pop(temporary)  # a put without answer must leave nothing that looks like a proof
        try:
            with acting("put", target, let=TAKEN):
                etag, size = put_new(self._client, self._bucket, key, source)
        except _client_error() as error:
            # Also when an earlier try of the same request went through and only its answer was lost.
            raise TargetExists(f"{shown(target)} exists already ({code_of(error)})") from error
        except DeliveryFailed:
            self._at_hand[temporary] = source
            raise
        finally:
            if temporary not in self._at_hand:
                os.close(source)
        self._verify(target, etag, size)

    def remove(self, path: str) -> bool:
        """True for a file at hand, too: then nothing of it was ever placed."""
        if path in self._at_hand:
            os.close(self._at_hand.pop(path))
            return True
        if self._head(path) is None:
            return False
        with acting("remove", path):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(path))
        return True

    def listing(self, directory: str) -> list[RemoteFile]:
        """As the port says: the objects right below `directory`. A bucket has no folders, so an absent one is empty."""
        prefix = f"{self._key(directory)}/"
        found: list[RemoteFile] = []
        with acting("list", directory):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, Delimiter="/"
            )
            for page in pages:
                found += [
                    _remote_file(each["Key"], each["Size"], each["LastModified"])
                    for each in page.get("Contents", [])
                    if each["Key"] != prefix  # what a console makes for an empty folder
                ]
                if len(found) > LISTING_MAX:
                    raise DeliveryFailed(
                        f"{shown(directory)} lists more than {LISTING_MAX} entries",
                        next_step="Ask the acquirer to clear it; nothing of it is collected before.",
                    )
        return sorted(found, key=lambda each: each.name)

    def download(self, path: str, local: Path, *, bytes_max: int = DOWNLOAD_BYTES_MAX) -> None:
        """The version that is there when it begins, or none: the request names its ETag."""
        try:
            with local.open("wb") as target:
                if path in self._at_hand:
                    target.writelines(_pieces(self._at_hand[path]))
                else:
                    self._fetch(path, target, bytes_max)
                target.flush()
                os.fsync(target.fileno())
        except OSError as error:
            local.unlink(missing_ok=True)
            raise DeliveryFailed(
                f"this machine could not keep {shown(path)}: {os.strerror(error.errno or 0)}",
                next_step="Check the spool folder and the free space of this machine; it is tried again.",
            ) from error
        except BaseException:
            # A part of a file must never be taken for the file, not even when we are being stopped.
            local.unlink(missing_ok=True)
            raise

    def forget(self) -> None:
        """Let go of the files at hand."""
        while self._at_hand:
            os.close(self._at_hand.popitem()[1])

    def _fetch(self, path: str, target: Any, bytes_max: int) -> None:
        head = self._head(path)
        if head is None:
            raise DeliveryFailed(f"no such file: {shown(path)}")
        if head["ContentLength"] > bytes_max:
            raise DeliveryFailed(f"{shown(path)} has {head['ContentLength']} bytes, more than the {bytes_max} allowed")
        size = 0
        with acting("read", path):
            body = self._client.get_object(Bucket=self._bucket, Key=self._key(path), IfMatch=head["ETag"])["Body"]
            for piece in body.iter_chunks(PIECE_BYTES):
                size += len(piece)
                if size > head["ContentLength"]:
                    break
                target.write(piece)
        if size != head["ContentLength"]:
            raise DeliveryFailed(f"{shown(path)} gave {size} bytes instead of {head['ContentLength']} bytes")

    def _move(self, old: str, new: str) -> None:
        head = self._head(old)
        if head is None:
            raise DeliveryFailed(f"no such file: {shown(old)}")
        try:
            with acting("copy to", new, let=TAKEN):
                copy_within(self._client, self._bucket, self._key(old), self._key(new), head)
        except _client_error() as error:
            raise TargetExists(f"{shown(new)} exists already ({code_of(error)})") from error
        with acting("remove", old):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(old))

    def _verify(self, target: str, etag: str, size: int) -> None:
        """The service answered yes; gone again is fine, the acquirer was quick. Something else under the name is not."""
        with suppress(DeliveryFailed, Unreachable):  # what cannot be looked at takes nothing away from the yes
            head = self._head(target)
            if head is None or (head["ETag"], head["ContentLength"]) == (etag, size):
                return
            raise TargetExists(f"{shown(target)} was put with {size} bytes, but another object has its name now")

    def _head(self, path: str) -> Any | None:
        try:
            with acting("look at", path, let=GONE):
                return self._client.head_object(Bucket=self._bucket, Key=self._key(path))
        except _client_error():
            return None

    def _key(self, path: str) -> str:
        """Raises NotAllowed for a path that services read differently."""
        parts = path.split("/")
        if any(part in {"", ".", ".."} for part in parts) or "\0" in path or len(path.encode(errors="replace")) > 900:
            raise NotAllowed(f"{shown(path)} is no path for a remote file")
        return self._prefix + path


def _client_error() -> type[Exception]:
    from botocore.exceptions import ClientError

    found: type[Exception] = ClientError
    return found


def _remote_file(path: str, size: int, modified: Any) -> RemoteFile:
    return RemoteFile(path.rpartition("/")[2], size, int(modified.timestamp()))


def _pieces(source: int) -> Iterator[bytes]:
    at = 0
    while piece := os.pread(source, PIECE_BYTES, at):
        at += len(piece)
        yield piece
