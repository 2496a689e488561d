"""Checks that curated objects are what curation recorded, before anything of them enters a file (I1).

Counts, sums and row hashes are compared as well, but none of them covers an account number that was changed in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from payments.errors import NotStored, Tampered
from payments.hashing import sha256_of
from payments.keys import ChunkKey
from payments.ports import Ledger, ObjectStore
from transfer.candidates import Slice


class ChunkTampered(Tampered):
    """The stored bytes of a curated chunk are not those that were recorded, or are not there; `what` says which."""

    def __init__(self, key: ChunkKey, what: str = "is not as it was curated") -> None:
        super().__init__(
            f"object {key.curated} {what}; nothing of it is sent",
            next_step="Restore the object from its copy; `tieout prove` shows the recorded hash.",
        )
        self.key, self.what = key, what


def check_curated(ledger: Ledger, store: ObjectStore, slices: Sequence[Slice], *, progress: Callable[[], None]) -> None:
    """Every curated object that the slices read, once. Raises ChunkTampered."""
    keys = list(dict.fromkeys(each.key for each in slices))
    with ledger.begin() as tx:
        chunks = [tx.chunks.get(key.source, key.run, key.chunk) for key in keys]
    for key, chunk in zip(keys, chunks, strict=True):
        progress()
        try:
            with store.local(key.curated) as path:
                if chunk is None or sha256_of(path) != chunk.curated_sha256:
                    raise ChunkTampered(key)
        except NotStored as error:
            # One run whose object somebody deleted must not keep all others from leaving.
            raise ChunkTampered(key, "is missing") from error
