"""Finds which of our files the events of a result file name: by message id, file name or sequence; or by reference alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from payments.keys import expected_key
from payments.ports import ObjectStore
from payments.records import OutboundFile
from reconciliation.engine import literal
from reconciliation.matching import NAMED_NOTHING

WORDS = {
    "RJCT": "refused",
    "PART": "partial",
    **dict.fromkeys(("ACTC", "ACCP", "ACSP", "ACSC", "ACCC", "RCVD"), "accepted"),
}
"""Group statuses that move a file; any other word acknowledges nothing (I6)."""
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
    """`files` are all files of the acquirer that may have left, whatever their state now; `at` is when it was collected.

    A file that was planned later cannot be meant. The answer stays the same for ever: it looks at times, not at states.
    """
    named = Named()
    known = [file for file in files if file.created_at <= at]
    # A view: what names a file is four columns of eighteen, and only those are read.
    engine.execute(f"CREATE OR REPLACE TEMP VIEW told AS SELECT * FROM read_parquet({literal(str(reported))})")
    triples = engine.execute(
        "SELECT original_msg_id, original_file, original_sequence, bool_or(level = 'TX' AND error IS NULL) "
        f"FROM told WHERE NOT {NAMED_NOTHING} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ).fetchall()
    for message, name, sequence, has_events in triples:
        triple = (message, name, sequence)
        file = _find(known, triple, at)
        if file is not None:
            named.files.add(file.file_id)
            _hear(engine, named, file.file_id, triple)
        elif has_events:
            named.lost += _rows(engine, f"level = 'TX' AND error IS NULL AND {_same(triple)}")
        else:
            named.strangers += _rows(engine, _same(triple))[:1]
    _by_reference(engine, store, named, known, at)
    return named


def had_left(file: OutboundFile, at: datetime) -> bool:
    """Whether it is certain that the file had left by then; else it may have been on its way, or in doubt."""
    return file.delivered_at is not None and file.delivered_at <= at


def _find(files: Sequence[OutboundFile], triple: Triple, at: datetime) -> OutboundFile | None:
    """The strongest name alone decides; a name or number that was used again means its newest holder that had left."""
    message, name, sequence = triple
    if message is not None:
        found = [each for each in files if each.file_id == message]
    elif name is not None:
        found = [each for each in files if each.name == name]
    else:
        found = [each for each in files if each.sequence == sequence]
    return max(found, key=lambda each: (had_left(each, at), each.business_date, each.generation), default=None)


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

    Files that may only have left are asked where no file that had certainly left holds the reference.
    """
    nameless = f"level = 'TX' AND error IS NULL AND {NAMED_NOTHING}"
    if not engine.execute(f"SELECT 1 FROM told WHERE {nameless} LIMIT 1").fetchall():
        return
    engine.execute("CREATE OR REPLACE TEMP TABLE sent(reference VARCHAR, file_id VARCHAR, had_left BOOLEAN)")
    with ExitStack() as stack:
        for certain in (True, False):
            paths = [
                str(stack.enter_context(store.local(expected_key(each.acquirer, each.business_date, each.file_id))))
                for each in files
                if had_left(each, at) == certain
            ]
            if paths:
                engine.execute(
                    f"INSERT INTO sent SELECT end_to_end_id, file_id, {certain} FROM read_parquet(?) WHERE end_to_end_id "
                    f"IN (SELECT trim(end_to_end_id) FROM told WHERE {nameless}) "
                    "AND end_to_end_id NOT IN (SELECT reference FROM sent)",
                    [paths],
                )
    several = "SELECT reference FROM sent GROUP BY 1 HAVING count(*) > 1"
    named.lost += _rows(engine, f"{nameless} AND trim(end_to_end_id) NOT IN (SELECT reference FROM sent)")
    named.ambiguous += _rows(engine, f"{nameless} AND trim(end_to_end_id) IN ({several})")
    only = engine.execute(f"SELECT DISTINCT file_id FROM sent WHERE reference NOT IN ({several})").fetchall()
    named.files |= {row[0] for row in only}
    named.holders = {row[0] for row in engine.execute("SELECT DISTINCT file_id FROM sent").fetchall()}
