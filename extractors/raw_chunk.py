"""One raw chunk as Parquet: written from a source's batches, read back when a crash left it in the store.

Bytes are a function of the rows and the chunk's plan: row groups are cut by count, never by how the source grouped its rows.
The plan stands in the file's metadata, so that an object found under our key proves whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from payments.books import Total
from payments.config import SourceSection
from payments.errors import Tampered, WrongConfiguration
from payments.money_columns import read_money
from payments.records import Chunk, Run
from payments.rowhash import row_identity
from payments.run_closing import canonical_json
from payments.tables import HASH, RAW_EXTRA
from payments.totals import total_of_columns

ROWS_PER_GROUP = 50_000
PLAN = b"tieout.plan"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a raw chunk holds."""

    rows: int
    total: Total


def plan_of(run: Run, chunk: Chunk) -> bytes:
    """What was fixed when the run and the chunk were opened, as canonical JSON."""
    return canonical_json(
        {
            "source": run.source,
            "business_date": run.business_date.isoformat(),
            "run": run.ordinal,
            "chunk": chunk.ordinal,
            "opened_at": run.opened_at.isoformat(),
            "lower": chunk.lower,
            "upper": chunk.upper,
        }
    )


def write_raw(
    batches: Iterable[pa.RecordBatch], source: SourceSection, plan: bytes, path: Path, *, beat: Callable[[], None]
) -> Contents:
    """Spool batches to a Parquet file with `_payment_id` and `_row_hash` beside the source's columns, and add them up.

    `beat` is called once per batch. At most one row group is held in memory.
    """
    writer: pq.ParquetWriter | None = None
    rows, total = 0, Total()
    try:
        for group in _groups(batches, beat):
            identities, hashes = row_identity(group, source)
            _refuse_a_key_that_repeats(identities, source)
            whole = group.append_column(RAW_EXTRA.field("_payment_id"), pa.array(identities, pa.string()))
            whole = whole.append_column(RAW_EXTRA.field("_row_hash"), hashes)
            if writer is None:
                schema = whole.schema.with_metadata({PLAN: plan})
                writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=1)
            writer.write_table(whole.cast(writer.schema), row_group_size=ROWS_PER_GROUP)
            rows, total = rows + len(group), total + _total(group, hashes, source)
    finally:
        if writer is not None:
            writer.close()
    return Contents(rows, total)


def read_raw(path: Path, source: SourceSection, plan: bytes, key: str) -> Contents:
    """Rows and total of a stored chunk. Raises Tampered when it is not Parquet, or was written under another plan."""
    rows, total = 0, Total()
    try:
        with pq.ParquetFile(path) as stored:
            if (stored.schema_arrow.metadata or {}).get(PLAN) != plan:
                raise Tampered(
                    f"object {key} exists already and belongs to another run",
                    next_step="The store holds objects of another ledger: restore the ledger they belong to, "
                    "or point `stores` at an empty place.",
                )
            for at in range(stored.num_row_groups):
                group = stored.read_row_group(at, use_threads=False)
                rows, total = rows + len(group), total + _total(group, group["_row_hash"].cast(HASH), source)
    except pa.ArrowInvalid as error:
        raise Tampered(f"object {key} exists already and is not the Parquet that was written") from error
    return Contents(rows, total)


def _refuse_a_key_that_repeats(identities: list[str], source: SourceSection) -> None:
    """Rows of one key would be taken for versions of one payment, and all but the last would never be sent."""
    repeated = len(identities) - len(set(identities))
    if repeated and not source.history:
        raise WrongConfiguration(
            f"source {source.name}: {repeated} of {len(identities)} rows repeat the primary_key of another row",
            next_step="Name every column that tells one payment from another in `primary_key`; or, if the table keeps several "
            "versions of a payment, set `history = true`.",
        )


def _total(rows: pa.Table, hashes: pa.Array | pa.ChunkedArray, source: SourceSection) -> Total:
    money = read_money(rows, source)
    return total_of_columns(money.amount_minor, money.currency, money.direction, hashes)


def _groups(batches: Iterable[pa.RecordBatch], beat: Callable[[], None]) -> Iterator[pa.Table]:
    """The same rows in groups of exactly ROWS_PER_GROUP, the last one smaller; without any row one empty group."""
    held: list[pa.RecordBatch] = []
    count, given = 0, False
    for batch in batches:
        beat()
        held.append(batch)
        count += batch.num_rows
        while count >= ROWS_PER_GROUP:
            table = pa.Table.from_batches(held).combine_chunks()
            yield table.slice(0, ROWS_PER_GROUP).combine_chunks()
            given, count = True, count - ROWS_PER_GROUP
            held = table.slice(ROWS_PER_GROUP).to_batches() or [batch.slice(batch.num_rows)]
    if held and (count or not given):
        yield pa.Table.from_batches(held).combine_chunks()
