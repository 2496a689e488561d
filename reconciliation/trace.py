"""Follows one payment through everything that is stored: rows, outcomes, files, results, mismatches. It only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.compute as pc

from payments.config import Configuration
from payments.keys import ChunkKey, expected_key, outbound_key, reported_key
from payments.ports import Ledger, ObjectStore
from payments.records import Assembly, Chunk, Mismatch, ResultFile, Run
from reconciliation.facts import FileFacts, file_facts
from reconciliation.source_key import source_key
from reconciliation.trace_rows import (
    FATE,
    MONEY,
    Search,
    by_either,
    by_identity,
    curated_only,
    fates,
    in_raw,
    quarantined,
    raw_only,
)

MATCH = (
    "outcome",
    "how",
    "status",
    "reason_code",
    "reported_minor",
    "reported_currency",
    "acquirer_reference",
    "events",
)
EVENT = (
    "line",
    "status",
    "status_text",
    "reason_code",
    "amount_minor",
    "currency",
    "direction",
    "requested_date",
    "acquirer_reference",
    "original_file",
    "stated_at",
    "error",
)
ATTEMPT = ("attempt", "state", "started_at", "ended_at", "error")


@dataclass(frozen=True)
class TracePorts:
    """What tracing needs of the world."""

    ledger: Ledger
    store: ObjectStore
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class _Known:
    """The ledger's side, read in one look."""

    chunks: list[tuple[Run, Chunk]]
    assemblies: list[Assembly]
    results: list[ResultFile]


def trace_payment(ports: TracePorts, wanted: str) -> dict[str, Any]:
    """JSON values: `payments` (one per payment_id under this reference), `mismatches`, `strays`, `looked_in`, `problems`, `expired`.

    Strays are events with this reference in result files that speak of none of our files. No name and no account is in it.
    """
    search, known = Search(ports.store, wanted), _known(ports.ledger)
    rows = _rows(ports, search, known)
    payments = []
    for identity in sorted({row["payment_id"] for row in rows}):
        own = [row for row in rows if row["payment_id"] == identity]
        references = sorted({row["end_to_end_id"] for row in own if row.get("end_to_end_id")})
        payments.append(
            {
                "payment_id": identity,
                "references": references,
                "rows": _by_place(search, own, ports.configuration),
                "files": _files(ports, search, identity, own),
            }
        )
    mismatches = _mismatches(ports.ledger, {wanted, *(payment["payment_id"] for payment in payments)})
    strays = [] if payments else [event for result in known.results for event in _events(search, result, [wanted])]
    return {
        "payments": payments,
        "mismatches": [_mismatch(each) for each in mismatches],
        "strays": strays,
        "looked_in": search.looked_in,
        "problems": search.problems,
        "expired": search.expired,
    }


def _known(ledger: Ledger) -> _Known:
    with ledger.look() as tx:
        runs = {(run.source, run.ordinal): run for run in tx.runs.find()}
        chunks = [(runs[chunk.source, chunk.run], chunk) for chunk in tx.chunks.find()]
        return _Known(chunks, tx.assemblies.find(), tx.results.find(state="read"))


def _rows(ports: TracePorts, search: Search, known: _Known) -> list[dict[str, Any]]:
    """Every mention of a row of the payment: first by what was asked for, then by the identities that were found."""

    def mentions(condition: pc.Expression) -> list[dict[str, Any]]:
        found = fates(search, known.assemblies, condition)
        return found + curated_only(search, known.chunks, condition) + quarantined(search, known.chunks, condition)

    found = mentions(by_either(search.wanted))
    identities = {row["payment_id"] for row in found}
    if identities - {search.wanted}:
        # Another version of the payment may bear another reference.
        found = mentions(by_identity(identities))
    return found + raw_only(search, known.chunks, ports.configuration, identities)


def _by_place(search: Search, mentions: Sequence[dict[str, Any]], configuration: Configuration) -> list[dict[str, Any]]:
    """One entry per row of raw, with all that became of it; an outcome that did not change is said once."""
    places: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in mentions:
        key = ChunkKey(row["source"], row["business_date"], row["run"], row["chunk"])
        entry = places.setdefault(
            (row["source"], row["run"], row["chunk"], row["row"]),
            {
                "run": f"{row['source']}/{row['run']:06d}",
                "raw": key.raw,
                "row": row["row"],
                "row_hash": row["row_hash"].hex(),
                "in_raw": in_raw(search, row) if row["row"] is not None else "yes",
                "state": "raw",
                "outcomes": [],
            },
        )
        entry |= {name: row[name] for name in MONEY if name in row}
        if "reasons" in row:
            shown = source_key(configuration.source_named(row["source"]), row["source_pk"])
            entry |= {"state": "quarantined", "reasons": row["reasons"], "twin": row["twin"], "source_key": shown}
        elif "acquirer" in row:
            entry |= {"state": "curated", "curated": key.curated}
        if "outcome" in row:
            fate = {name: row[name] for name in FATE if row[name] is not None}
            last = entry["outcomes"][-1] if entry["outcomes"] else {}
            if {**fate, "assembly": None} != {**last, "assembly": None}:
                entry["outcomes"].append({"assembly": row["assembly"], **fate})
    return [places[place] for place in sorted(places, key=lambda place: (place[0], place[1], place[2], place[3] or 0))]


def _files(
    ports: TracePorts, search: Search, identity: str, mentions: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Every file that the payment was ever assigned to, in the order of the assemblies."""
    names = list(dict.fromkeys(row["file_id"] for row in mentions if row.get("file_id")))
    found = []
    for name in names:
        with ports.ledger.look() as tx:
            file = tx.files.get(name)
            facts = None if file is None else file_facts(tx, file)
        if facts is not None:
            found.append(_file(search, identity, facts))
    return found


def _file(search: Search, identity: str, facts: FileFacts) -> dict[str, Any]:
    file, mine = facts.file, pc.field("payment_id") == identity
    expected = search.rows(
        expected_key(file.acquirer, file.business_date, file.file_id), ("line", "end_to_end_id"), mine
    )
    match: list[dict[str, Any]] = []
    if file.matched_key:
        for key in (file.matched_key, file.matched_key.replace("matched/", "open/", 1)):
            match += search.rows(key, MATCH, mine)
    references = [row["end_to_end_id"] for row in expected]
    return {
        "file": file.name,
        "file_id": file.file_id,
        "acquirer": file.acquirer,
        "business_date": file.business_date,
        "object": outbound_key(file.acquirer, file.business_date, file.file_id, file.name) if file.sha256 else None,
        "state": file.state,
        "held": file.held,
        "line": expected[0]["line"] if expected else None,
        "attempts": [{name: getattr(each, name) for name in ATTEMPT} for each in facts.attempts],
        "receipt": None if facts.receipt is None else asdict(facts.receipt),
        "companion": None if facts.companion is None else asdict(facts.companion),
        "events": [event for result, _ in facts.results for event in _events(search, result, references)],
        "match": match[0] if match else None,
    }


def _events(search: Search, result: ResultFile, references: Sequence[str]) -> list[dict[str, Any]]:
    """What one result file says of these references, line by line."""
    if result.state != "read" or not references:
        return []
    reference = pc.utf8_trim_whitespace(pc.field("end_to_end_id"))
    condition = (pc.field("level") == "TX") & reference.isin([*references])
    rows = search.rows(reported_key(result.acquirer, result.business_date, result.sha256), EVENT, condition)
    where = {"result": result.name, "result_sha256": result.sha256, "collected_at": result.collected_at}
    return [{**where, **{name: value for name, value in row.items() if value is not None}} for row in rows]


def _mismatches(ledger: Ledger, names: set[str]) -> list[Mismatch]:
    with ledger.look() as tx:
        found = tx.mismatches.find(reference=tuple(names)) + tx.mismatches.find(payment_id=tuple(names))
    return sorted({each.id: each for each in found}.values(), key=lambda each: (each.opened_at, each.id))


def _mismatch(mismatch: Mismatch) -> dict[str, Any]:
    return {name: value for name, value in asdict(mismatch).items() if value not in ("", None)}
