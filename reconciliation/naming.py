"""Finds which of our files the events of a result file name: by message id, file name or sequence; or by reference alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from payments.keys import expected_key
from payments.ports import ObjectStore
from payments.records import OutboundFile
from payments.states import FileState
from reconciliation.engine import literal
from reconciliation.matching import NAMED_NOTHING

WORDS = {
    "RJCT": "refused",
    "PART": "partial",
    **dict.fromkeys(("ACTC", "ACCP", "ACSP", "ACSC", "ACCC", "RCVD"), "accepted"),
}
"""Group statuses that move a file; any other word acknowledges nothing (I6)."""
MAY_HAVE_LEFT = tuple(str(state) for state in FileState if state not in {FileState.PLANNED, FileState.CANCELLED})
Triple = tuple[str | None, str | None, int | None]
"""Message id, file name and sequence by which an event names a file."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a result file says of one of our files as a whole: accepted, partial, refused, or empty for any other word."""

    status: str
    reason: str = ""
    stated_us: int = 0

    @property
    def weight(self) -> tuple[bool, bool, int, bool]:
        """The heaviest word stands: a refusal, which only people undo; else the one stated last; a tie is partial."""
        return (self.status == "refused", self.status != "", self.stated_us, self.status == "partial")


@dataclass(slots=True)
class Named:
    """What one result file speaks of. `lost` are events that name a file we never sent, or a reference nobody knows."""

    files: set[str] = field(default_factory=set)  # file_id
    words: dict[str, Word] = field(default_factory=dict)  # file_id -> what is said of it as a whole
    lost: list[dict[str, Any]] = field(default_factory=list)
    ambiguous: list[dict[str, Any]] = field(default_factory=list)
    strangers: list[dict[str, Any]] = field(default_factory=list)  # a line about a file we never sent, without events
    holders: set[str] = field(default_factory=set)  # files with a reference of events that name no file


def find_names(engine: Any, store: ObjectStore, reported: Path, files: Sequence[OutboundFile], at: datetime) -> Named:
    """`files` are all files of the acquirer that may be meant, whatever their state now; `at` is when it was collected.

    Of files with one name, number or reference `standing` says which is meant: it looks at times, not at states.
    """
    named = Named()
    # A view: what names a file is four columns of eighteen, and only those are read.
    engine.execute(f"CREATE OR REPLACE TEMP VIEW told AS SELECT * FROM read_parquet({literal(str(reported))})")
    triples = engine.execute(
        "SELECT original_msg_id, original_file, original_sequence, bool_or(level = 'TX' AND error IS NULL) "
        f"FROM told WHERE NOT {NAMED_NOTHING} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ).fetchall()
    for message, name, sequence, has_events in triples:
        triple = (message, name, sequence)
        file = _find(files, triple, at)
        if file is not None:
            named.files.add(file.file_id)
            _hear(engine, named, file.file_id, triple)
        elif has_events:
            named.lost += _rows(engine, f"level = 'TX' AND error IS NULL AND {_same(triple)}")
        else:
            named.strangers += _rows(engine, _same(triple))[:1]
    _by_reference(engine, store, named, files, at)
    return named


def had_left(file: OutboundFile, at: datetime) -> bool:
    """Whether it is certain that the file had left by then; else it may have been on its way, or in doubt."""
    return file.delivered_at is not None and file.delivered_at <= at


def is_younger(file: OutboundFile, at: datetime) -> bool:
    """Whether it was planned after that, by the clock. A clock that was set back says so of a file that was there, too."""
    return file.created_at > at and not had_left(file, at)


def standing(file: OutboundFile, at: datetime) -> tuple[int, ...]:
    """How near it lies that a result collected then means this file; the lowest is meant.

    A file that had left, else one that was there. Only where there is none was the clock behind: then the oldest of all
    is meant, by the order in which they were planned.
    """
    if is_younger(file, at):
        return (2, file.assembly, file.sequence, file.generation)
    return (0,) if had_left(file, at) else (1,)


def meant(bearers: Iterable[OutboundFile], at: datetime) -> OutboundFile | None:
    """Which of the files that bear one name or number; among equals the newest, for it was used again."""
    newest = sorted(bearers, key=lambda each: (each.business_date, each.generation), reverse=True)
    return min(newest, key=lambda each: standing(each, at), default=None)


def _find(files: Sequence[OutboundFile], triple: Triple, at: datetime) -> OutboundFile | None:
    """The strongest name alone decides."""
    message, name, sequence = triple
    if message is not None:
        return meant((each for each in files if each.file_id == message), at)
    if name is not None:
        return meant((each for each in files if each.name == name), at)
    return meant((each for each in files if each.sequence == sequence), at)


def _same(triple: Triple) -> str:
    message, name, sequence = triple
    text = {"original_msg_id": message, "original_file": name}
    parts = [f"{column} IS NOT DISTINCT FROM {'NULL' if v is None else literal(v)}" for column, v in text.items()]
    parts.append(f"original_sequence IS NOT DISTINCT FROM {'NULL' if sequence is None else int(sequence)}")
    return " AND ".join(parts)


def _hear(engine: Any, named: Named, file: str, triple: Triple) -> None:
    """The heaviest word on this file as a whole."""
    rows = engine.execute(
        "SELECT status_text, coalesce(reason_code, ''), coalesce(epoch_us(stated_at), 0) FROM told "
        f"WHERE level = 'GRP' AND status_text IS NOT NULL AND error IS NULL AND {_same(triple)} ORDER BY line"
    ).fetchall()
    words = [Word(WORDS.get(status, ""), reason, stated) for status, reason, stated in rows]
    if file in named.words:
        words.append(named.words[file])
    if words:
        named.words[file] = max(words, key=lambda word: word.weight)


def _rows(engine: Any, where: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        engine.execute(f"SELECT * FROM told WHERE {where} ORDER BY line").to_arrow_table().to_pylist()
    )
    return found


def _by_reference(engine: Any, store: ObjectStore, named: Named, files: Sequence[OutboundFile], at: datetime) -> None:
    """Events that name no file belong to the only assignment ever delivered under their reference (design section 8).

    Files are asked by their standing: those behind only where none before holds the reference.
    """
    nameless = f"level = 'TX' AND error IS NULL AND {NAMED_NOTHING}"
    if not engine.execute(f"SELECT 1 FROM told WHERE {nameless} LIMIT 1").fetchall():
        return
    unplaced = f"{nameless} AND trim(end_to_end_id) NOT IN (SELECT reference FROM sent)"
    engine.execute("CREATE OR REPLACE TEMP TABLE sent(reference VARCHAR, file_id VARCHAR)")
    with ExitStack() as stack:
        for _, equals in groupby(sorted(files, key=lambda each: standing(each, at)), lambda each: standing(each, at)):
            if not engine.execute(f"SELECT 1 FROM told WHERE {unplaced} LIMIT 1").fetchall():
                break
            paths = [
                str(stack.enter_context(store.local(expected_key(each.acquirer, each.business_date, each.file_id))))
                for each in equals
            ]
            engine.execute(
                "INSERT INTO sent SELECT end_to_end_id, file_id FROM read_parquet(?) WHERE end_to_end_id "
                f"IN (SELECT trim(end_to_end_id) FROM told WHERE {unplaced})",
                [paths],
            )
    several = "SELECT reference FROM sent GROUP BY 1 HAVING count(*) > 1"
    named.lost += _rows(engine, unplaced)
    named.ambiguous += _rows(engine, f"{nameless} AND trim(end_to_end_id) IN ({several})")
    only = engine.execute(f"SELECT DISTINCT file_id FROM sent WHERE reference NOT IN ({several})").fetchall()
    named.files |= {row[0] for row in only}
    named.holders = {row[0] for row in engine.execute("SELECT DISTINCT file_id FROM sent").fetchall()}
