"""Proves one run from its stored bytes: every chunk's hashes, rows and totals, its manifest, and its equation.

Of a run that is being worked on, what is recorded is proved; its rows that are not curated yet are in flight, and no fault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from payments.books import Total, total_of
from payments.config import SourceSection
from payments.keys import ChunkKey, complete_key, manifest_key
from payments.ports import ObjectStore
from payments.records import Chunk, Run
from payments.run_closing import canonical_json, complete_document
from reconciliation import recount
from reconciliation.certificate import Certificate

FINISHED = frozenset({"curated", "assembled"})
IN_FLIGHT = {"open": frozenset({"opened", "stored"}), "closed": frozenset({"stored"})}
"""Of a run in this state chunks in these states are on their way. What was stopped bears a note and is not."""
STRANGERS_SHOWN = 10


def prove_run(
    certificate: Certificate, store: ObjectStore, source: SourceSection | None, run: Run, chunks: Sequence[Chunk]
) -> None:
    """`source` is the run's source as it is configured now, None when it no longer is: then no row can be read again."""
    name = f"run {run.source}/{run.ordinal:06d}"
    certificate.configs[name] = run.config_hash
    flying = [chunk for chunk in chunks if _in_flight(run, chunk)]
    _prove_state(certificate, name, run, flying)
    certificate.same(name, "its source is configured", run.source, source.name if source else None)
    certificate.same(name, "chunks follow each other without a hole", "yes", _without_holes(run, chunks))
    parts = [_prove_chunk(certificate, store, source, run, chunk) for chunk in chunks]
    extracted, curated, quarantined = (total_of(part[each] for part in parts) for each in range(3))
    keys = [_key_of(run, chunk) for chunk in chunks]
    raw, curate, refused = [k.raw for k in keys], [k.curated for k in keys], [k.quarantine for k in keys]
    if run.state != "open":
        certificate.same(name, "extracted", run.extracted, extracted, needs=raw)
    certificate.same(name, "curated", run.curated, curated, needs=curate)
    certificate.same(name, "quarantined", run.quarantined, quarantined, needs=refused)
    equation, needs = "extracted = curated + quarantined", [*raw, *curate, *refused]
    in_flight = total_of(chunk.extracted for chunk in flying)
    equation += " + in flight" if flying else ""
    certificate.same(name, equation, extracted, curated + quarantined + in_flight, needs=needs)
    if run.state != "open":
        key = manifest_key(run.source, run.business_date, run.ordinal)
        _prove_document(certificate, store, key, _manifest(run, chunks))
    if run.state in FINISHED:
        key = complete_key(run.source, run.business_date, run.ordinal)
        _prove_document(certificate, store, key, complete_document(run))
    _prove_nothing_else(certificate, store, name, run, chunks)


def _in_flight(run: Run, chunk: Chunk) -> bool:
    return chunk.state in IN_FLIGHT.get(run.state, ()) and not chunk.note


def _prove_state(certificate: Certificate, name: str, run: Run, flying: Sequence[Chunk]) -> None:
    """Not curated yet is no fault as long as something is on its way and nothing was stopped."""
    if not run.note and (flying or run.state == "open"):
        rows = total_of(chunk.extracted for chunk in flying).count
        certificate.waits(name, "is curated", "yes", f"not curated yet: {rows:,} rows in flight")
    else:
        certificate.same(name, "is curated", "yes", "yes" if run.state in FINISHED else f"no: it is {run.state}")


def _prove_chunk(
    certificate: Certificate, store: ObjectStore, source: SourceSection | None, run: Run, chunk: Chunk
) -> tuple[Total, Total, Total]:
    """The totals that the three objects of a chunk hold; nothing of what is missing, unreadable or not recorded yet."""
    key = _key_of(run, chunk)
    extracted, curated, quarantined = Total(), Total(), Total()
    flying = _in_flight(run, chunk)
    if flying and chunk.state == "opened":
        return extracted, curated, quarantined
    with certificate.stored(store, key.raw, chunk.raw_sha256) as path:
        if path is not None and source is not None:
            extracted, strangers = recount.raw(path, source)
            certificate.same(key.raw, "rows with another identity or hash than their values give", 0, strangers)
            certificate.same(key.raw, "extracted", chunk.extracted, extracted)
    if flying:
        return extracted, curated, quarantined
    with certificate.stored(store, key.curated, chunk.curated_sha256) as path:
        if path is not None:
            curated = recount.total(path)
            certificate.same(key.curated, "curated", chunk.curated, curated)
    with certificate.stored(store, key.quarantine, chunk.quarantine_sha256) as path:
        if path is not None:
            quarantined = recount.total(path)
            certificate.same(key.quarantine, "quarantined", chunk.quarantined, quarantined)
    return extracted, curated, quarantined


def _key_of(run: Run, chunk: Chunk) -> ChunkKey:
    return ChunkKey(run.source, run.business_date, run.ordinal, chunk.ordinal)


def _without_holes(run: Run, chunks: Sequence[Chunk]) -> str:
    if len(chunks) != run.chunks:
        return f"{len(chunks)} chunks are recorded, the run counts {run.chunks}"
    lower = run.lower
    for chunk in chunks:
        if chunk.lower != lower:
            return f"chunk {chunk.ordinal} does not begin where the one before it ends"
        lower = chunk.upper
    # An open run is still on its way there.
    return "yes" if lower == run.upper or run.state == "open" else "the last chunk does not end where the run ends"


def _manifest(run: Run, chunks: Sequence[Chunk]) -> bytes:
    """What manifest.json must say, made here once more from the ledger."""
    return canonical_json(
        {
            "source": run.source,
            "business_date": run.business_date.isoformat(),
            "run": run.ordinal,
            "opened_at": run.opened_at.isoformat(),
            "config_hash": run.config_hash,
            "lower": run.lower,
            "upper": run.upper,
            "extracted": run.extracted.to_json(digest=True),
            "chunks": [
                {
                    "key": _key_of(run, chunk).raw,
                    "rows": chunk.rows,
                    "sha256": chunk.raw_sha256,
                    "extracted": chunk.extracted.to_json(digest=True),
                }
                for chunk in chunks
            ],
        }
    )


def _prove_document(certificate: Certificate, store: ObjectStore, key: str, expected: bytes) -> None:
    """The stored document is, byte for byte, what the ledger says."""
    with certificate.stored(store, key, hashlib.sha256(expected).hexdigest()):
        pass


def _prove_nothing_else(
    certificate: Certificate, store: ObjectStore, name: str, run: Run, chunks: Sequence[Chunk]
) -> None:
    """An object that no record knows could be taken for rows of this run."""
    for kind, document in (("raw", "manifest.json"), ("curated", "complete.json"), ("quarantine", "")):
        folder = f"{kind}/{run.source}/{run.business_date}/{run.ordinal:06d}/"
        known = {f"{folder}{chunk.ordinal:05d}.parquet" for chunk in chunks} | {folder + document}
        strangers = [key for key in store.keys(folder) if key not in known]
        certificate.same(name, f"unknown objects in {kind}", [], strangers[:STRANGERS_SHOWN])
