"""Finds which of our files the events of a result file name: by message id, file name or sequence; or by reference alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from payments.keys import expected_key
from payments.ports import ObjectStore
from payments.records import OutboundFile
from reconciliation.engine import literal
from reconciliation.matching import NAMED_NOTHING

ACCEPTED_GROUP = frozenset({"ACTC", "ACCP", "ACSP", "ACSC", "ACCC", "RCVD"})
"""Group statuses that acknowledge a file; any other word acknowledges nothing (I6)."""


@dataclass(slots=True)
class Named:
    """What one result file speaks of. `lost` are events that name a file we never sent, or a reference nobody knows."""

    files: set[str] = field(default_factory=set)  # file_id
    group: dict[str, str] = field(default_factory=dict)  # file_id -> accepted | partial | refused
    reasons: dict[str, str] = field(default_factory=dict)  # file_id -> ISO reason code of the group status
    lost: list[dict[str, Any]] = field(default_factory=list)
    ambiguous: list[dict[str, Any]] = field(default_factory=list)


def find_names(engine: Any, store: ObjectStore, reported: Path, files: Sequence[OutboundFile]) -> Named:
    """`files` are all files of the acquirer that may have left, whatever their state now."""
    named = Named()
    engine.execute("CREATE OR REPLACE TEMP TABLE told AS SELECT * FROM read_parquet(?)", [str(reported)])
    triples = engine.execute(
        "SELECT original_msg_id, original_file, original_sequence, bool_or(level = 'TX' AND error IS NULL) "
        f"FROM told WHERE NOT {NAMED_NOTHING} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ).fetchall()
    for message, name, sequence, has_events in triples:
        file = _find(files, message, name, sequence)
        if file is not None:
            named.files.add(file.file_id)
            _group(engine, named, file.file_id, (message, name, sequence))
        elif has_events:
            named.lost += _events(engine, _same(message, name, sequence))
    _by_reference(engine, store, named, files)
    return named


def _find(
    files: Sequence[OutboundFile], message: str | None, name: str | None, sequence: int | None
) -> OutboundFile | None:
    """The strongest name decides; a name or number that was used again means its newest holder that has left."""
    if message is not None:
        found = [each for each in files if each.file_id == message]
        if found or name is None:
            return found[0] if found else None
    if name is not None:
        found = [each for each in files if each.name == name]
        return max(found, key=lambda each: each.generation) if found else None
    found = [each for each in files if each.sequence == sequence]
    return max(found, key=lambda each: (each.business_date, each.generation)) if found else None


def _same(message: str | None, name: str | None, sequence: int | None) -> str:
    text = {"original_msg_id": message, "original_file": name}
    parts = [f"{column} IS NOT DISTINCT FROM {'NULL' if v is None else literal(v)}" for column, v in text.items()]
    parts.append(f"original_sequence IS NOT DISTINCT FROM {'NULL' if sequence is None else int(sequence)}")
    return " AND ".join(parts)


def _group(engine: Any, named: Named, file: str, triple: tuple[str | None, str | None, int | None]) -> None:
    """The last group status in the result file that is about this file."""
    rows = engine.execute(
        f"SELECT status_text, reason_code FROM told WHERE level = 'GRP' AND status_text IS NOT NULL AND error IS NULL "
        f"AND {_same(*triple)} ORDER BY stated_at NULLS FIRST, line"
    ).fetchall()
    for status, reason in rows:
        if status == "RJCT":
            named.group[file] = "refused"
        elif status == "PART":
            named.group[file] = "partial"
        elif status in ACCEPTED_GROUP:
            named.group[file] = "accepted"
        else:
            continue
        named.reasons[file] = reason or ""


def _events(engine: Any, where: str) -> list[dict[str, Any]]:
    sql = f"SELECT * FROM told WHERE level = 'TX' AND error IS NULL AND {where} ORDER BY line"
    found: list[dict[str, Any]] = engine.execute(sql).to_arrow_table().to_pylist()
    return found


def _by_reference(engine: Any, store: ObjectStore, named: Named, files: Sequence[OutboundFile]) -> None:
    """Events that name no file belong to the only assignment ever delivered under their reference (design section 8)."""
    if not _events(engine, NAMED_NOTHING):
        return
    with ExitStack() as stack:
        paths = [
            str(stack.enter_context(store.local(expected_key(each.acquirer, each.business_date, each.file_id))))
            for each in files
        ]
        engine.execute("CREATE OR REPLACE TEMP TABLE sent(reference VARCHAR, file_id VARCHAR)")
        if paths:
            engine.execute(
                "INSERT INTO sent SELECT end_to_end_id, file_id FROM read_parquet(?) WHERE end_to_end_id IN "
                f"(SELECT trim(end_to_end_id) FROM told WHERE {NAMED_NOTHING})",
                [paths],
            )
    known = "SELECT reference FROM sent"
    several = "SELECT reference FROM sent GROUP BY 1 HAVING count(*) > 1"
    named.lost += _events(engine, f"{NAMED_NOTHING} AND coalesce(trim(end_to_end_id), '') NOT IN ({known})")
    named.ambiguous += _events(engine, f"{NAMED_NOTHING} AND trim(end_to_end_id) IN ({several})")
    only = engine.execute(f"SELECT DISTINCT file_id FROM sent WHERE reference NOT IN ({several})").fetchall()
    named.files |= {row[0] for row in only}
