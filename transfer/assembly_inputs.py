"""Gathers what an assembly folds: completed runs, the pool, files whose rows come back; from the ledger or from its plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from payments.books import Total
from payments.config import Configuration
from payments.keys import ChunkKey, index_key, pool_key
from payments.ports import ObjectStore, Transaction
from payments.records import Assembly, Chunk, OutboundFile, Run
from payments.redelivery_lists import payments_in
from payments.states import Outcome
from payments.tables import INDEX
from transfer.assembly_due import Chosen, WindowState, asked_back, chosen_in, chosen_of, window_states
from transfer.business_day import business_date, latest_date
from transfer.candidates import Slice, located, of_run
from transfer.gone_back import GoneBack, gone_back, settled_payments
from transfer.windows import Place
from transfer.windows_firing import last_assembly


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that the bytes of an assembly depend on, beside the configuration."""

    ordinal: int
    created_at: datetime
    runs: list[Run]
    chunks: list[ChunkKey]
    returned: list[OutboundFile]
    previous_pool: Total
    gone_back: GoneBack  # what earlier assemblies took back
    chosen: list[Chosen] = field(default_factory=list)
    settled: frozenset[str] = frozenset()  # payment_id: settled under a closed assignment, and never sent again
    windows: Mapping[str, WindowState] = field(default_factory=dict)  # per acquirer that has any

    @property
    def predecessors(self) -> dict[str, OutboundFile]:
        """By file_id every file of which rows come back."""
        return {file.file_id: file for file in (*self.returned, *(each.file for each in self.chosen))}

    @property
    def places(self) -> dict[str, Place]:
        """Per acquirer with windows the one that takes its rows now; none for those whose rows wait."""
        return {name: state.place for name, state in self.windows.items() if state.place is not None}


def gather(
    tx: Transaction,
    configuration: Configuration,
    now: datetime,
    states: Mapping[str, WindowState] | None = None,
) -> Inputs:
    """The inputs of a new assembly; with `states`, as if windows stood so."""
    last = last_assembly(tx)
    states = window_states(tx, configuration, now) if states is None else states
    ordinal = 1 if last is None else last.ordinal + 1
    runs = tx.runs.find(state="curated")
    return Inputs(
        ordinal=ordinal,
        created_at=now,
        runs=runs,
        chunks=_chunks(tx, runs),
        returned=asked_back(tx, states),
        previous_pool=Total() if last is None else last.pool,
        gone_back=gone_back(tx, ordinal),
        chosen=chosen_of(tx, states),
        settled=settled_payments(tx),
        windows=states,
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
        gone_back=gone_back(tx, assembly.ordinal),
        chosen=chosen_in(tx, assembly.ordinal),
        settled=frozenset(assembly.plan.get("settled", ())),
        windows={
            name: WindowState(date.fromisoformat(state["business_date"]), state["waits"])
            for name, state in assembly.plan.get("windows", {}).items()
        },
    )


def latest_dates(configuration: Configuration, inputs: Inputs) -> dict[str, date]:
    """Per acquirer the latest requested date that may leave with this assembly, or waits for its next window."""
    found = {}
    for each in configuration.acquirer:
        state = inputs.windows.get(each.name)
        day = business_date(each, inputs.created_at) if state is None else state.business_date
        found[each.name] = latest_date(day, each.send_ahead_days)
    return found


def waits_of(inputs: Inputs) -> frozenset[str]:
    """The acquirers whose rows wait for a window."""
    return frozenset(name for name, state in inputs.windows.items() if state.waits)


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
        rows = _without(_assigned_to(store, file), _sent_apart(store, inputs, file.file_id))
        slices += located(rows, "returned", returned_from=file.file_id)
    for each in inputs.chosen:
        rows = _only(_assigned_to(store, each.file), payments_in(store, each.redelivery))
        slices += located(rows, "returned", returned_from=each.file.file_id)
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


def _sent_apart(store: ObjectStore, inputs: Inputs, file_id: str) -> set[str]:
    """The payments that left a file one by one, before or now: when the rest of it goes back, they do not."""
    mine = [each.redelivery for each in inputs.chosen if each.file.file_id == file_id]
    return {
        *inputs.gone_back.payments(store, file_id),
        *(payment for each in mine for payment in payments_in(store, each)),
    }


def _only(table: pa.Table, payments: Collection[str]) -> pa.Table:
    return table.filter(pc.is_in(table["payment_id"], pa.array(sorted(payments), pa.string())))


def _without(table: pa.Table, payments: Collection[str]) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["payment_id"], pa.array(sorted(payments), pa.string()))))
