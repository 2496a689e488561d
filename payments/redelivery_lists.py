"""Reads and writes the stored list of chosen payments that go again: one row per payment, ordered by payment_id."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from payments.errors import Tampered
from payments.ports import ObjectStore
from payments.redeliveries import Redelivery, key_of, list_hash
from payments.tables import EXPECTED

COLUMNS = ("payment_id", "end_to_end_id", "row_hash", "direction", "amount_minor", "currency")
LISTED = pa.schema([EXPECTED.field(name) for name in COLUMNS])


def listed(expected: pa.Table) -> pa.Table:
    """Some payments of a file (EXPECTED) in the shape of a list."""
    table = expected.select(COLUMNS).cast(LISTED)
    return table.take(pc.sort_indices(table, sort_keys=[("payment_id", "ascending")]))


def list_bytes(table: pa.Table) -> bytes:
    """Parquet: the same payments give the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def payments_in(store: ObjectStore, redelivery: Redelivery) -> list[str]:
    """The payment_ids of a list, sorted. Raises Unreadable, and Tampered when it is not the list that was agreed on."""
    with store.local(key_of(redelivery)) as path:
        found: list[str] = pq.read_table(path, columns=["payment_id"])["payment_id"].to_pylist()
    if list_hash(found) != redelivery.list_sha256:
        raise Tampered(
            f"redelivery {redelivery.list_sha256[:12]}: its list is not the one that two people agreed on",
            next_step="Restore the object from a backup; until then nothing of it is sent.",
        )
    return found
