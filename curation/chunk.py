"""Curate one chunk: raw rows in, curated and quarantined rows out, and the totals of both. A pure function.

raw -> map -> rules -> reference table -> route -> repeated references -> curated
|            |              |               |
+------------+--------------+---------------+-----------> quarantine, with every reason
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.catalogue import rule_named, unknown_rule
from curation.content import content_hashes
from curation.duplicates import repeated_references
from curation.findings import Finding, reasons_of, refused_rows
from curation.mapping import Rows, map_columns
from curation.reference import ReferenceColumns, looked_up
from curation.routing import NO_ROUTE, acquirers_of, routed
from curation.rules import findings_of
from payments.books import Total
from payments.config import Curation, SourceSection
from payments.keys import ChunkKey
from payments.rowhash import primary_key_text
from payments.source_columns import canonical_text
from payments.tables import CURATED, QUARANTINE, RAW_EXTRA, SCHEMA_VERSION
from payments.totals import total_of_columns


@dataclass(frozen=True, slots=True)
class CuratedChunk:
    """The outcome of one chunk: tables of tables.CURATED and tables.QUARANTINE in the order of the raw rows, and their totals."""

    curated: pa.Table
    quarantine: pa.Table
    curated_total: Total
    quarantined_total: Total


def curate_chunk(
    raw: pa.Table,
    *,
    key: ChunkKey,
    source: SourceSection,
    curation: Curation,
    reference: ReferenceColumns | None,
    business_date: date,
) -> CuratedChunk:
    """Judge every row of `raw` (the source's columns, `_payment_id`, `_row_hash`). Dates are judged from `business_date`.

    Every row comes out once: curated, or quarantined with all its reasons. Raises Unreadable for a table that is no raw
    chunk, WrongConfiguration where the configuration does not fit the table.
    """
    rows = map_columns(raw, source, business_date=business_date)
    findings = findings_of(rows, curation, business_date)
    enrichment, unknown = _enriched(rows, reference, findings)
    findings += unknown
    route = routed(rows, curation.route, source)
    acquirer = acquirers_of(route, curation.route)
    # What follows is asked only of rows that are otherwise valid.
    without_route = (route == NO_ROUTE) & ~refused_rows(findings, len(rows))
    findings.append(Finding(rule_named("no_route", "acquirer"), without_route))
    candidates = ~refused_rows(findings, len(rows)) & ~rows.stopped
    reference_text = rows.text["end_to_end_id"]
    repeated, twin = repeated_references(reference_text, acquirer, rows.payment_id, candidates)
    findings.append(Finding(rule_named("reference_repeated", "end_to_end_id"), repeated, reference_text))

    refused = refused_rows(findings, len(rows))
    kept, set_aside = pa.array(np.flatnonzero(~refused)), pa.array(np.flatnonzero(refused))
    origin = _origin(raw, rows, key, source)
    columns = {**origin, **_payment_columns(rows, business_date), "acquirer": acquirer, "enrichment": enrichment}
    curated = _curated(columns, kept)
    reasons = reasons_of(findings, refused)
    quarantine = _quarantine({**columns, "twin": twin}, raw, set_aside, reasons)
    return CuratedChunk(curated, quarantine, _total(curated), _total(quarantine))


def _enriched(
    rows: Rows, reference: ReferenceColumns | None, findings: Sequence[Finding]
) -> tuple[pa.Array, list[Finding]]:
    if reference is None:
        return pa.nulls(len(rows), pa.string()), []
    available = {**rows.text, "currency": rows.money.currency, "direction": rows.money.direction}
    values = available[reference.match]
    enrichment, known = looked_up(reference, values)
    if not reference.required:
        return enrichment, []
    # A value that is malformed or missing has its reason already.
    judged = refused_rows([each for each in findings if each.rule.field == reference.match], len(rows))
    finding = Finding(unknown_rule(reference.match), ~known & ~rows.stopped & ~judged, values)
    return enrichment, [finding] if finding.rows.any() else []


def _origin(raw: pa.Table, rows: Rows, key: ChunkKey, source: SourceSection) -> dict[str, pa.Array]:
    count = len(rows)
    return {
        "payment_id": rows.payment_id,
        "source": pa.repeat(pa.scalar(key.source, pa.string()), count),
        "source_pk": primary_key_text(raw, source),
        "business_date": pa.repeat(pa.scalar(key.business_date, pa.date32()), count),
        "run": pa.repeat(pa.scalar(key.run, pa.int32()), count),
        "chunk": pa.repeat(pa.scalar(key.chunk, pa.int32()), count),
        "row": pa.array(np.arange(count, dtype=np.int32)),
        "row_hash": rows.row_hash,
        "schema_version": pa.repeat(pa.scalar(SCHEMA_VERSION, pa.int16()), count),
    }


def _payment_columns(rows: Rows, business_date: date) -> dict[str, pa.Array]:
    # Only a stop row comes this far without a date, and nothing of it is sent.
    requested = pc.fill_null(rows.requested_date, pa.scalar(business_date, pa.date32()))
    return {
        **rows.text,
        "source_version": rows.source_version,
        "stopped": pa.array(rows.stopped),
        "direction": rows.money.direction,
        "amount_minor": rows.money.amount_minor,
        "currency": rows.money.currency,
        "minor_unit": pa.array(rows.money.minor_unit),
        "amount_text": rows.money.amount_text,
        "requested_date": requested,
    }


def _curated(columns: Mapping[str, pa.Array], rows: pa.Array) -> pa.Table:
    taken = {name: column.take(rows) for name, column in columns.items()}
    taken["content_hash"] = content_hashes(taken)
    return pa.Table.from_arrays([taken[name] for name in CURATED.names], schema=CURATED)


def _quarantine(columns: Mapping[str, pa.Array], raw: pa.Table, rows: pa.Array, reasons: pa.Array) -> pa.Table:
    own = {"reasons", "values"}
    taken = {name: columns[name].take(rows) for name in QUARANTINE.names if name not in own}
    taken["reasons"] = reasons
    taken["values"] = _values(raw.take(rows))
    return pa.Table.from_arrays([taken[name] for name in QUARANTINE.names], schema=QUARANTINE)


def _values(raw: pa.Table) -> pa.Array:
    """Every value of every row as the source gave it: map<column, text>, in the order of the source's columns."""
    names = [name for name in raw.column_names if name not in RAW_EXTRA.names]
    count = len(raw)
    by_column = pa.concat_arrays([canonical_text(raw[name]) for name in names])
    by_row = np.arange(count * len(names)).reshape(len(names), count).T.ravel()
    keys = pa.array(names, pa.string()).take(pa.array(np.tile(np.arange(len(names)), count)))
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * len(names), pa.int32())
    return pa.MapArray.from_arrays(offsets, keys, by_column.take(pa.array(by_row)))


def _total(table: pa.Table) -> Total:
    return total_of_columns(table["amount_minor"], table["currency"], table["direction"], table["row_hash"])
