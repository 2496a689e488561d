"""Folds candidates into outcomes: one code per row, every row exactly once.

Two passes keep memory small: the first keeps two 64-bit hashes per row and finds the few rows that could touch each
other (or an earlier assignment); only those are compared by value. A hash that collides only sends a row the long way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from payments.ports import ObjectStore
from payments.states import Outcome, PoolReason
from transfer.candidates import Slice
from transfer.gone_back import GoneBack
from transfer.versions import Assigned, Findings, Row, fold_versions

KEY_COLUMNS = ("payment_id", "acquirer", "end_to_end_id")
ROW_COLUMNS = (*KEY_COLUMNS, "content_hash", "stopped", "requested_date")
INDEX_COLUMNS = ("payment_id", "acquirer", "end_to_end_id", "content_hash", "stopped", "outcome", "file_id")
BATCH_ROWS = 50_000

SEND = 0
"""Outcome code of a row that may be sent; the codes below are not sent."""
CODES: tuple[tuple[str, str], ...] = (
    (Outcome.ASSIGNED, ""),
    (Outcome.UNASSIGNED, PoolReason.WAITING),
    (Outcome.UNASSIGNED, PoolReason.FUTURE_DATED),
    (Outcome.UNASSIGNED, PoolReason.CHANGED_AFTER_SEALED),
    (Outcome.DUPLICATE, ""),
    (Outcome.SUPERSEDED, ""),
    (Outcome.UNCHANGED, ""),
    (Outcome.WITHDRAWN, ""),
    (Outcome.UNASSIGNED, PoolReason.SETTLED),
)
"""Code -> (outcome, pool reason)."""
_CODE = {pair: code for code, pair in enumerate(CODES)}
WAIT = _CODE[(Outcome.UNASSIGNED, PoolReason.WAITING)]
EARLY = _CODE[(Outcome.UNASSIGNED, PoolReason.FUTURE_DATED)]


@dataclass(slots=True)
class Folded:
    """Per slice an array of codes, and what was found beside them, by (slice, row in slice).

    `twins` points at the payment_id that holds the reference, `successors` at the closed file whose place a row takes.
    """

    codes: list[np.ndarray]
    twins: dict[tuple[int, int], str] = field(default_factory=dict)
    successors: dict[tuple[int, int], str] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    earliest: dict[str, date] = field(default_factory=dict)
    """Per acquirer the first requested date among rows that are too early now."""


def fold(
    store: ObjectStore,
    slices: Sequence[Slice],
    segments: Sequence[str],
    last_date: Mapping[str, date],
    *,
    gone_back: GoneBack | None = None,
    settled: Collection[str] = (),
    waits: Collection[str] = (),
    progress: Callable[[], None] = lambda: None,
) -> Folded:
    """Decide every row of `slices` against each other and against the index `segments` (keys, oldest first).

    `last_date` is, per acquirer, the latest requested date that may be sent now. `gone_back` are closed files
    and chosen payments that an earlier assembly took back: having been in one of them is no assignment any more. No row
    of the payments `settled` (payment_id) is sent. Rows of the acquirers in `waits` wait for a window: `last_date` is then
    that of the window.
    """
    payments, references = _all_hashes(store, slices)
    progress()
    touching = _repeated(payments)
    touching |= _repeated(references)
    known = _from_index(store, segments, np.sort(payments), np.sort(references)) if segments else _Known()
    progress()
    index_payments, index_references = known.hashes()
    touching |= np.isin(payments, index_payments) | np.isin(references, index_references)
    touching |= np.isin(payments, np.fromiter(map(hash, settled), np.int64, len(settled)))
    folded = Folded(codes=[])
    rows: list[tuple[int, int, Row]] = []
    start = 0
    early: list[_Early] = []
    for number, each in enumerate(slices):
        table = each.read(store, ROW_COLUMNS)
        folded.codes.append(_alone(table, last_date, waits))
        early.append(_early(table, folded.codes[-1]))
        mask = touching[start : start + len(table)]
        rows += _rows(table, np.flatnonzero(mask), each, number, start)
        start += len(table)
        progress()
    back = gone_back or GoneBack()
    newest = {payment: each for payment, each in known.newest.items() if not back.has(store, each.file_id, payment)}
    folded.findings = fold_versions([row for _, _, row in rows], newest, known.assigned, settled)
    for number, position, row in rows:
        if row.outcome:
            folded.codes[number][position] = _CODE[(row.outcome, row.reason)]
        if row.twin:
            folded.twins[(number, position)] = row.twin
        if row.position in folded.findings.successors:
            folded.successors[(number, position)] = folded.findings.successors[row.position]
    for codes, dates in zip(folded.codes, early, strict=True):
        dates.add_to(folded.earliest, codes)
    return folded


def _hashes(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """(hash of payment_id, hash of acquirer and reference); good inside this process only."""
    count = len(table)
    ids = np.fromiter(map(hash, table["payment_id"].to_pylist()), np.int64, count)
    pairs = zip(table["acquirer"].to_pylist(), table["end_to_end_id"].to_pylist(), strict=True)
    return ids, np.fromiter(map(hash, pairs), np.int64, count)


def _all_hashes(store: ObjectStore, slices: Sequence[Slice]) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of every row of the slices. Eight bytes each, and never twice in memory: this is what grows with the rows."""
    payments: list[np.ndarray] = [np.zeros(0, np.int64)]
    references: list[np.ndarray] = [np.zeros(0, np.int64)]
    for each in slices:
        ids, pairs = _hashes(each.read(store, KEY_COLUMNS))
        payments.append(ids)
        references.append(pairs)
    all_payments = np.concatenate(payments)
    payments.clear()
    return all_payments, np.concatenate(references)


def _repeated(values: np.ndarray) -> np.ndarray:
    """True where a value occurs more than once."""
    ordered = np.sort(values)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return np.isin(values, twice) if len(twice) else np.zeros(len(values), bool)


@dataclass(slots=True)
class _Known:
    """Earlier assignments that touch a candidate."""

    assigned: list[Assigned] = field(default_factory=list)
    newest: dict[str, Assigned] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any]) -> None:
        """One row of the index, in the order in which the source gave the versions of a payment."""
        payment = row["payment_id"]
        if row["outcome"] == Outcome.ASSIGNED:
            found = Assigned(payment, row["content_hash"], row["acquirer"], row["end_to_end_id"], row["file_id"])
            self.assigned.append(found)
            self.newest[payment] = found
        elif payment in self.newest:
            self.newest[payment] = replace(self.newest[payment], stopped=row["stopped"])

    def hashes(self) -> tuple[np.ndarray, np.ndarray]:
        ids = [hash(each.payment_id) for each in self.assigned]
        pairs = [hash((each.acquirer, each.reference)) for each in self.assigned]
        return np.array(ids, np.int64), np.array(pairs, np.int64)


def _from_index(store: ObjectStore, segments: Sequence[str], payments: np.ndarray, references: np.ndarray) -> _Known:
    """Every earlier assignment of a payment or reference at hand, from oldest to newest segment."""
    known = _Known()
    for batch in _index_batches(store, segments):
        ids, pairs = _hashes(batch)
        near = np.flatnonzero(_in_sorted(ids, payments) | _in_sorted(pairs, references))
        for row in batch.take(pa.array(near)).to_pylist():
            known.add(row)
    return known


def _index_batches(store: ObjectStore, segments: Sequence[str]) -> Iterator[pa.Table]:
    for key in segments:
        with store.local(key) as path, pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=list(INDEX_COLUMNS)):
                yield pa.Table.from_batches([batch])


def _in_sorted(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    if not len(ordered):
        return np.zeros(len(values), bool)
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    found: np.ndarray = ordered[place] == values
    return found


@dataclass(frozen=True, slots=True)
class _Early:
    """The rows of one slice that are future dated: their positions, and per row what `earliest` needs."""

    rows: np.ndarray
    requested: np.ndarray
    acquirers: np.ndarray

    def add_to(self, earliest: dict[str, date], codes: np.ndarray) -> None:
        """Only rows that stay in the pool for their date: others must not wake an assembly that has nothing to send."""
        waiting = codes[self.rows] == EARLY
        for name in np.unique(self.acquirers[waiting]):
            first = self.requested[waiting & (self.acquirers == name)].min().astype("datetime64[D]").item()
            earliest[name] = min(first, earliest.get(name, first))


def _early(table: pa.Table, codes: np.ndarray) -> _Early:
    rows = np.flatnonzero(codes == EARLY)
    kept = table.select(["requested_date", "acquirer"]).take(pa.array(rows))
    return _Early(rows, kept["requested_date"].to_numpy(), kept["acquirer"].to_numpy(zero_copy_only=False))


def _alone(table: pa.Table, last_date: Mapping[str, date], waits: Collection[str]) -> np.ndarray:
    """Codes by the row's own values: stopped, future dated, waiting, or to be sent."""
    codes = np.zeros(len(table), np.int16)
    requested = table["requested_date"].to_numpy()
    acquirers = table["acquirer"].to_numpy(zero_copy_only=False)
    for name in np.unique(acquirers):
        limit = np.datetime64(last_date[name]) if name in last_date else None
        mine = acquirers == name
        if limit is None or name in waits:  # also those of an acquirer that is no longer configured
            codes[mine] = WAIT
        if limit is not None:
            codes[mine & (requested > limit)] = EARLY
    codes[table["stopped"].to_numpy(zero_copy_only=False)] = _CODE[(Outcome.WITHDRAWN, "")]
    return codes


def _rows(table: pa.Table, positions: np.ndarray, each: Slice, number: int, start: int) -> list[tuple[int, int, Row]]:
    """The rows that touch others, by value."""
    found = []
    for position, row in zip(positions.tolist(), table.take(pa.array(positions)).to_pylist(), strict=True):
        found.append(
            (
                number,
                position,
                Row(
                    position=start + position,
                    payment_id=row["payment_id"],
                    content_hash=row["content_hash"],
                    acquirer=row["acquirer"],
                    reference=row["end_to_end_id"],
                    stopped=row["stopped"],
                    returned_from=each.returned_from,
                    was=each.reasons[position] if each.reasons else "",
                ),
            )
        )
    return found
