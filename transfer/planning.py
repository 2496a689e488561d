"""Divides the rows that may be sent into files and gives each its identity, number, name and totals."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from payments.books import Total
from payments.config import AcquirerSection, Limits
from payments.keys import file_id
from payments.ports import ObjectStore
from payments.records import OutboundFile
from payments.states import FileState, Outcome
from payments.totals import total_of_columns
from transfer.candidates import Slice
from transfer.file_names import file_name
from transfer.fold import CODES, SEND, Folded

NO_FILE = -1
MONEY_COLUMNS = ("acquirer", "amount_minor", "currency", "direction", "row_hash")


@dataclass(slots=True)
class Draft:
    """A file before it has a number. `replaces` is the closed file whose place it takes."""

    acquirer: str
    replaces: str = ""
    rows: int = 0
    total: Total = field(default_factory=Total)


@dataclass(slots=True)
class Division:
    """Which row goes into which draft (per slice, NO_FILE for none), and the totals of everything."""

    drafts: list[Draft]
    file_of: list[np.ndarray]
    outcomes: dict[str, Total]  # without unassigned
    pool: Total
    seen: dict[str, Total]  # by label of the slice: what was read, to be compared with what was promised


def divide(
    store: ObjectStore, slices: Sequence[Slice], folded: Folded, acquirers: Mapping[str, AcquirerSection]
) -> Division:
    """Walk the slices in order: rows that may be sent fill files up to the acquirer's `rows_per_file_max`."""
    result = Division([], [], {}, Total(), {})
    open_drafts: dict[tuple[str, str], int] = {}
    for number, each in enumerate(slices):
        table = each.read(store, MONEY_COLUMNS)
        codes = folded.codes[number]
        place = np.full(len(table), NO_FILE, np.int32)
        names = table["acquirer"].to_numpy(zero_copy_only=False)
        sent = np.flatnonzero(codes == SEND)
        for name in np.unique(names[sent]):
            mine = sent[names[sent] == name]
            groups = _groups(folded, number, mine, each)
            for group, positions in groups.items():
                _fill(result, open_drafts, (str(name), group), positions, place, acquirers[str(name)])
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
    acquirer: AcquirerSection,
) -> None:
    while len(positions):
        current = open_drafts.get(group)
        # A replacement is one file, however its rows fall: it must fit the number that it takes over.
        room = acquirer.rows_per_file_max
        if current is None or (not group[1] and result.drafts[current].rows >= room):
            open_drafts[group] = current = len(result.drafts)
            result.drafts.append(Draft(group[0], replaces=group[1]))
        draft = result.drafts[current]
        taken = len(positions) if group[1] else min(room - draft.rows, len(positions))
        place[positions[:taken]] = current
        draft.rows += taken
        positions = positions[taken:]


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
) -> list[OutboundFile]:
    """Records in state planned, in the order of the drafts. `usual` holds the row counts of earlier files.

    The replacement of a file that never left takes its number and date; a redelivery gets a new number and today's date.
    """
    files = []
    for split, draft in enumerate(drafts):
        acquirer = acquirers[draft.acquirer]
        old = replaced.get(draft.replaces)
        again = old is not None and old.state == FileState.CANCELLED
        day = old.business_date if old is not None and again else business_date(acquirer, created_at)
        sequence = old.sequence if old is not None and again else numbers.take(draft.acquirer)
        window = old.window if old is not None else f"w{assembly:08d}"
        ordinal = old.split if old is not None else split
        generation = old.generation + 1 if old is not None else 1
        files.append(
            OutboundFile(
                file_id=file_id(draft.acquirer, day, window, ordinal, generation),
                acquirer=draft.acquirer,
                business_date=day,
                window=window,
                split=ordinal,
                generation=generation,
                sequence=sequence,
                name=file_name(acquirer, day, sequence, generation),
                format=acquirer.format,
                state=FileState.PLANNED,
                assembly=assembly,
                created_at=created_at,
                config_hash=config_hash,
                total=draft.total,
                awaiting=draft.total,
                held=over_limit(acquirer.limits, draft.total, usual.get(draft.acquirer, ())),
                replaces=draft.replaces,
            )
        )
    return files


def business_date(acquirer: AcquirerSection, at: datetime) -> date:
    """The acquirer's book day at a time."""
    return at.astimezone(ZoneInfo(acquirer.zone)).date()


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
