"""Divides the rows that may be sent into files and gives each its identity, number, name and totals."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import pyarrow as pa

from payments.books import Total
from payments.config import AcquirerSection, Limits
from payments.keys import file_id
from payments.ports import ObjectStore
from payments.records import OutboundFile
from payments.states import FileState, Outcome
from payments.totals import total_of_columns
from transfer.business_day import business_date
from transfer.candidates import Slice
from transfer.file_names import file_name, kind_of
from transfer.fold import CODES, SEND, WAIT, Folded
from transfer.splitting import Measures, Used, measured_columns
from transfer.windows import Place

Lineage = tuple[str, str, int]
"""Acquirer, window and split ordinal."""
NO_FILE = -1
MONEY_COLUMNS = ("acquirer", "amount_minor", "currency", "direction", "row_hash")


@dataclass(slots=True)
class Draft:
    """A file before it has a number. `replaces` is the closed file whose place it takes."""

    acquirer: str
    replaces: str = ""
    rows: int = 0
    total: Total = field(default_factory=Total)
    used: Used = field(default_factory=Used)
    held: str = ""


@dataclass(slots=True)
class Division:
    """Which row goes into which draft (per slice, NO_FILE for none), and the totals of everything."""

    drafts: list[Draft]
    file_of: list[np.ndarray]
    outcomes: dict[str, Total]  # without unassigned
    pool: Total
    seen: dict[str, Total]  # by label of the slice: what was read, to be compared with what was promised
    waiting: dict[str, int] = field(default_factory=dict)  # per acquirer: rows that wait for its window


def divide(
    store: ObjectStore, slices: Sequence[Slice], folded: Folded, acquirers: Mapping[str, AcquirerSection]
) -> Division:
    """Walk the slices in order: rows that may be sent fill files up to the acquirer's limits of rows, bytes and amounts."""
    result = Division([], [], {}, Total(), {})
    open_drafts: dict[tuple[str, str], int] = {}
    columns = tuple(dict.fromkeys((*MONEY_COLUMNS, *measured_columns(acquirers.values()))))
    for number, each in enumerate(slices):
        table = each.read(store, columns)
        codes = folded.codes[number]
        place = np.full(len(table), NO_FILE, np.int32)
        names = table["acquirer"].to_numpy(zero_copy_only=False)
        sent = np.flatnonzero(codes == SEND)
        for name, count in zip(*np.unique(names[codes == WAIT], return_counts=True), strict=True):
            result.waiting[str(name)] = result.waiting.get(str(name), 0) + int(count)
        for name in np.unique(names[sent]):
            mine = sent[names[sent] == name]
            groups = _groups(folded, number, mine, each)
            for group, positions in groups.items():
                measures = Measures(acquirers[str(name)], table, positions)
                _fill(result, open_drafts, (str(name), group), positions, place, measures)
        result.file_of.append(place)
        _count(result, table, codes, place, each.label)
    return result


def _groups(folded: Folded, number: int, positions: np.ndarray, each: Slice) -> dict[str, np.ndarray]:
    """Rows by the closed file whose place they take ("" for none)."""
    if each.returned_from:
        return {each.returned_from: positions}
    moved = {row: name for (slice_, row), name in folded.successors.items() if slice_ == number}
    if not moved:
        return {"": positions}
    groups: dict[str, list[int]] = {}
    for position in positions.tolist():
        groups.setdefault(moved.get(position, ""), []).append(position)
    return {name: np.array(rows, np.int64) for name, rows in sorted(groups.items())}


def _fill(
    result: Division,
    open_drafts: dict[tuple[str, str], int],
    group: tuple[str, str],
    positions: np.ndarray,
    place: np.ndarray,
    measures: Measures,
) -> None:
    """Put the rows at `positions` into drafts. A replacement is one file, however its rows fall: it takes over one number."""
    over = {} if group[1] else measures.over()
    at = 0
    while at < len(positions):
        if at in over:
            result.drafts.append(Draft(group[0], rows=1, held=over[at]))
            place[positions[at]] = len(result.drafts) - 1
            at += 1
            continue
        current = open_drafts.get(group)
        if current is None or (not group[1] and not measures.fit(at, result.drafts[current].used)):
            open_drafts[group] = current = len(result.drafts)
            result.drafts.append(Draft(group[0], replaces=group[1]))
        draft = result.drafts[current]
        # A payment above a limit by itself is never counted in: `fit` ends before it.
        taken = len(positions) - at if group[1] else measures.fit(at, draft.used)
        place[positions[at : at + taken]] = current
        measures.add(at, taken, draft.used)
        draft.rows += taken
        at += taken


def _count(result: Division, table: pa.Table, codes: np.ndarray, place: np.ndarray, label: str) -> None:
    result.seen[label] = result.seen.get(label, Total()) + _total(table)
    for code in np.unique(codes).tolist():
        outcome = CODES[code][0]
        if code == SEND:
            for draft in np.unique(place[place != NO_FILE]).tolist():
                total = _total(table.filter(pa.array(place == draft)))
                result.drafts[draft].total += total
                result.outcomes[outcome] = result.outcomes.get(outcome, Total()) + total
            continue
        total = _total(table if (codes == code).all() else table.filter(pa.array(codes == code)))
        if outcome == Outcome.UNASSIGNED:
            result.pool += total
        else:
            result.outcomes[outcome] = result.outcomes.get(outcome, Total()) + total


def _total(table: pa.Table) -> Total:
    return total_of_columns(table["amount_minor"], table["currency"], table["direction"], table["row_hash"])


def lineage(file: OutboundFile) -> Lineage:
    """What a file shares with all that were made from its payments."""
    return file.acquirer, file.window, file.split


@dataclass(slots=True)
class Numbers:
    """Per acquirer: numbers that no file holds any more though they must be used, then the next new one."""

    free: dict[str, list[int]]
    following: dict[str, int]

    def take(self, acquirer: str) -> int:
        if self.free.get(acquirer):
            return self.free[acquirer].pop(0)
        self.following[acquirer] += 1
        return self.following[acquirer] - 1


def number_files(
    drafts: Sequence[Draft],
    *,
    assembly: int,
    created_at: datetime,
    acquirers: Mapping[str, AcquirerSection],
    replaced: Mapping[str, OutboundFile],
    usual: Mapping[str, Sequence[int]],
    numbers: Numbers,
    config_hash: str,
    places: Mapping[str, Place] | None = None,
    first_splits: Mapping[str, int] | None = None,
    newest: Mapping[Lineage, int] | None = None,
) -> list[OutboundFile]:
    """Records in state planned, in the order of the drafts. `usual` holds the row counts of earlier files.

    The replacement of a file that never left takes its number and date; a redelivery gets a new number and today's date.
    Where an acquirer has windows, `places` says in which its files go, `first_splits` the first free ordinal there.
    `newest` is the highest generation of each lineage: a file may have several successors.
    """
    files = []
    generations, splits = dict(newest or {}), dict(first_splits or {})
    for split, draft in enumerate(drafts):
        acquirer = acquirers[draft.acquirer]
        old = replaced.get(draft.replaces)
        again = old is not None and old.state == FileState.CANCELLED
        place = (places or {}).get(draft.acquirer)
        day = old.business_date if old is not None and again else _day(acquirer, place, created_at)
        sequence = old.sequence if old is not None and again else numbers.take(draft.acquirer)
        window, ordinal = (f"w{assembly:08d}", split) if old is None else (old.window, old.split)
        generation = _following(generations, old)
        if place is not None and not again:
            # A window has many files: no two of them, of whatever generation, share an ordinal.
            window, ordinal = place.occurrence.window.name, splits.get(draft.acquirer, 0)
            splits[draft.acquirer] = ordinal + 1
        files.append(
            OutboundFile(
                file_id=file_id(draft.acquirer, day, window, ordinal, generation),
                acquirer=draft.acquirer,
                business_date=day,
                window=window,
                split=ordinal,
                generation=generation,
                sequence=sequence,
                name=file_name(acquirer, day, sequence, generation, window=window, kind=kind_of(draft.total)),
                format=acquirer.format,
                state=FileState.PLANNED,
                assembly=assembly,
                created_at=created_at,
                config_hash=config_hash,
                total=draft.total,
                awaiting=draft.total,
                held=draft.held
                or over_limit(acquirer.limits, draft.total, usual.get(draft.acquirer, ()))
                or _late(place, held=True),
                note=_late(place, held=False),
                replaces=draft.replaces,
            )
        )
    return files


def _following(generations: dict[Lineage, int], old: OutboundFile | None) -> int:
    """The generation of the next successor of `old`; 1 for a file that succeeds none."""
    if old is None:
        return 1
    generations[lineage(old)] = generations.get(lineage(old), old.generation) + 1
    return generations[lineage(old)]


def _day(acquirer: AcquirerSection, place: Place | None, at: datetime) -> date:
    return business_date(acquirer, at) if place is None else place.occurrence.business_date


def _late(place: Place | None, *, held: bool) -> str:
    """Why files of this place are late: under `held` where a person must agree, else under `note`."""
    return place.late if place is not None and place.held == held else ""


def over_limit(limits: Limits, total: Total, usual: Sequence[int]) -> str:
    """Why a second person must look at a file of this total; empty when nobody must."""
    if limits.count and total.count > limits.count:
        return f"limit: {total.count} payments, at most {limits.count}"
    for key, most in limits.amount_minor.items():
        amount = sum(value for name, value in total.amount_minor.items() if key in (name, name.partition("/")[0]))
        if amount > most:
            return f"limit: {amount} minor units of {key}, at most {most}"
    if (
        limits.multiple_of_usual
        and len(usual) >= 5
        and total.count > limits.multiple_of_usual * statistics.median(usual)
    ):
        return f"limit: {total.count} payments, more than {limits.multiple_of_usual} times the usual"
    return ""
