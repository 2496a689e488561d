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
from reconciliation.engine import translated
from reconciliation.matching import Matched, Terms, Told, match_file
from reconciliation.naming import Word
from reconciliation.result_numbers import holes

OUTCOMES = ("matched", "mismatched", "awaiting")


@dataclass(frozen=True, slots=True)
class Heard:
    """A result file that speaks of our file. `word` is what it says of the whole; None: nothing, it is a list of payments.

    `rivals` are other files that its events may mean just as well where they name none.
    """

    result: ResultFile
    word: Word | None
    rivals: Sequence[OutboundFile] = ()


@dataclass(frozen=True, slots=True)
class FileFold:
    """What one file comes to. `word` is the last one on the file as a whole, empty when there is none."""

    file: OutboundFile
    matched: Matched
    totals: Mapping[str, Total]
    key: str
    word: Word
    overdue: bool
    at: datetime
    holes: tuple[int, ...]  # numbers of result files that must have been there by now, and are not
    heard_at: (
        datetime | None
    )  # when a result file that is evidence first named it: by then it was in the acquirer's hands
    mentioned: bool  # whether any result file names it, evidence or not
    signed_by: str = ""  # whose signature the word on the whole file bears, or the first evidence that it is there
    gone: frozenset[str] = frozenset()  # payments (payment_id) that two people sent again


def fold_file(
    engine: Any,
    store: ObjectStore,
    acquirer: AcquirerSection,
    file: OutboundFile,
    heard: Sequence[Heard],
    now: datetime,
    spool: Path,
    *,
    marked: bool = False,
    gone: frozenset[str] = frozenset(),
) -> FileFold:
    """`marked`: the acquirer's marker says that every result of this file is there. `gone`: payments that were sent again.

    Pure but for the two objects it puts: the same results and the same silence give the same bytes.
    """
    overdue = file.results_due_at is not None and file.results_due_at <= now
    spoke = max((each for each in heard if each.word), key=_weight, default=None)
    word = Word("") if spoke is None or spoke.word is None else spoke.word
    complete = _set_complete(acquirer, heard, word, overdue=overdue, marked=marked)
    implicit = acquirer.results_list == "exceptions_only" and complete
    closed = file.state in CLOSED_FILE_STATES or word.status == "refused"
    terms = Terms(acquirer.final_status, acquirer.tolerance_minor, implicit, overdue)
    names = (file.name, file.file_id, file.sequence)
    with ExitStack() as stack:
        stack.enter_context(translated(f"file {file.name}"))
        expected = stack.enter_context(store.local(expected_of(file)))
        told = [_told(store, stack, each) for each in heard]
        matched = match_file(engine, expected, told, names=names, terms=terms, closed=closed or gone)
    totals = {name: _total(matched.rows, name) for name in OUTCOMES}
    key = _store(store, spool, file, matched.rows, set_hash([each.result for each in heard], terms))
    first = min((each.result for each in heard if not each.result.disputed), key=_collected, default=None)
    said = first if spoke is None or not word.status else spoke.result
    numbered = acquirer.results.format == "delimited" and (overdue or marked)
    missing = holes(store, [each.result for each in heard]) if numbered else ()
    return FileFold(
        file=file,
        matched=matched,
        totals=totals,
        key=key,
        word=word,
        overdue=overdue,
        at=now,
        holes=missing,
        heard_at=None if first is None else first.collected_at,
        mentioned=bool(heard),
        signed_by="" if said is None else said.signed_by,
        gone=gone,
    )


def _weight(heard: Heard) -> tuple[object, ...]:
    """By the word; of equal words the first one that was signed."""
    weight = heard.word.weight if heard.word else ()
    return (*weight, heard.result.signed_by != "", -heard.result.collected_at.timestamp())


def _collected(result: ResultFile) -> datetime:
    return result.collected_at


def expected_of(file: OutboundFile) -> str:
    """The key of what a file holds."""
    return expected_key(file.acquirer, file.business_date, file.file_id)


def _told(store: ObjectStore, stack: ExitStack, heard: Heard) -> Told:
    result = heard.result
    reported = stack.enter_context(store.local(reported_key(result.acquirer, result.business_date, result.sha256)))
    rivals = tuple(stack.enter_context(store.local(expected_of(each))) for each in heard.rivals)
    return Told(result.sha256, reported, rivals)


def _set_complete(
    acquirer: AcquirerSection, heard: Sequence[Heard], word: Word, *, overdue: bool, marked: bool
) -> bool:
    """Whether silence may be read as success: the file was accepted, and no further exception can be on its way."""
    if word.status not in {"accepted", "partial"}:
        return False
    if acquirer.complete_when == "marker":
        # Without its marker a set is never complete: a deadline that passes proves nothing then (I6).
        return marked
    if acquirer.complete_when == "deadline":
        return overdue
    # A trailer belongs to a list of payments: a word on the whole file alone, whichever it is, is none.
    return any(each.word is None or each.result.events for each in heard)


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


def set_hash(results: Sequence[ResultFile], terms: Terms) -> str:
    """Names a set of result files and what decides about payments: same set, same terms, same bytes."""
    decided = (terms.final_status, terms.tolerance_minor, terms.implicit, terms.overdue)
    text = "\n".join([*sorted(each.sha256 for each in results), *map(str, decided)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def state_of(fold: FileFold) -> FileState:
    """The state that a delivered file comes to: a pure function of what was said of it."""
    if fold.word.status == "refused":
        return FileState.REFUSED
    if not fold.totals["awaiting"].count and not fold.totals["mismatched"].count:
        return FileState.RECONCILED
    if fold.word.status == "partial":
        return FileState.PARTIALLY_ACCEPTED
    return FileState.ACKNOWLEDGED if fold.word.status == "accepted" else FileState.DELIVERED
