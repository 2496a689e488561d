"""Checks that curated objects are what curation recorded, before anything of them enters a file (I1).

Counts, sums and row hashes are compared as well, but none of them covers an account number that was changed in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from payments.errors import Tampered
from payments.hashing import sha256_of
from payments.keys import ChunkKey
from payments.ports import Ledger, ObjectStore
from transfer.candidates import Slice


class ChunkTampered(Tampered):
    """The stored bytes of a curated chunk are not those that were recorded."""

    def __init__(self, key: ChunkKey) -> None:
        super().__init__(
            f"object {key.curated} is not as it was curated; nothing of it is sent",
            next_step="Restore the object from its copy; `tieout prove` shows the recorded hash.",
        )
        self.key = key


def check_curated(ledger: Ledger, store: ObjectStore, slices: Sequence[Slice], *, progress: Callable[[], None]) -> None:
    """Every curated object that the slices read, once. Raises ChunkTampered."""
    keys = list(dict.fromkeys(each.key for each in slices))
    with ledger.begin() as tx:
        chunks = [tx.chunks.get(key.source, key.run, key.chunk) for key in keys]
    for key, chunk in zip(keys, chunks, strict=True):
        progress()
        with store.local(key.curated) as path:
            if chunk is None or sha256_of(path) != chunk.curated_sha256:
                raise ChunkTampered(key)
