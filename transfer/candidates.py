"""What an assembly folds: slices of curated chunks, from completed runs, from the pool and from returned files.

Whatever a row is called in between, its values are always read from the one curated object that holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from payments.keys import ChunkKey
from payments.ports import ObjectStore
from payments.states import PoolReason
from payments.tables import CURATED


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of one curated chunk. `rows` are values of its column `row`, None means all; `entry` says where they come from."""

    key: ChunkKey
    rows: np.ndarray | None
    entry: str  # pool | returned | new
    reasons: tuple[str, ...] = ()  # of the pool, per row
    returned_from: str = ""  # file_id

    @property
    def label(self) -> str:
        """Whose promise its rows are: a run's, the pool's or a returned file's."""
        if self.entry == "new":
            return f"run:{self.key.source}:{self.key.run}"
        return f"file:{self.returned_from}" if self.returned_from else "pool"

    def read(self, store: ObjectStore, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of this slice, in order, with the given curated columns (all when None)."""
        wanted = CURATED.names if columns is None else [*columns]
        with store.local(self.key.curated) as path:
            read = wanted if self.rows is None or "row" in wanted else [*wanted, "row"]
            table = pq.read_table(path, columns=read)
        if self.rows is not None:
            # Rows are named by their place in the raw chunk; what was quarantined is missing in the curated one.
            table = table.take(pa.array(np.searchsorted(table["row"].to_numpy(), self.rows)))
        return table.select(wanted)


def located(table: pa.Table, entry: str, *, returned_from: str = "") -> list[Slice]:
    """Slices from rows with locator columns (a pool, or an index), ordered by source, run, chunk and row."""
    names = ["source", "run", "chunk", "row"]
    table = table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in names]))
    columns = [table[name].to_pylist() for name in ("source", "business_date", "run", "chunk", "row")]
    reasons = table["reason"].to_pylist()
    groups: dict[tuple[str, date, int, int], tuple[list[int], list[str]]] = {}
    for source, day, run, chunk, row, reason in zip(*columns, reasons, strict=True):
        rows, why = groups.setdefault((source, day, run, chunk), ([], []))
        rows.append(row)
        why.append(reason or PoolReason.WAITING)
    return [
        Slice(ChunkKey(*key), np.array(rows, dtype=np.int64), entry, tuple(why), returned_from)
        for key, (rows, why) in groups.items()
    ]


def of_run(keys: Iterable[ChunkKey]) -> list[Slice]:
    """Slices of whole chunks of completed runs, in their order."""
    ordered = sorted(keys, key=lambda key: (key.source, key.run, key.chunk))
    return [Slice(key, None, "new") for key in ordered]
