"""Writes the index segment and the pool of one assembly, sorted by payment_id, without holding them in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from payments.ports import ObjectStore
from payments.records import OutboundFile
from payments.states import Outcome
from payments.tables import CURATED, INDEX
from transfer.candidates import Slice
from transfer.fold import CODES, Folded

FROM_CURATED = [name for name in INDEX.names if name in CURATED.names]
ROWS_PER_BUCKET = 65_536
HEX_DIGITS = 16


def write_segments(
    store: ObjectStore,
    slices: Sequence[Slice],
    folded: Folded,
    file_of: Sequence[np.ndarray],
    files: Sequence[OutboundFile],
    folder: Path,
) -> tuple[Path, Path]:
    """(index segment, pool) as Parquet files in `folder`; each row of the slices is in exactly one of them."""
    rows = sum(len(codes) for codes in folded.codes)
    digits = 0
    while rows > ROWS_PER_BUCKET * HEX_DIGITS**digits:
        digits += 1
    index, pool = _Buckets(folder, "index", digits), _Buckets(folder, "pool", digits)
    for number, each in enumerate(slices):
        table = _outcomes(each.read(store, FROM_CURATED), number, folded, file_of[number], files)
        unassigned = pc.equal(table["outcome"], Outcome.UNASSIGNED)
        index.add(table.filter(pc.invert(unassigned)))
        pool.add(table.filter(unassigned))
    return index.merge(), pool.merge()


def _outcomes(
    table: pa.Table, number: int, folded: Folded, place: np.ndarray, files: Sequence[OutboundFile]
) -> pa.Table:
    """The slice in the shape of INDEX."""
    codes = pa.array(folded.codes[number].astype(np.int64))
    outcome = pa.array([str(pair[0]) for pair in CODES]).take(codes)
    reason = pa.array([str(pair[1]) or None for pair in CODES], pa.string()).take(codes)
    file = pa.array(place.astype(np.int64), mask=place < 0)
    twins: list[str | None] = [None] * len(table)
    for (slice_, row), twin in folded.twins.items():
        if slice_ == number:
            twins[row] = twin
    columns = {
        **{name: table[name] for name in FROM_CURATED},
        "outcome": outcome,
        "reason": reason,
        "twin": pa.array(twins, pa.string()),
        "file_id": pa.array([each.file_id for each in files], pa.string()).take(file),
        "generation": pa.array([each.generation for each in files], pa.int32()).take(file),
    }
    return pa.table([columns[name] for name in INDEX.names], schema=INDEX)


class _Buckets:
    """Spools rows by the first hex digits of payment_id, then writes bucket after bucket, each sorted: a radix sort."""

    def __init__(self, folder: Path, name: str, digits: int) -> None:
        self._folder, self._name, self._digits = folder, name, digits
        self._writers: dict[str, tuple[pa.OSFile, pa.ipc.RecordBatchStreamWriter]] = {}

    def add(self, table: pa.Table) -> None:
        if not len(table):
            return
        heads = pc.utf8_slice_codeunits(table["payment_id"], 0, self._digits)
        for head in sorted(pc.unique(heads).to_pylist()):
            part = table.filter(pc.equal(heads, head)) if self._digits else table
            if head not in self._writers:
                sink = pa.OSFile(str(self._path(head)), "wb")
                self._writers[head] = (sink, pa.ipc.new_stream(sink, INDEX))
            self._writers[head][1].write_table(part)

    def merge(self) -> Path:
        target = self._folder / f"{self._name}.parquet"
        with pq.ParquetWriter(target, INDEX, compression="zstd") as writer:
            for head in sorted(self._writers):
                sink, stream = self._writers[head]
                stream.close()
                sink.close()
                with pa.OSFile(str(self._path(head)), "rb") as source:
                    table = pa.ipc.open_stream(source).read_all()
                order = [
                    ("payment_id", "ascending"),
                    ("run", "ascending"),
                    ("chunk", "ascending"),
                    ("row", "ascending"),
                ]
                writer.write_table(table.take(pc.sort_indices(table, sort_keys=order)))
                self._path(head).unlink()
        return target

    def _path(self, head: str) -> Path:
        return self._folder / f"{self._name}-{head}.arrows"
