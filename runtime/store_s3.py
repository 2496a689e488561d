"""Keeps objects in an S3 bucket: put-if-absent by `If-None-Match: *`, large files by a conditional multipart upload.

S3 answers 412 when the key is taken, and 409 while another conditional write of the same key is under way. Both are
read as "taken": the stored object is read back and adopted; if there is none, the put is tried again.

Reads and small puts go through obstore, which loads in a fortieth of boto3's time. boto3 is loaded for large files,
because obstore holds a conditional put in memory, and for listings, because one foreign key that obstore cannot parse
ends its whole listing.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from payments.errors import Busy, TieoutError, Unreachable, Unreadable, WrongConfiguration
from payments.ports import StoredObject
from runtime import aws, s3_multipart
from runtime.objects import GET_BYTES_MAX, allowed, check_key, check_prefix, measured, missing, too_large

REQUEST_TIMEOUT = timedelta(seconds=300)  # one whole request, of at most 256 MiB
STALL_TIMEOUT = timedelta(seconds=aws.READ_TIMEOUT_S)
RETRY_TIMEOUT = timedelta(seconds=60)
SMALL_BYTES_MAX = 8 << 20
RANGE_BYTES = 16 << 20
PUTS_MAX = 4


class S3Store:
    """An ObjectStore under `prefix` of one bucket. `endpoint` is empty for AWS; `spool` is where `local` puts files."""

    def __init__(self, bucket: str, prefix: str = "", endpoint: str = "", *, spool: Path | None = None) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._endpoint = endpoint
        self._spool = spool
        self._bucket_seen = False

    def put(self, key: str, data: bytes) -> StoredObject:
        check_key(key)
        return self._put(key, lambda: self._create(key, data))

    def put_file(self, key: str, path: Path) -> StoredObject:
        if path.stat().st_size <= SMALL_BYTES_MAX:
            return self.put(key, path.read_bytes())
        if self.exists(key):
            # Only to spare the upload: the condition itself is checked when the upload completes.
            return self._adopted(key)
        return self._put(key, lambda: self._upload(key, path))

    def get(self, key: str) -> bytes:
        import obstore

        with self._reading(check_key(key)):
            found = obstore.get(self._store, key)
            size = int(found.meta["size"])
            if size > GET_BYTES_MAX:
                raise too_large(key, size)
            return bytes(found.bytes())

    @contextlib.contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """The object in a temporary file, which is removed afterwards."""
        pieces = self._pieces(check_key(key))
        with tempfile.TemporaryDirectory(prefix="tieout-", dir=self._spool) as directory:
            path = Path(directory) / key.rpartition("/")[2]
            self._fetch(key, pieces, path)
            yield path

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys under a prefix in S3's order, which is that of their bytes; foreign names that are no keys are left out."""
        wanted = self._prefix + check_prefix(prefix)
        with aws.translated(f"bucket {self._bucket}"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=wanted):
                for each in page.get("Contents", []):
                    key = each["Key"].removeprefix(self._prefix)
                    if allowed(key):
                        yield key

    def exists(self, key: str) -> bool:
        return self._size(check_key(key)) is not None

    def link(self, key: str, life: timedelta) -> str:
        """An address by which anybody may read this one object, for so long; signed here, asked of nobody."""
        import obstore

        with self._translated(check_key(key)):
            return str(obstore.sign(self._store, "GET", key, expires_in=life))

    @cached_property
    def _client(self) -> Any:
        return aws.client("s3", endpoint=self._endpoint)

    @cached_property
    def _store(self) -> Any:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store as VendorStore

        options: dict[str, Any] = {}
        if not aws.credentials_in_environment():
            options["credential_provider"] = _profile_credentials()
        if self._endpoint:
            options |= {"endpoint": self._endpoint, "virtual_hosted_style_request": False}
        if aws.region():
            options["region"] = aws.region()
        try:
            return VendorStore(
                self._bucket,
                prefix=self._prefix or None,
                client_options={
                    "allow_http": self._endpoint.startswith("http://"),
                    "connect_timeout": timedelta(seconds=aws.CONNECT_TIMEOUT_S),
                    "read_timeout": STALL_TIMEOUT,
                    "timeout": REQUEST_TIMEOUT,
                },
                # A bucket with object lock refuses a put that says no checksum of its body.
                checksum_algorithm="SHA256",
                retry_config={"max_retries": aws.ATTEMPTS_MAX - 1, "retry_timeout": RETRY_TIMEOUT},
                **options,
            )
        except (BaseError, ValueError) as error:
            raise WrongConfiguration(
                f"stores: bucket {self._bucket} or endpoint {self._endpoint or 'of AWS'} is not usable"
            ) from error

    def _put(self, key: str, create: Callable[[], tuple[int, str] | None]) -> StoredObject:
        for _ in range(PUTS_MAX):
            created = create()
            if created:
                return StoredObject(key, *created)
            with contextlib.suppress(Unreadable):
                return self._adopted(key)
        raise Busy(f"object {key!a} is being stored by somebody else at this moment")

    def _create(self, key: str, data: bytes) -> tuple[int, str] | None:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            with self._translated(key, let=AlreadyExistsError):
                obstore.put(self._store, key, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return None
        return measured([data])

    def _upload(self, key: str, path: Path) -> tuple[int, str] | None:
        with aws.translated(f"object {key!a} in bucket {self._bucket}"):
            return s3_multipart.upload(self._client, self._bucket, self._prefix + key, path)

    def _adopted(self, key: str) -> StoredObject:
        size = self._size(key)
        if size is None:
            raise missing(key)
        return StoredObject(key, *measured(self._ranges(key, size)), adopted=True)

    def _size(self, key: str) -> int | None:
        import obstore

        try:
            with self._reading(key):
                return int(obstore.head(self._store, key)["size"])
        except Unreadable:
            if not self._bucket_seen:
                # HEAD answers without a body: only GET tells a missing bucket from a missing object.
                with contextlib.suppress(Unreadable):
                    self.get(key)
                self._bucket_seen = True
            return None

    def _pieces(self, key: str) -> Iterator[bytes]:
        """The object: by one request where it is small, as nearly all are, without asking for its size before."""
        import obstore

        with self._reading(key):
            found = obstore.get(self._store, key)
            size = int(found.meta["size"])
            whole = bytes(found.bytes()) if size <= RANGE_BYTES else None
        yield from self._ranges(key, size) if whole is None else [whole]

    def _ranges(self, key: str, size: int) -> Iterator[bytes]:
        """The object in pieces of 16 MiB, each a request with its own time-out: objects never change under us."""
        import obstore

        for start in range(0, size, RANGE_BYTES):
            with self._translated(key):
                piece = bytes(obstore.get_range(self._store, key, start=start, end=min(start + RANGE_BYTES, size)))
            yield piece

    def _fetch(self, key: str, pieces: Iterator[bytes], path: Path) -> None:
        try:
            with path.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
        except OSError as error:
            raise Unreachable(
                f"object {key!a} cannot be spooled to {path.parent.parent}: {os.strerror(error.errno or 0)}",
                next_step=f"Free space at {path.parent.parent}: nothing was lost, and the work goes on by itself.",
            ) from error

    @contextlib.contextmanager
    def _translated(self, key: str, *, let: type[Exception] | tuple[()] = ()) -> Iterator[None]:
        """Turn obstore's errors into ours, except those of type `let`. Vendor texts stay in the chain."""
        from obstore.exceptions import BaseError

        try:
            yield
        except let:
            raise
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._unreachable(key, "there is no such bucket") from error
            raise missing(key) from error
        except (BaseError, OSError) as error:
            raise self._unreachable(key, type(error).__name__) from error

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        """The same for reads. S3 forbids a missing key to a role that may list some prefixes only: then the list is asked."""
        from obstore.exceptions import PermissionDeniedError

        try:
            with self._translated(key, let=PermissionDeniedError):
                yield
        except PermissionDeniedError as error:
            name = self._prefix + key
            with aws.translated(f"object {key!a} in bucket {self._bucket}"):
                found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=name, MaxKeys=1)
            if any(each["Key"] == name for each in found.get("Contents", [])):
                raise self._unreachable(key, "this account may not read it") from error
            raise missing(key) from error

    def _unreachable(self, key: str, why: str) -> TieoutError:
        where = f"bucket {self._bucket}" + (f" at {self._endpoint}" if self._endpoint else "")
        return Unreachable(
            f"object {key!a} in {where}: {why}",
            next_step="Check the bucket's name, the network and the rights of this account; it is tried again.",
        )


def _profile_credentials() -> Any:
    """Credentials from a profile, single sign-on or the machine's role, as boto3 finds them."""
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return Boto3CredentialProvider()
    except (BotoCoreError, ValueError) as error:
        raise WrongConfiguration(
            "stores: no AWS credentials were found", next_step="Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret."
        ) from error
