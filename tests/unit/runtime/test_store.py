"""How the configuration chooses object stores, and how keys are divided among them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from dashboard.exports import key_of as export_key
from payments import keys
from payments.config import Stores
from payments.errors import SetAside, WrongConfiguration
from payments.redeliveries import redelivery_key
from runtime.anchors import key_at
from runtime.store import STORES, DividedStore, open_store, store_at
from runtime.store_file import FileStore
from runtime.store_s3 import S3Store


def test_every_key_begins_with_a_known_store() -> None:
    """The stores that may be configured are exactly the first parts of the keys we make."""
    day = date(2026, 3, 2)
    chunk = keys.ChunkKey("legacy", day, 1, 1)
    made = [chunk.raw, chunk.curated, chunk.quarantine, keys.manifest_key("legacy", day, 1)]
    made += [
        keys.complete_key("legacy", day, 1),
        keys.expected_key("acme", day, "f"),
        keys.index_key(1),
        keys.pool_key(1),
    ]
    made += [keys.file_manifest_key("acme", day, "f"), keys.outbound_key("acme", day, "f", "n")]
    made += [keys.result_key("acme", day, "h", "n"), keys.reported_key("acme", day, "h")]
    made += [redelivery_key("acme", "f", "h"), key_at(datetime(2026, 3, 2, tzinfo=UTC))]
    made += [keys.matched_key("acme", day, "f", "e"), keys.open_key("acme", day, "f", "e")]
    made += [export_key("somebody", "0" * 32)]
    assert {key.partition("/")[0] for key in made} == set(STORES)


@pytest.mark.parametrize(
    ("url", "where"),
    [("file:store", "base/store"), ("file:a/b", "base/a/b"), ("file:/abs/x", "/abs/x"), ("file:///abs/x", "/abs/x")],
)
def test_file_urls_begin_at_the_folder_of_the_configuration(url: str, where: str) -> None:
    """Relative directories begin at the folder, absolute ones stand for themselves."""
    store = store_at(url, Path("/base"))
    assert isinstance(store, FileStore)
    assert store._root == Path("/") / where


def test_s3_urls_give_bucket_prefix_and_endpoint() -> None:
    """An s3 URL names bucket and prefix; the endpoint comes from the configuration."""
    store = store_at("s3://bucket/a/b/", Path("/base"), endpoint="http://127.0.0.1:1")
    assert isinstance(store, S3Store)
    assert (store._bucket, store._prefix, store._endpoint) == ("bucket", "a/b/", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store",
        "file:",
        "file:/",
        "file://host/x",
        "s3:",
        "s3:///x",
        "s3:bucket",
        "s3://key@bucket/x",
        "gs://b/x",
        "s3://[",
        "s3://b?x=1",
    ],
)
def test_wrong_url_is_refused_with_its_setting(url: str) -> None:
    """A URL that is not one of ours is refused with the setting's path, what was found and what is allowed."""
    with pytest.raises(WrongConfiguration, match=r"^stores\.by_store\.raw: found .*file:DIR.*s3://bucket/prefix"):
        open_store(Stores(by_store={"raw": url}), Path("/base"))
    with pytest.raises(WrongConfiguration, match=r"^stores\.root: found"):
        open_store(Stores(root=url), Path("/base"))


def test_unknown_store_is_refused() -> None:
    """A misspelt store is refused, not ignored."""
    with pytest.raises(WrongConfiguration, match=r"stores\.by_store: there is no store 'outbond'; .*outbound"):
        open_store(Stores(by_store={"outbond": "file:x"}), Path("/base"))


@pytest.fixture
def divided(tmp_path: Path) -> DividedStore:
    stores = Stores(root="file:root", by_store={"raw": "file:apart", "results": "file:elsewhere"})
    store = open_store(stores, tmp_path)
    assert isinstance(store, DividedStore)
    return store


def test_keys_go_to_the_store_of_their_first_part(divided: DividedStore, tmp_path: Path) -> None:
    """Each object lies in its own store under its whole key, and every method finds it there."""
    for key in ("raw/a", "results/b", "curated/c"):
        divided.put(key, key.encode())
        assert divided.get(key) == key.encode()
        assert divided.exists(key)
        with divided.local(key) as path:
            assert path.read_bytes() == key.encode()
    assert divided.put_file("raw/d", tmp_path / "apart/raw/a").size == 5
    assert list(FileStore(tmp_path / "apart").keys("")) == ["raw/a", "raw/d"]
    assert list(FileStore(tmp_path / "elsewhere").keys("")) == ["results/b"]
    assert list(FileStore(tmp_path / "root").keys("")) == ["curated/c"]


def test_listing_over_several_stores_is_in_order(divided: DividedStore, tmp_path: Path) -> None:
    """A prefix that reaches several stores lists their keys in one order, and nothing that does not belong there."""
    for key in ("raw/a", "raw/b", "results/b", "curated/c", "reported/x", "rawness/x"):
        divided.put(key, b"")
    FileStore(tmp_path / "root").put("raw/from-before-the-move", b"")
    assert list(divided.keys("")) == ["curated/c", "raw/a", "raw/b", "rawness/x", "reported/x", "results/b"]
    assert list(divided.keys("r")) == ["raw/a", "raw/b", "rawness/x", "reported/x", "results/b"]
    assert list(divided.keys("re")) == ["reported/x", "results/b"]
    assert list(divided.keys("raw/")) == ["raw/a", "raw/b"]


def test_hostile_key_is_refused_before_a_store_is_chosen(divided: DividedStore) -> None:
    """A key that could leave its store reaches none."""
    with pytest.raises(SetAside):
        divided.put("raw/../results/x", b"")
    with pytest.raises(SetAside):
        list(divided.keys("../"))


def test_without_own_places_the_root_holds_all(tmp_path: Path) -> None:
    """The default is one directory beside the configuration."""
    store = open_store(Stores(), tmp_path)
    store.put("raw/a", b"")
    assert (tmp_path / "store/raw/a").is_file()
