"""Opens the object store that the configuration describes: each store of the product at its own URL, or at the root.

Keys are the same everywhere: `raw/...` lies under `raw/` also where `by_store` gives raw a bucket of its own.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from payments.config import Stores
from payments.errors import WrongConfiguration
from payments.ports import ObjectStore, StoredObject
from runtime.objects import check_key, check_prefix
from runtime.store_file import FileStore
from runtime.store_s3 import S3Store

STORES = (
    "raw",
    "curated",
    "quarantine",
    "expected",
    "manifests",
    "outbound",
    "results",
    "reported",
    "matched",
    "open",
    "index",
    "pool",
    "redeliveries",
    "heads",
    "exports",
)
"""The first parts of all our keys."""


class DividedStore:
    """An ObjectStore that sends each key to the store of its first part, else to `root`."""

    def __init__(self, root: ObjectStore, by_store: Mapping[str, ObjectStore]) -> None:
        self._root = root
        self._by_store = dict(by_store)

    def put(self, key: str, data: bytes) -> StoredObject:
        return self._of(key).put(key, data)

    def put_file(self, key: str, path: Path) -> StoredObject:
        return self._of(key).put_file(key, path)

    def get(self, key: str) -> bytes:
        return self._of(key).get(key)

    def local(self, key: str) -> AbstractContextManager[Path]:
        return self._of(key).local(key)

    def keys(self, prefix: str) -> Iterator[str]:
        store, slash, _ = check_prefix(prefix).partition("/")
        if slash:
            return self._by_store.get(store, self._root).keys(prefix)
        # A prefix that ends within the first part may reach several stores.
        apart = [each.keys(f"{name}/") for name, each in self._by_store.items() if name.startswith(prefix)]
        together = (key for key in self._root.keys(prefix) if key.partition("/")[0] not in self._by_store)
        return heapq.merge(together, *apart)

    def exists(self, key: str) -> bool:
        return self._of(key).exists(key)

    def _of(self, key: str) -> ObjectStore:
        return self._by_store.get(check_key(key).partition("/")[0], self._root)


def open_store(stores: Stores, folder: Path) -> ObjectStore:
    """The store of `[stores]`; relative directories begin at `folder`. Nothing is opened yet.

    Raises WrongConfiguration for a URL or a name of a store that is not known.
    """
    unknown = sorted(set(stores.by_store) - set(STORES))
    if unknown:
        raise WrongConfiguration(
            f"stores.by_store: there is no store {unknown[0]!a}; the stores are {', '.join(STORES)}"
        )
    root = store_at(stores.root, folder, endpoint=stores.s3_endpoint, setting="stores.root")
    if not stores.by_store:
        return root
    by_store = {
        name: store_at(url, folder, endpoint=stores.s3_endpoint, setting=f"stores.by_store.{name}")
        for name, url in stores.by_store.items()
    }
    return DividedStore(root, by_store)


def store_at(url: str, folder: Path, *, endpoint: str = "", setting: str = "stores.root") -> ObjectStore:
    """The store at `file:DIR` or `s3://bucket/prefix`. Raises WrongConfiguration, naming the setting."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    match parts.scheme:
        case "file" if not parts.netloc and parts.path.strip("/") and not (parts.query or parts.fragment):
            return FileStore(folder / parts.path)
        case "s3" if parts.netloc and "@" not in parts.netloc and not (parts.query or parts.fragment):
            return S3Store(parts.netloc, parts.path, endpoint)
        case _:
            raise WrongConfiguration(f"{setting}: found {url!a}, allowed are file:DIR and s3://bucket/prefix")
