"""Takes the payments of one outbound file in file order, refuses what no file may hold, and counts what was taken.

The writers see batches of exactly ROWS_PER_BATCH rows (the last one shorter), whatever batches came in: so the bytes of a
file do not depend on how its payments were stored (I4), and memory is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from formats.header import FileHeader
from payments.books import Total
from payments.currencies import MINOR_UNITS
from payments.errors import BooksOff, SetAside
from payments.totals import total_of_columns

ROWS_PER_BATCH = 50_000

REQUIRED = (
    "payment_id",
    "end_to_end_id",
    "direction",
    "amount_minor",
    "currency",
    "minor_unit",
    "requested_date",
)
TEXTS = (
    "debtor_name",
    "debtor_account",
    "debtor_agent",
    "creditor_name",
    "creditor_account",
    "creditor_agent",
    "purpose",
    "remittance_unstructured",
)
COLUMNS = (*REQUIRED, *TEXTS)
"""The columns of payments.tables.CURATED that a writer uses; others are left alone."""

NO_HASHES = pa.nulls(0, pa.binary(32))  # pa.array looks for pandas: not while this is imported


class CountedRows:
    """The rows of one file, once. Iterate to the end, then `check`: only then may a trailer be written."""

    def __init__(self, header: FileHeader, batches: Iterable[pa.RecordBatch | pa.Table]) -> None:
        self.header = header
        self.total = Total()
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches with exactly COLUMNS. Raises SetAside, naming the payment, for a row that no file may hold."""
        for table in _rebatched(self._batches):
            batch = table.combine_chunks().to_batches()[0]
            _check_required(batch)
            self.total += total_of_columns(batch["amount_minor"], batch["currency"], batch["direction"], NO_HASHES)
            yield batch

    def check(self) -> None:
        """Raises BooksOff when the rows taken are not the rows that the header claims."""
        if not self.total.same_money(self.header.total):
            raise BooksOff(
                f"file {self.header.name}: {self.total.count} payments were written where the plan claims "
                f"{self.header.total.count}, or their sums differ: "
                f"{_sums(self.total)} written, {_sums(self.header.total)} planned"
            )


def refuse_where(batch: pa.RecordBatch, refused: pa.Array, why: str) -> None:
    """Raise SetAside naming the first payment where `refused` (bool, one per row) is true; null counts as false."""
    at = pc.index(refused, pa.scalar(True)).as_py()
    if at < 0:
        return
    raise SetAside(
        f"payment {batch['payment_id'][at].as_py()}: {why}",
        next_step="The payment cannot be put into this acquirer's format: correct it at the source or route it elsewhere.",
    )


def _rebatched(batches: Iterable[pa.RecordBatch | pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of exactly ROWS_PER_BATCH rows, the last one shorter, none empty."""
    waiting: list[pa.Table] = []
    rows = 0
    for each in batches:
        waiting.append(pa.table({name: _plain(each.column(name)) for name in COLUMNS}))
        rows += each.num_rows
        while rows >= ROWS_PER_BATCH:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, ROWS_PER_BATCH)
            waiting = [joined.slice(ROWS_PER_BATCH)]
            rows -= ROWS_PER_BATCH
    if rows:
        yield pa.concat_tables(waiting)


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Text as plain strings: a Parquet reader may hand over dictionaries or large strings."""
    is_text = pa.types.is_dictionary(column.type) or pa.types.is_large_string(column.type)
    return pc.cast(column, pa.string()) if is_text else column


def _check_required(batch: pa.RecordBatch) -> None:
    for name in REQUIRED:
        if batch[name].null_count:
            refuse_where(batch, pc.is_null(batch[name]), f"{name} is missing")
    refuse_where(batch, pc.less(batch["amount_minor"], 0), "the amount is negative")
    refuse_where(batch, pc.invert(pc.is_in(batch["direction"], pa.array(["CRDT", "DBIT"]))), "direction is unknown")
    units = pa.array(list(MINOR_UNITS.values()), pa.int8())
    unit = units.take(pc.index_in(batch["currency"], pa.array(list(MINOR_UNITS), pa.string())))
    agrees = pc.fill_null(pc.equal(unit, batch["minor_unit"]), fill_value=False)
    refuse_where(batch, pc.invert(agrees), "minor_unit is not that of its currency in ISO 4217")
    for name in ("end_to_end_id", *TEXTS):
        if b"\0" in text_bytes(batch[name]):
            refuse_where(batch, pc.match_substring(batch[name], "\0"), f"{name} holds a NUL character")


def text_bytes(column: pa.Array) -> bytes:
    """The bytes of all values of a string array, end to end: one search over them is cheaper than one per row."""
    _, offsets, data = column.buffers()
    if data is None or len(column) == 0:
        return b""
    ends = np.frombuffer(offsets, dtype=np.int32)
    first, last = int(ends[column.offset]), int(ends[column.offset + len(column)])
    text: bytes = data.slice(first, last - first).to_pybytes()
    return text


def _sums(total: Total) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(total.amount_minor.items())) or "nothing"
