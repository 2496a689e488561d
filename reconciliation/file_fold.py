"""Folds all that was reported about one file, and stores the outcome: matched and open, one Parquet object each."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from payments.books import Total
from payments.config import AcquirerSection
from payments.keys import expected_key, matched_key, open_key, reported_key
from payments.ports import ObjectStore
from payments.records import OutboundFile, ResultFile
from payments.states import CLOSED_FILE_STATES, FileState
from payments.totals import total_of_columns
from reconciliation.matching import Matched, Terms, Told, match_file

OUTCOMES = ("matched", "mismatched", "awaiting")


@dataclass(frozen=True, slots=True)
class FileFold:
    """What one file comes to. `group` is the last word on the file as a whole, empty when there is none."""

    file: OutboundFile
    matched: Matched
    totals: Mapping[str, Total]
    key: str
    group: str
    reason: str
    overdue: bool
    spoken: bool  # some result file names it: it is in the acquirer's hands


def fold_file(
    engine: Any,
    store: ObjectStore,
    stack: ExitStack,
    acquirer: AcquirerSection,
    file: OutboundFile,
    results: Sequence[ResultFile],
    left: Sequence[OutboundFile],
    groups: Mapping[str, tuple[str, str]],
    now: datetime,
    spool: Path,
) -> FileFold:
    """Pure but for the two objects it puts: the same results and the same silence give the same bytes."""
    overdue = file.results_due_at is not None and file.results_due_at <= now
    group, reason = _last_group(results, groups)
    implicit = acquirer.results_list == "exceptions_only" and _set_complete(acquirer, results, groups, group, overdue)
    closed = file.state in CLOSED_FILE_STATES
    expected = stack.enter_context(store.local(expected_key(file.acquirer, file.business_date, file.file_id)))
    told = [_told(store, stack, each, file, left) for each in results]
    terms = Terms(acquirer.final_status, acquirer.tolerance_minor, implicit, overdue)
    names = (file.name, file.file_id, file.sequence)
    matched = match_file(engine, expected, told, names=names, terms=terms, closed=closed)
    totals = {name: _total(matched.rows, name) for name in OUTCOMES}
    key = _store(store, spool, file, matched.rows, set_hash(results, implicit, overdue))
    return FileFold(file, matched, totals, key, group, reason, overdue, bool(results))


def _told(
    store: ObjectStore, stack: ExitStack, result: ResultFile, file: OutboundFile, left: Sequence[OutboundFile]
) -> Told:
    reported = store.local(reported_key(result.acquirer, result.business_date, result.sha256))
    siblings = [
        stack.enter_context(store.local(expected_key(each.acquirer, each.business_date, each.file_id)))
        for each in left
        if each.file_id != file.file_id
        and (each.window, each.split) == (file.window, file.split)
        and each.delivered_at is not None
        and each.delivered_at <= result.collected_at
    ]
    return Told(result.sha256, stack.enter_context(reported), tuple(siblings))


def _last_group(results: Sequence[ResultFile], groups: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """The last word on the whole file, by the order in which it was collected, then by hash; refusal beats a tie."""
    spoken = [
        (each.collected_at, groups[each.sha256][0] == "refused", each.sha256)
        for each in results
        if each.sha256 in groups
    ]
    return groups[max(spoken)[2]] if spoken else ("", "")


def _set_complete(
    acquirer: AcquirerSection,
    results: Sequence[ResultFile],
    groups: Mapping[str, tuple[str, str]],
    group: str,
    overdue: bool,
) -> bool:
    """Whether silence may be read as success: the file was accepted, and no further exception can be on its way."""
    if group not in {"accepted", "partial"}:
        return False
    if acquirer.complete_when == "deadline":
        return overdue
    # A trailer or marker belongs to a list of payments: an acknowledgement of the whole file alone is none.
    return any(each.sha256 not in groups or each.events for each in results)


def _total(rows: pa.Table, outcome: str) -> Total:
    part = rows.filter(pc.equal(rows["outcome"], outcome))
    return total_of_columns(part["amount_minor"], part["currency"], part["direction"], part["row_hash"])


def _store(store: ObjectStore, spool: Path, file: OutboundFile, rows: pa.Table, events: str) -> str:
    awaiting = pc.equal(rows["outcome"], "awaiting")
    day, key = file.business_date, matched_key(file.acquirer, file.business_date, file.file_id, events)
    with tempfile.TemporaryDirectory(dir=spool) as folder:
        for target, part in (
            (key, rows.filter(pc.invert(awaiting))),
            (open_key(file.acquirer, day, file.file_id, events), rows.filter(awaiting)),
        ):
            path = Path(folder) / "part.parquet"
            pq.write_table(part, path, compression="zstd", row_group_size=50_000)
            store.put_file(target, path)
    return key


def set_hash(results: Sequence[ResultFile], *flags: bool) -> str:
    """Names a set of result files and what silence means: same set, same bytes."""
    text = "\n".join([*sorted(each.sha256 for each in results), *(str(flag) for flag in flags)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def state_of(fold: FileFold) -> FileState:
    """The state that a delivered file comes to: a pure function of what was said of it."""
    if fold.group == "refused":
        return FileState.REFUSED
    if not fold.totals["awaiting"].count and not fold.totals["mismatched"].count:
        return FileState.RECONCILED
    if fold.group == "partial":
        return FileState.PARTIALLY_ACCEPTED
    return FileState.ACKNOWLEDGED if fold.group == "accepted" else FileState.DELIVERED
