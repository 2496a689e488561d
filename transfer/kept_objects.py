"""Keeps the objects that assemble fetches until it ends: it reads each curated one about ten times, and S3 charges every time.

Objects never change, and each assembly hashes all of them first: what it reads later are the very bytes that it hashed. Whoever
assembles next fetches and hashes anew, so that an object that was exchanged meanwhile is found.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from payments.ports import ObjectStore, StoredObject

CURATED = "curated/"
BYTES_MAX = 1 << 30
"""A quarter of the spool of a function. What comes later is fetched each time: the passes go round all objects, so that
forgetting the oldest would forget each one just before it is wanted."""
OBJECTS_MAX = 10_000
FREE_MIN = 512 << 20
"""For what assemble writes itself. A disk that has no more free works as if nothing were kept."""


@contextmanager
def kept_objects(store: ObjectStore, *, bytes_max: int = BYTES_MAX) -> Iterator[ObjectStore]:
    """The same store, whose curated objects stay on this machine, up to `bytes_max`, for as long as the context lasts."""
    with ExitStack() as held:
        yield _KeptObjects(store, held, bytes_max)


class _KeptObjects:
    """An ObjectStore that does not let go of what `local` gave it: in a directory nothing is copied for that."""

    def __init__(self, store: ObjectStore, held: ExitStack, bytes_max: int) -> None:
        self._store = store
        self._held = held
        self._left = bytes_max
        self._paths: dict[str, Path] = {}

    def put(self, key: str, data: bytes) -> StoredObject:
        return self._store.put(key, data)

    def put_file(self, key: str, path: Path) -> StoredObject:
        return self._store.put_file(key, path)

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def local(self, key: str) -> AbstractContextManager[Path]:
        return self._local(key)

    def keys(self, prefix: str) -> Iterator[str]:
        return self._store.keys(prefix)

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    @contextmanager
    def _local(self, key: str) -> Iterator[Path]:
        if key in self._paths:
            yield self._paths[key]
            return
        with ExitStack() as stack:
            path = stack.enter_context(self._store.local(key))
            size = path.stat().st_size
            if key.startswith(CURATED) and size <= self._left and self._has_room(path):
                self._left -= size
                self._paths[key] = path
                self._held.push(stack.pop_all())
            yield path

    def _has_room(self, path: Path) -> bool:
        return len(self._paths) < OBJECTS_MAX and shutil.disk_usage(path.parent).free >= FREE_MIN
