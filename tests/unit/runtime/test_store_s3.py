"""What is particular to the store on S3: missing buckets, lost answers, given-up uploads, foreign keys."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from payments.errors import Busy, Unreachable, Unreadable, WrongConfiguration
from runtime import aws, s3_multipart
from runtime.store_s3 import S3Store
from tests.servers.process import free_port


@pytest.fixture
def client(moto_endpoint: str) -> Iterator[Any]:
    made = aws.client("s3", endpoint=moto_endpoint)
    yield made
    made.close()


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"bucket-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": aws.region()})
    return name


def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (36 << 10))  # 9 MiB: two parts
    return path


def test_keys_lie_under_the_prefix_of_the_store(moto_endpoint: str, client: Any, bucket: str, tmp_path: Path) -> None:
    """Small and large objects have the same place in the bucket: the prefix, a slash and the key."""
    store = S3Store(bucket, "/of/ours/", moto_endpoint)
    store.put("raw/small #1", b"x")
    store.put_file("raw/large #1", large(tmp_path))
    names = [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert names == ["of/ours/raw/large #1", "of/ours/raw/small #1"]
    assert list(store.keys("")) == ["raw/large #1", "raw/small #1"]
    assert list(S3Store(bucket, "", moto_endpoint).keys("of/")) == names


@pytest.mark.parametrize("act", ["put", "get", "exists", "local", "keys", "put_file"])
def test_missing_bucket_is_never_taken_for_a_missing_object(moto_endpoint: str, tmp_path: Path, act: str) -> None:
    """Where there is no bucket every act is an error that names it: nothing is set aside because of it."""
    store = S3Store("no-such-bucket", "", moto_endpoint)
    acts: dict[str, Callable[[], object]] = {
        "put": lambda: store.put("raw/x", b""),
        "get": lambda: store.get("raw/x"),
        "exists": lambda: store.exists("raw/x"),
        "local": lambda: store.local("raw/x").__enter__(),
        "keys": lambda: list(store.keys("raw/")),
        "put_file": lambda: store.put_file("raw/x", large(tmp_path)),
    }
    with pytest.raises(Unreachable, match="no-such-bucket"):
        acts[act]()


def test_endpoint_that_does_not_answer_is_unreachable(moto_endpoint: str) -> None:
    """Nobody listening is an error within the stated retries, and says what to check."""
    store, started = S3Store("bucket", "", f"http://127.0.0.1:{free_port()}"), time.monotonic()
    with pytest.raises(Unreachable, match=r"raw/x.*bucket") as raised:
        store.put("raw/x", b"")
    assert "network" in raised.value.next_step
    with pytest.raises(Unreachable, match="bucket"):
        list(store.keys(""))
    assert time.monotonic() - started < 60


def test_upload_that_loses_leaves_no_parts(moto_endpoint: str, client: Any, bucket: str, tmp_path: Path) -> None:
    """When the key is taken at the moment of completion, the upload is given up and the stored object adopted."""
    store = S3Store(bucket, "", moto_endpoint)
    path = large(tmp_path)
    assert s3_multipart.upload(client, bucket, "raw/x", path) is not None
    assert s3_multipart.upload(client, bucket, "raw/x", path) is None
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)
    assert store.put_file("raw/x", path).adopted


class Broken:
    """A client whose method `broken` raises, or answers and then raises."""

    def __init__(self, client: Any, broken: str, error: Exception, *, after: bool) -> None:
        self._client, self._broken, self._error, self._after = client, broken, error, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name != self._broken:
            return real

        def call(**arguments: Any) -> None:
            if self._after:
                real(**arguments)
            raise self._error

        return call


def client_error(code: str) -> Exception:
    from botocore.exceptions import ClientError

    error: Exception = ClientError({"Error": {"Code": code, "Message": "canary"}}, "Operation")
    return error


def test_upload_that_breaks_off_leaves_no_parts(moto_endpoint: str, client: Any, bucket: str, tmp_path: Path) -> None:
    """An upload that fails half-way stores nothing, keeps no parts, and is tried again later."""
    store = S3Store(bucket, "", moto_endpoint)
    store.__dict__["_client"] = Broken(client, "upload_part", client_error("SlowDown"), after=False)
    with pytest.raises(Unreachable, match="SlowDown") as raised:
        store.put_file("raw/x", large(tmp_path))
    assert "canary" not in str(raised.value)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)
    assert not store.exists("raw/x")


@pytest.mark.parametrize("code", ["NoSuchUpload", "PreconditionFailed", "ConditionalRequestConflict"])
def test_completion_whose_answer_was_lost_is_adopted(
    moto_endpoint: str, client: Any, bucket: str, tmp_path: Path, code: str
) -> None:
    """When the first completion worked and only its answer was lost, the object is found and adopted."""
    store, path = S3Store(bucket, "", moto_endpoint), large(tmp_path)
    store.__dict__["_client"] = Broken(client, "complete_multipart_upload", client_error(code), after=True)
    stored = store.put_file("raw/x", path)
    assert stored.adopted
    assert stored.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_key_that_stays_between_taken_and_missing_is_busy(
    moto_endpoint: str, client: Any, bucket: str, tmp_path: Path
) -> None:
    """Conflict after conflict without an object to adopt ends as busy, after a stated number of tries."""
    store = S3Store(bucket, "", moto_endpoint)
    error = client_error("ConditionalRequestConflict")
    store.__dict__["_client"] = Broken(client, "complete_multipart_upload", error, after=False)
    with pytest.raises(Busy, match="raw/x"):
        store.put_file("raw/x", large(tmp_path))
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


def test_foreign_keys_are_left_out_of_listings(moto_endpoint: str, client: Any, bucket: str) -> None:
    """Names that no key can have (the console's folders, dots, other alphabets) do not end the listing."""
    for name in ("raw/", "raw//x", "raw/../y", "raw/ü", "raw/b\\c", "raw/ok"):
        client.put_object(Bucket=bucket, Key=name, Body=b"")
    assert list(S3Store(bucket, "", moto_endpoint).keys("raw/")) == ["raw/ok"]


def test_local_file_is_removed_and_read_in_ranges(
    moto_endpoint: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object is spooled range by range where the store was told to, and the spool is empty afterwards."""
    monkeypatch.setattr("runtime.store_s3.RANGE_BYTES", 1000)
    spool = tmp_path / "spool"
    spool.mkdir()
    store = S3Store(bucket, "", moto_endpoint, spool=spool)
    data = bytes(range(250)) * 9
    store.put("raw/x", data)
    with store.local("raw/x") as path:
        assert path.read_bytes() == data
        assert spool in path.parents
    assert list(spool.iterdir()) == []


def test_full_spool_is_tried_again(moto_endpoint: str, bucket: str, tmp_path: Path) -> None:
    """A spool that takes no bytes is an error that says where to free space."""
    store = S3Store(bucket, "", moto_endpoint)
    store.put("raw/x", b"x")
    with pytest.raises(Unreachable, match="cannot be spooled") as raised:
        store._fetch("raw/x", iter([b"x"]), Path("/dev/full"))
    assert "Free space" in raised.value.next_step


def test_object_too_large_for_memory_is_refused(
    moto_endpoint: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`get` refuses an object above its limit before reading it."""
    monkeypatch.setattr("runtime.store_s3.GET_BYTES_MAX", 10)
    store = S3Store(bucket, "", moto_endpoint)
    store.put("raw/x", b"12345678901")
    with pytest.raises(Unreadable, match="11 bytes"):
        store.get("raw/x")


def test_credentials_come_from_a_profile_when_the_environment_has_none(
    moto_endpoint: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop's profile works as well as a service's environment; with neither the error says what to set."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(WrongConfiguration, match="no AWS credentials"):
        S3Store(bucket, "", moto_endpoint).put("raw/x", b"x")
    profile = tmp_path / "credentials"
    profile.write_text("[engineer]\naws_access_key_id = testing\naws_secret_access_key = testing\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    monkeypatch.setenv("AWS_PROFILE", "engineer")
    assert S3Store(bucket, "", moto_endpoint).put("raw/x", b"x").size == 1
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(WrongConfiguration, match="no AWS credentials"):
        S3Store(bucket, "", moto_endpoint).put("raw/x", b"x")


class Guarded(BaseHTTPRequestHandler):
    """S3 as a role meets it that may list and read one prefix: what is not there is forbidden, not missing."""

    listed: ClassVar[dict[str, str]] = {}
    checksums: ClassVar[list[str | None]] = []

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.checksums.append(self.headers["x-amz-checksum-sha256"])
        self._answer(200, etag='"stored"')

    def do_HEAD(self) -> None:
        self._answer(403)

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" not in query:
            self._answer(403, "<Error><Code>AccessDenied</Code></Error>")
            return
        [prefix] = query["prefix"]
        if prefix not in self.listed:
            self._answer(403, "<Error><Code>AccessDenied</Code></Error>")
            return
        self._answer(200, f"<ListBucketResult>{self.listed[prefix]}</ListBucketResult>")

    def _answer(self, status: int, body: str = "", *, etag: str = "") -> None:
        self.send_response(status)
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_arguments: object) -> None: ...


@pytest.fixture
def guarded() -> Iterator[S3Store]:
    Guarded.listed = {
        "raw/absent": "",
        "raw/shorter": "<Contents><Key>raw/shorter-than-this</Key></Contents>",
        "raw/hidden": "<Contents><Key>raw/hidden</Key></Contents>",
    }
    Guarded.checksums = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield S3Store("bucket", "", f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.usefixtures("moto_endpoint")  # for the dummy credentials
@pytest.mark.parametrize("key", ["raw/absent", "raw/shorter"])
def test_forbidden_and_not_listed_is_missing(guarded: S3Store, key: str) -> None:
    """A role with rights on one prefix is told 403 of a missing key: the listing, which it has, decides."""
    assert not guarded.exists(key)
    with pytest.raises(Unreadable):
        guarded.get(key)


@pytest.mark.usefixtures("moto_endpoint")
@pytest.mark.parametrize("key", ["raw/hidden", "results/foreign"])
def test_forbidden_is_never_taken_for_missing_without_a_listing(guarded: S3Store, key: str) -> None:
    """What is listed but may not be read, and what may not even be listed, is an error and not an absent object."""
    for act in (guarded.exists, guarded.get):
        with pytest.raises(Unreachable, match="bucket"):
            act(key)


@pytest.mark.usefixtures("moto_endpoint")
def test_every_put_says_a_checksum(guarded: S3Store) -> None:
    """A bucket with object lock refuses a put without one."""
    guarded.put("raw/x", b"body")
    assert Guarded.checksums == [base64.b64encode(hashlib.sha256(b"body").digest()).decode()]
