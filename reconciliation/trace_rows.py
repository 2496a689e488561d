"""Finds every row of a payment in the stores: raw, quarantined or curated, and what each assembly made of it.

Only columns without names and accounts are ever read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from payments.config import Configuration
from payments.errors import Expired, Unreadable
from payments.keys import ChunkKey, index_key, pool_key
from payments.ports import ObjectStore
from payments.records import Assembly, Chunk, Run
from payments.tables import INDEX
from reconciliation import recount

PLACE = ("source", "business_date", "run", "chunk", "row")
MONEY = ("acquirer", "end_to_end_id", "direction", "amount_minor", "currency", "requested_date", "stopped")
CURATED = ("payment_id", *PLACE, "row_hash", *MONEY)
QUARANTINED = (
    "payment_id",
    "source_pk",
    *PLACE,
    "row_hash",
    "end_to_end_id",
    "direction",
    "amount_minor",
    "currency",
    "reasons",
    "twin",
)
FATE = ("outcome", "reason", "twin", "file_id", "generation")


@dataclass(slots=True)
class Search:
    """Where was looked and what could not be read; `wanted` is a payment reference or a payment_id."""

    store: ObjectStore
    wanted: str
    looked_in: dict[str, int] = field(default_factory=dict)  # store -> objects
    problems: list[str] = field(default_factory=list)
    expired: dict[str, str] = field(default_factory=dict)  # key -> when a lifecycle rule removed it

    def rows(self, key: str, columns: Sequence[str], condition: pc.Expression) -> list[dict[str, Any]]:
        """The rows of one Parquet object that satisfy the condition; what cannot be read is a problem, not an end."""
        try:
            with self.object(key) as path:
                return recount.rows_where(path, columns, condition)
        except Unreadable as error:
            self.unread(key, error)
            return []

    def unread(self, key: str, error: Unreadable) -> None:
        """Keep why an object was not read: what expired as declared is no problem, and is said all the same."""
        if isinstance(error, Expired):
            self.expired[key] = f"{error.at:%Y-%m-%d}"
        else:
            self.problems.append(f"{key}: {error}")

    def object(self, key: str) -> AbstractContextManager[Path]:
        """The stored object as a file. Raises Unreadable."""
        kind = key.partition("/")[0]
        self.looked_in[kind] = self.looked_in.get(kind, 0) + 1
        return self.store.local(key)


def by_identity(identities: Iterable[str]) -> pc.Expression:
    return pc.field("payment_id").isin(sorted(identities))


def by_either(wanted: str) -> pc.Expression:
    return (pc.field("payment_id") == wanted) | (pc.field("end_to_end_id") == wanted)


def fates(search: Search, assemblies: Sequence[Assembly], condition: pc.Expression) -> list[dict[str, Any]]:
    """Rows of the index segments and pools, oldest assembly first, each with `assembly` beside the columns of INDEX."""
    found = []
    for assembly in assemblies:
        for key in (index_key(assembly.ordinal), pool_key(assembly.ordinal)):
            found += [{**row, "assembly": assembly.ordinal} for row in search.rows(key, INDEX.names, condition)]
    return found


def curated_only(search: Search, chunks: Sequence[tuple[Run, Chunk]], condition: pc.Expression) -> list[dict[str, Any]]:
    """Rows of curated chunks that no assembly took yet; all others are in an index or a pool."""
    waiting = [key_of(run, chunk).curated for run, chunk in chunks if run.assembly is None and chunk.state == "curated"]
    return [row for key in waiting for row in search.rows(key, CURATED, condition)]


def quarantined(search: Search, chunks: Sequence[tuple[Run, Chunk]], condition: pc.Expression) -> list[dict[str, Any]]:
    """Refused rows with their reasons; the ledger says which chunks have any."""
    keys = [key_of(run, chunk).quarantine for run, chunk in chunks if chunk.quarantined.count]
    return [row for key in keys for row in search.rows(key, QUARANTINED, condition)]


def raw_only(
    search: Search, chunks: Sequence[tuple[Run, Chunk]], configuration: Configuration, identities: set[str]
) -> list[dict[str, Any]]:
    """Rows of raw chunks that are not curated yet, or never will be, by identity or by the source's own reference column."""
    found = []
    for run, chunk in chunks:
        if not chunk.raw_sha256 or chunk.state == "curated":
            continue
        source = configuration.source_named(run.source)
        theirs = source.columns.get("end_to_end_id") if source is not None else None
        key = key_of(run, chunk)
        condition = pc.field("_payment_id").isin(sorted({*identities, search.wanted}))
        if theirs is not None:
            condition |= pc.field(theirs).cast("string") == search.wanted
        place = {"source": run.source, "business_date": run.business_date, "run": run.ordinal, "chunk": chunk.ordinal}
        found += [
            {**place, "row": None, "payment_id": row["_payment_id"], "row_hash": row["_row_hash"]}
            for row in search.rows(key.raw, ("_payment_id", "_row_hash"), condition)
        ]
    return found


def in_raw(search: Search, row: dict[str, Any]) -> str:
    """Whether the raw object holds this very row in its place: yes, when it expired, or what is there instead."""
    key = ChunkKey(row["source"], row["business_date"], row["run"], row["chunk"]).raw
    start = 0
    try:
        with search.object(key) as path:
            for table in recount.batches(path, ("_payment_id", "_row_hash")):
                at = row["row"] - start
                if at < len(table):
                    there = (table["_payment_id"][at].as_py(), table["_row_hash"][at].as_py())
                    return "yes" if there == (row["payment_id"], row["row_hash"]) else "another row"
                start += len(table)
    except Unreadable as error:
        search.unread(key, error)
        return f"expired {search.expired[key]}" if key in search.expired else "not readable"
    return "fewer rows"


def key_of(run: Run, chunk: Chunk) -> ChunkKey:
    return ChunkKey(run.source, run.business_date, run.ordinal, chunk.ordinal)
