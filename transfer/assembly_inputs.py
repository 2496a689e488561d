"""Gathers what an assembly folds: completed runs, the pool, files whose rows come back; from the ledger or from its plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from payments.books import Total
from payments.config import Configuration
from payments.keys import ChunkKey, index_key, pool_key
from payments.ports import ObjectStore, Transaction
from payments.records import Assembly, Chunk, OutboundFile, Run
from payments.states import Outcome
from payments.tables import INDEX
from transfer.candidates import Slice, located, of_run
from transfer.fold import latest_date
from transfer.planning import business_date

RETURN_ASKED = 0
"""Value of `OutboundFile.returned_in` when a person asked for its rows and no assembly took them yet."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that the bytes of an assembly depend on, beside the configuration."""

    ordinal: int
    created_at: datetime
    runs: list[Run]
    chunks: list[ChunkKey]
    returned: list[OutboundFile]
    previous_pool: Total
    gone_back: frozenset[str]  # file_id of closed files whose rows an earlier assembly took back


def is_pending(tx: Transaction, configuration: Configuration, now: datetime) -> bool:
    """Whether an assembly has something to do: a plan to finish, a curated run, rows asked back, a pool that is due."""
    if tx.assemblies.count(state="planned") or tx.runs.count(state="curated"):
        return True
    if tx.files.count(returned_in=RETURN_ASKED):
        return True
    last = next(iter(tx.assemblies.find(order="-ordinal", limit=1)), None)
    due = {} if last is None else last.plan["pool_due"]
    return any(
        date.fromisoformat(due[each.name]) <= latest_date(business_date(each, now), each.send_ahead_days)
        for each in configuration.acquirer
        if each.name in due
    )


def gather(tx: Transaction, now: datetime) -> Inputs:
    """The inputs of a new assembly."""
    last = next(iter(tx.assemblies.find(order="-ordinal", limit=1)), None)
    ordinal = 1 if last is None else last.ordinal + 1
    runs = tx.runs.find(state="curated")
    return Inputs(
        ordinal=ordinal,
        created_at=now,
        runs=runs,
        chunks=_chunks(tx, runs),
        returned=tx.files.find(returned_in=RETURN_ASKED),
        previous_pool=Total() if last is None else last.pool,
        gone_back=_gone_back(tx, ordinal),
    )


def inputs_of_plan(tx: Transaction, assembly: Assembly) -> Inputs:
    """The inputs of an assembly that was planned before: whatever came later does not enter."""
    runs = [run for source, ordinal in assembly.plan["runs"] if (run := tx.runs.get(source, ordinal)) is not None]
    files = [file for each in assembly.plan["returned"] if (file := tx.files.get(each)) is not None]
    previous = tx.assemblies.get(assembly.ordinal - 1)
    return Inputs(
        ordinal=assembly.ordinal,
        created_at=assembly.created_at,
        runs=runs,
        chunks=_chunks(tx, runs),
        returned=files,
        previous_pool=Total() if previous is None else previous.pool,
        gone_back=_gone_back(tx, assembly.ordinal),
    )


def _gone_back(tx: Transaction, ordinal: int) -> frozenset[str]:
    """Not those of this very assembly, whether it is planned yet or not: its rows are among its candidates."""
    return frozenset(
        file.file_id for file in tx.files.find() if RETURN_ASKED < (file.returned_in or RETURN_ASKED) < ordinal
    )


def _chunks(tx: Transaction, runs: list[Run]) -> list[ChunkKey]:
    keys = []
    for run in runs:
        chunks: list[Chunk] = tx.chunks.find(source=run.source, run=run.ordinal)
        keys += [ChunkKey(run.source, run.business_date, run.ordinal, each.ordinal) for each in chunks]
    return keys


def slices_of(store: ObjectStore, inputs: Inputs) -> list[Slice]:
    """In the fixed order of the plan: returned rows, the pool, new rows; each by source, run, chunk and row."""
    slices: list[Slice] = []
    for file in inputs.returned:
        rows = _assigned_to(store, file)
        slices += located(rows, "returned", returned_from=file.file_id)
    if inputs.ordinal > 1:
        with store.local(pool_key(inputs.ordinal - 1)) as path:
            pool = pq.read_table(path, schema=INDEX)
        slices += located(pool, "pool")
    return slices + of_run(inputs.chunks)


def _assigned_to(store: ObjectStore, file: OutboundFile) -> pa.Table:
    """The rows of one file, from the index segment of its assembly."""
    with store.local(index_key(file.assembly)) as path:
        table = pq.read_table(path, filters=pc.field("file_id") == file.file_id)
    return table.filter(pc.equal(table["outcome"], Outcome.ASSIGNED))
