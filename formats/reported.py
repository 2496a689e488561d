"""One result file while it is read: its rows in batches, its counts, and what is wrong with it as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from payments.errors import Unreadable
from payments.states import MismatchKind

ROWS_PER_BATCH_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with the file as a whole. `detail` holds counts, sums and line numbers, never names or accounts."""

    kind: MismatchKind
    detail: str


class Reading:
    """Iterate once, to the end: batches of payments.tables.REPORTED of at most 50,000 rows. The counts hold only then.

    `lines = control + events + unreadable` always (I1b). A row is unreadable when it has an `error`, else control when its
    level is GRP or PMTINF, else an event. Iteration raises Unreadable when the file turns out not to be one.
    """

    def __init__(self, name: str, read: Callable[[Reading], Iterator[pa.RecordBatch]]) -> None:
        self.name = name
        self.lines = self.control = self.events = self.unreadable = 0
        self.complete = False  # the trailer or the closing tag was seen
        self.problems: list[Problem] = []
        self.original_file: str | None = None
        self.original_msg_id: str | None = None
        self.original_sequence: int | None = None
        self.next_sequence: int | None = None  # the number that the acquirer expects of our next file
        self.original_count: int | None = None  # how many payments the acquirer says our file holds
        self.original_size: int | None = None  # bytes and SHA-256 of our file as the acquirer got it
        self.original_sha256: str | None = None
        self.group_status: str | None = None  # of the whole file: one of stated.GROUP_STATUSES
        self.group_reason: str | None = None
        self._first_unreadable = ""
        # The first batch is read at once, so that a file of another kind is refused before anybody iterates.
        batches = read(self)
        first = next(batches, None)
        self._batches = batches if first is None else chain([first], batches)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            self._count(batch)
            for start in range(0, batch.num_rows, ROWS_PER_BATCH_MAX):
                yield batch.slice(start, ROWS_PER_BATCH_MAX)
        if self._first_unreadable:
            detail = f"{self.unreadable} of {self.lines} lines cannot be read; the first is {self._first_unreadable}"
            self.add_problem(MismatchKind.FILE_UNREADABLE, detail)
            self._first_unreadable = ""

    def add_problem(self, kind: MismatchKind, detail: str) -> None:
        self.problems.append(Problem(kind, detail))

    def _count(self, batch: pa.RecordBatch) -> None:
        readable = pc.is_null(batch["error"])
        is_control = pc.and_(readable, pc.not_equal(batch["level"], "TX"))
        unreadable = batch.num_rows - batch["error"].null_count
        control = pc.sum(is_control).as_py() or 0
        self.lines += batch.num_rows
        self.unreadable += unreadable
        self.control += control
        self.events += batch.num_rows - unreadable - control
        if unreadable and not self._first_unreadable:
            at = pc.index(readable, pa.scalar(value=False)).as_py()
            self._first_unreadable = f"line {batch['line'][at].as_py()}: {batch['error'][at].as_py()}"


def not_readable(name: str, why: str) -> Unreadable:
    """The error for bytes that are not the file their name says: ISO 20022 reason FF01, Invalid File Format."""
    return Unreadable(f"result file {name!a}: FF01, {why}")
