"""The promises of the ObjectStore port, kept by every adapter: files and S3."""

from __future__ import annotations

import hashlib
import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.errors import SetAside, Unreadable
from payments.ports import ObjectStore, StoredObject
from runtime import aws
from runtime.store_file import FileStore
from runtime.store_s3 import S3Store

LARGE_BYTES = 20 << 20
HOSTILE_KEYS = [
    "",
    "/",
    "/raw/x",
    "raw/",
    "raw//x",
    "../x",
    "raw/../../x",
    "raw/./x",
    ".",
    "..",
    "raw/x\0y",
    "raw\\x",
    "raw/\n",
    "raw/ü",
    "raw/\ud800",
    ".tmp/x",
    "r/" + "a" * 256,
    "a/" * 450 + "a",
]


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of every kind; add the next adapter here."""
    if request.param == "file":
        return FileStore(tmp_path / "store")
    endpoint = request.getfixturevalue("moto_endpoint")
    bucket = f"bucket-{uuid.uuid4().hex}"
    client = aws.client("s3", endpoint=endpoint)
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region()})
    client.close()
    return S3Store(bucket, "some/prefix", endpoint, spool=tmp_path)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000], ids=["empty", "small", "over-a-mebibyte"])
def test_what_is_put_is_got(store: ObjectStore, data: bytes) -> None:
    """A put object comes back byte for byte, and the put says its size and SHA-256."""
    assert store.put("raw/a/1.bin", data) == StoredObject("raw/a/1.bin", len(data), sha256(data), adopted=False)
    assert store.get("raw/a/1.bin") == data
    assert store.exists("raw/a/1.bin")


def test_second_put_adopts_what_is_stored(store: ObjectStore) -> None:
    """A put under a taken key changes nothing and says what is stored, not what was brought."""
    store.put("raw/a", b"first")
    assert store.put("raw/a", b"second!") == StoredObject("raw/a", 5, sha256(b"first"), adopted=True)
    assert store.put("raw/a", b"first") == StoredObject("raw/a", 5, sha256(b"first"), adopted=True)
    assert store.get("raw/a") == b"first"


def test_two_writers_of_one_key_agree_on_one_winner(store: ObjectStore) -> None:
    """Of writers at the same time exactly one stores, and the others adopt its bytes."""
    writers = 4
    for turn in range(10):
        start = threading.Barrier(writers)
        bodies = [f"writer {n} of turn {turn}".encode() * 400 for n in range(writers)]

        def write(body: bytes, start: threading.Barrier = start, turn: int = turn) -> StoredObject:
            start.wait(30)
            return store.put(f"raw/turn/{turn}", body)

        with ThreadPoolExecutor(writers) as pool:
            found = list(pool.map(write, bodies))
        stored = store.get(f"raw/turn/{turn}")
        assert {each.sha256 for each in found} == {sha256(stored)}
        assert [each.adopted for each in found].count(False) == 1
        assert stored in bodies


def test_large_file_is_stored_whole_and_then_adopted(store: ObjectStore, tmp_path: Path) -> None:
    """A spooled file of 20 MiB is stored under its hash, left where it was, and adopted when it is put again."""
    data = random.Random(7).randbytes(LARGE_BYTES - 3)
    spooled = tmp_path / "spooled"
    spooled.write_bytes(data)
    expected = StoredObject("outbound/large", len(data), sha256(data))
    assert store.put_file("outbound/large", spooled) == expected
    assert spooled.read_bytes() == data
    spooled.write_bytes(b"spool is used again" + data)
    assert store.put_file("outbound/large", spooled) == StoredObject(
        "outbound/large", len(data), sha256(data), adopted=True
    )
    assert store.get("outbound/large") == data
    with store.local("outbound/large") as path:
        assert path.read_bytes() == data


@pytest.mark.parametrize("size", [0, 1, (8 << 20), (8 << 20) + 1])
def test_spooled_files_of_every_size_come_back(store: ObjectStore, tmp_path: Path, size: int) -> None:
    """A spooled file is stored exactly, also around the size from which it is uploaded in parts."""
    data = random.Random(size).randbytes(size)
    (tmp_path / "spooled").write_bytes(data)
    assert store.put_file("raw/spooled", tmp_path / "spooled") == StoredObject("raw/spooled", size, sha256(data))
    with store.local("raw/spooled") as path:
        assert path.read_bytes() == data


def test_two_writers_of_one_large_file_agree(store: ObjectStore, tmp_path: Path) -> None:
    """Of two large files under one key at the same time one is stored whole, and the other writer adopts it."""
    start = threading.Barrier(2)
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(random.Random(name).randbytes((9 << 20) + len(name)))

    def write(name: str) -> StoredObject:
        start.wait(30)
        return store.put_file("raw/large", tmp_path / name)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(write, ("one", "two")))
    stored = store.get("raw/large")
    assert {each.sha256 for each in found} == {sha256(stored)}
    assert sorted(each.adopted for each in found) == [False, True]


def test_missing_key_is_unreadable_and_does_not_exist(store: ObjectStore) -> None:
    """Reading what is not there is an error that names the key; asking whether it is there is not."""
    store.put("raw/there", b"")
    assert not store.exists("raw/not-there")
    assert not store.exists("raw")
    with pytest.raises(Unreadable, match="raw/not-there") as raised:
        store.get("raw/not-there")
    assert raised.value.next_step
    with pytest.raises(Unreadable, match="raw/not-there"), store.local("raw/not-there"):
        pass


@pytest.mark.parametrize("key", HOSTILE_KEYS, ids=lambda key: ascii(key[:20]))
def test_hostile_key_is_refused_by_every_method(store: ObjectStore, tmp_path: Path, key: str) -> None:
    """A key that could leave the store, or that not every store can hold, is set aside before anything is touched."""
    spooled = tmp_path / "spooled"
    spooled.write_bytes(b"x")
    with pytest.raises(SetAside):
        store.put(key, b"x")
    with pytest.raises(SetAside):
        store.put_file(key, spooled)
    with pytest.raises(SetAside):
        store.get(key)
    with pytest.raises(SetAside), store.local(key):
        pass
    with pytest.raises(SetAside):
        store.exists(key)
    assert list(store.keys("")) == []


@pytest.mark.parametrize("prefix", ["../", "/", "raw//", "raw/../", "raw/\0"], ids=ascii)
def test_hostile_prefix_is_refused(store: ObjectStore, prefix: str) -> None:
    """A prefix that no key can have is set aside."""
    with pytest.raises(SetAside):
        list(store.keys(prefix))


def test_keys_come_in_the_order_of_their_bytes(store: ObjectStore) -> None:
    """Keys are listed in byte order whatever the order of puts, below a prefix that may end anywhere."""
    keys = [
        "raw/a/x",
        "raw/a-b/x",
        "raw/a.txt",
        "raw/a0",
        "raw/b/c/d/e",
        "raw/B",
        "rawer/x",
        "open/x",
        "raw/a b~%41#?+&",
    ]
    for key in keys:
        store.put(key, key.encode())
    assert list(store.keys("")) == sorted(keys)
    assert list(store.keys("raw/")) == sorted(key for key in keys if key.startswith("raw/"))
    assert list(store.keys("raw")) == sorted(key for key in keys if key.startswith("raw"))
    assert list(store.keys("raw/a")) == ["raw/a b~%41#?+&", "raw/a-b/x", "raw/a.txt", "raw/a/x", "raw/a0"]
    assert list(store.keys("raw/a/")) == ["raw/a/x"]
    assert list(store.keys("raw/a/x")) == ["raw/a/x"]
    assert list(store.keys("nothing/")) == []
    assert [store.get(key) for key in keys] == [key.encode() for key in keys]


ODD_KEYS = st.text(
    st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="/\\"), min_size=1, max_size=40
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=ODD_KEYS.filter(lambda part: part not in {".", ".."}))
def test_every_allowed_key_keeps_its_spelling(store: ObjectStore, part: str) -> None:
    """Any printable part of a key comes back from a listing as it was put."""
    key = f"results/{part}/{part}"
    store.put(key, part.encode())
    assert store.get(key) == part.encode()
    assert key in set(store.keys(f"results/{part}/"))


def test_local_file_lasts_as_long_as_its_context(store: ObjectStore) -> None:
    """An object is a file while its context lasts, and is stored unchanged afterwards."""
    store.put("results/name.csv", b"content")
    with store.local("results/name.csv") as path:
        assert path.read_bytes() == b"content"
        assert path.name == "name.csv"
    assert store.get("results/name.csv") == b"content"
