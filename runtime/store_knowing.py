"""Says of an object that is not in the store why, where the ledger was told: it expired, or somebody deleted it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from payments.deletions import LIFECYCLE, Deletion, said
from payments.errors import Expired, Gone, NotStored
from payments.ports import ObjectStore, StoredObject

End = Callable[[str], Deletion | None]
"""What the ledger knows of the end of the object under a key."""


class KnowingStore:
    """An ObjectStore that asks the ledger where an object is missing, and only then."""

    def __init__(self, store: ObjectStore, end: End) -> None:
        self._store = store
        self._end = end

    def put(self, key: str, data: bytes) -> StoredObject:
        return self._store.put(key, data)

    def put_file(self, key: str, path: Path) -> StoredObject:
        return self._store.put_file(key, path)

    def get(self, key: str) -> bytes:
        with self._explained(key):
            return self._store.get(key)

    def local(self, key: str) -> AbstractContextManager[Path]:
        return self._local(key)

    def keys(self, prefix: str) -> Iterator[str]:
        return self._store.keys(prefix)

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    @contextmanager
    def _local(self, key: str) -> Iterator[Path]:
        with ExitStack() as stack:
            with self._explained(key):
                path = stack.enter_context(self._store.local(key))
            yield path

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except NotStored as error:
            end = self._end(key)
            if end is None:
                raise
            kind = Expired if end.cause == LIFECYCLE else Gone
            raise kind(f"object {key!a} {said(end)}", at=end.deleted_at) from error
