"""Gathers what an assembly folds: completed runs, the pool, files whose rows come back; from the ledger or from its plan."""

from __future__ import annotations

from collections.abc import Mapping
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
from payments.states import Outcome
from payments.tables import INDEX
from transfer.candidates import Slice, located, of_run
from transfer.fold import latest_date
from transfer.planning import business_date
from transfer.windows import Place, local_day
from transfer.windows_firing import last_assembly, measured_against, missed_files, place_now

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
    windows: Mapping[str, WindowState] = field(default_factory=dict)  # per acquirer that has any

    @property
    def places(self) -> dict[str, Place]:
        """Per acquirer with windows the one that takes its rows now; none for those whose rows wait."""
        return {name: state.place for name, state in self.windows.items() if state.place is not None}


@dataclass(frozen=True, slots=True)
class WindowState:
    """How the windows of one acquirer stand: rows go in `place`, or wait for the window of `business_date`.

    Of a plan that is resumed `place` is not known any more: its files are.
    """

    business_date: date
    waits: bool
    place: Place | None = None


def is_pending(tx: Transaction, configuration: Configuration, now: datetime) -> bool:
    """Whether an assembly has something to do: a plan to finish, a curated run, rows asked back, a pool that is due."""
    if tx.assemblies.count(state="planned") or tx.runs.count(state="curated"):
        return True
    last = last_assembly(tx)
    states = window_states(tx, configuration, now)
    if _asked_back(tx, states):
        return True
    due = {} if last is None else last.plan["pool_due"]
    waiting = {} if last is None else last.plan.get("waiting", {})
    for each in configuration.acquirer:
        state = states.get(each.name)
        if missed_files(tx, each, now):
            return True
        if state is not None and state.waits:
            continue
        if each.name in waiting or (state is not None and _fires(state)):
            return True
        day = business_date(each, now) if state is None else state.business_date
        if each.name in due and date.fromisoformat(due[each.name]) <= latest_date(day, each.send_ahead_days):
            return True
    return False


def _fires(state: WindowState) -> bool:
    """Whether a window gathered until now: it fires also when nothing waits for it."""
    return state.place is not None and state.place.occurrence.gathers and not state.place.late


def _asked_back(tx: Transaction, states: Mapping[str, WindowState]) -> list[OutboundFile]:
    """Files whose rows a person asked for, but those of acquirers that take no files now."""
    shut = {name for name, state in states.items() if state.waits}
    return [file for file in tx.files.find(returned_in=RETURN_ASKED) if file.acquirer not in shut]


def window_states(tx: Transaction, configuration: Configuration, now: datetime) -> dict[str, WindowState]:
    """How the windows stand now, per acquirer that has any."""
    last, found = last_assembly(tx), {}
    for each in configuration.acquirer:
        if each.window:
            decision = place_now(tx, each, now, last)
            place = decision if isinstance(decision, Place) else None
            found[each.name] = WindowState(measured_against(decision, local_day(each, now)), place is None, place)
    return found


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
        returned=_asked_back(tx, states),
        previous_pool=Total() if last is None else last.pool,
        gone_back=_gone_back(tx, ordinal),
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
        gone_back=_gone_back(tx, assembly.ordinal),
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
