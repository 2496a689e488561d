"""Curate: one raw chunk in, one curated and one quarantine object out; whoever finishes a run puts its complete.json."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.chunk import CuratedChunk, curate_chunk
from curation.encoding import write_parquet
from curation.reference import ReferenceColumns, read_reference
from payments.config import Configuration, ReferenceTable
from payments.errors import BooksOff, Busy, SetAside, Tampered, TieoutError, Unreadable
from payments.hashing import sha256_of
from payments.keys import ChunkKey, complete_key, run_chain
from payments.ports import Ledger, ObjectStore, StoredObject
from payments.records import Chunk, Run
from payments.run_closing import complete_document, settle_run

log = logging.getLogger(__name__)

TRIES = 50
"""How often a record is tried again when other workers change the same run: each of them makes progress."""


@dataclass
class CuratePorts:
    """What curate needs of the world. `fetch` gives the reference table's bytes; it is read once per process."""

    ledger: Ledger
    store: ObjectStore
    configuration: Configuration
    fetch: Callable[[ReferenceTable], bytes]
    spool: Path
    reference: list[ReferenceColumns | None] = field(default_factory=list)


def curate(ports: CuratePorts, object_key: str) -> None:
    """Curate the chunk under `object_key` once; a notice that comes again only finishes what was left undone."""
    key = ChunkKey.parse(object_key)
    if object_key != key.raw:
        raise SetAside(f"object {object_key!a} is no raw chunk")
    source = ports.configuration.source_named(key.source)
    if source is None:
        raise SetAside(f"object {object_key}: source {key.source} is not configured")
    with ports.ledger.begin() as tx:
        chunk, run = tx.chunks.get(key.source, key.run, key.chunk), tx.runs.get(key.source, key.run)
    if chunk is None or run is None or chunk.state == "opened":
        raise Busy(f"chunk {key.suffix} is stored but not recorded yet")
    if run.business_date != key.business_date:
        # A copy under another day is nobody's chunk, and must not stand for the one that was extracted.
        raise SetAside(
            f"object {object_key!a}: the run is of {run.business_date}", next_step="Ask who stored it there."
        )
    if chunk.state == "stored":
        try:
            run = _curate(ports, key, chunk)
        except (Unreadable, BooksOff, Tampered) as error:
            _stop(ports, key, error)
            raise
    if run.state == "curated":
        put_complete(ports.store, run)


def put_complete(store: ObjectStore, run: Run) -> None:
    """Say that every chunk of a run is curated. Put-if-absent: it may be said twice."""
    store.put(complete_key(run.source, run.business_date, run.ordinal), complete_document(run))


def _curate(ports: CuratePorts, key: ChunkKey, chunk: Chunk) -> Run:
    source = ports.configuration.source_named(key.source)
    assert source is not None
    reference = _reference(ports)
    result = curate_chunk(
        _raw(ports, key, chunk),
        key=key,
        source=source,
        curation=ports.configuration.curation,
        reference=reference,
        business_date=key.business_date,
    )
    if result.curated_total + result.quarantined_total != chunk.extracted:
        raise BooksOff(f"chunk {key.suffix}: curated and quarantined do not add up to what was extracted")
    curated = _put(ports, key.curated, result.curated)
    quarantine = _put(ports, key.quarantine, result.quarantine)
    for _ in range(TRIES):
        try:
            return _record(ports, key, result, curated, quarantine, reference)
        except Busy:
            continue
    raise Busy(f"run {key.source}/{key.run:06d} is changed too often to record chunk {key.chunk}")


def _raw(ports: CuratePorts, key: ChunkKey, chunk: Chunk) -> pa.Table:
    """The raw rows. Raises Tampered or Unreadable, naming the object."""
    with ports.store.local(key.raw) as path:
        if sha256_of(path) != chunk.raw_sha256:
            raise Tampered(f"object {key.raw}: its bytes are not those that were extracted")
        try:
            return pq.read_table(path)
        except pa.ArrowInvalid as error:
            raise Unreadable(f"object {key.raw} is not Parquet") from error


def _reference(ports: CuratePorts) -> ReferenceColumns | None:
    table = ports.configuration.curation.reference_table
    if not ports.reference:
        ports.reference.append(None if table is None else read_reference(table, ports.fetch(table)))
    return ports.reference[0]


def _put(ports: CuratePorts, key: str, table: pa.Table) -> StoredObject:
    with tempfile.TemporaryDirectory(dir=ports.spool) as folder:
        path = Path(folder) / "part.parquet"
        write_parquet(table, path)
        return ports.store.put_file(key, path)


def _record(
    ports: CuratePorts,
    key: ChunkKey,
    result: CuratedChunk,
    curated: StoredObject,
    quarantine: StoredObject,
    reference: ReferenceColumns | None,
) -> Run:
    """One transaction: the chunk, the run's count of open chunks, and the end of the run if this was the last."""
    with ports.ledger.begin() as tx:
        chunk, run = tx.chunks.get(key.source, key.run, key.chunk), tx.runs.get(key.source, key.run)
        assert chunk is not None
        assert run is not None
        if chunk.state == "curated":
            return run
        tx.chunks.change(
            chunk,
            state="curated",
            curated_sha256=curated.sha256,
            quarantine_sha256=quarantine.sha256,
            curated=result.curated_total,
            quarantined=result.quarantined_total,
        )
        run = tx.runs.change(
            run,
            chunks_open=run.chunks_open - 1,
            curated=run.curated + result.curated_total,
            quarantined=run.quarantined + result.quarantined_total,
        )
        body: dict[str, Any] = {
            "chunk": key.chunk,
            "curated": result.curated_total.to_json(digest=True),
            "quarantined": result.quarantined_total.to_json(digest=True),
            "curated_sha256": curated.sha256,
            "quarantine_sha256": quarantine.sha256,
        }
        if reference is not None:
            # The bytes depend on it as much as on the configuration, whose hash does not cover it.
            body["reference_sha256"] = reference.sha256
        tx.audit.append(run_chain(key.source, key.run), "chunk_curated", body)
        return settle_run(tx, run)


def _stop(ports: CuratePorts, key: ChunkKey, error: TieoutError) -> None:
    """The chunk and its run stop: nothing of the run is sent. Its other chunks are curated all the same."""
    log.error("run %s/%06d is stopped: %s. %s", key.source, key.run, error, error.next_step)
    with ports.ledger.begin() as tx:
        chunk, run = tx.chunks.get(key.source, key.run, key.chunk), tx.runs.get(key.source, key.run)
        if chunk is not None and run is not None and not chunk.note:
            tx.chunks.change(chunk, note=str(error)[:500])
            tx.runs.change(run, note=f"chunk {key.chunk}: {error}"[:500])
            tx.audit.append(
                run_chain(key.source, key.run), "chunk_stopped", {"chunk": key.chunk, "why": type(error).__name__}
            )
