"""The stage extract: what a source holds beyond its watermark becomes the raw chunks of one run.

    open the run      ledger: range (watermark, upper bound], business date, first chunk      one transaction
    open a chunk      ledger: its key bounds                                                  before the effect
    store it          object store: raw/<source>/<business_date>/<run>/<chunk>.parquet        put-if-absent
    record it         ledger: rows, hash of what is stored, total                             after the effect
    close the run     ledger: totals, and the watermark moves                                 one transaction
    publish           object store: manifest.json, and complete.json where curate was faster

Killed between any two lines, the next extraction goes on at the same line: it finishes an open run before it opens another, and
publishes the last run where that was missed. Everything happens under the lease `source:<name>`.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from extractors.bounds import zone_of
from extractors.manifest import manifest_document
from extractors.raw_chunk import plan_of, read_raw, write_raw
from extractors.run_records import (
    close_run,
    keep_strays,
    last_chunk,
    last_run,
    plan_chunk,
    plan_run,
    record_stored,
    watermark_of,
)
from payments.config import SourceSection
from payments.errors import Busy, Unreachable
from payments.hashing import sha256_of
from payments.keys import ChunkKey, complete_key, manifest_key
from payments.ports import Clock, Lease, Leases, Ledger, ObjectStore
from payments.records import Chunk, Run
from payments.remote_ports import Position, Source
from payments.run_closing import complete_document

LEASE_TTL = timedelta(seconds=60)
BEAT_S = LEASE_TTL.total_seconds() / 4
PUBLISHED_STATES = frozenset({"closed", "curated", "assembled", "stopped"})
STRAY = "none, days ahead, or another type or form than the newest row's"
LOG = logging.getLogger(__name__)
OpenSource = Callable[[], AbstractContextManager[Source]]


class BeingExtracted(Busy):
    """Somebody else reads this source now: for as long as that takes, which may be hours."""


@dataclass(frozen=True, slots=True)
class ExtractPorts:
    """What extract needs of the world. `spool` is where a chunk is written before it is stored (None: the system's place)."""

    ledger: Ledger
    store: ObjectStore
    clock: Clock
    spool: Path | None = None


def extract(ports: ExtractPorts, source: SourceSection, open_source: OpenSource, *, config_hash: str) -> Run | None:
    """One extraction: the run as it was left (closed or curated), or None when there is nothing new.

    Raises BeingExtracted when somebody else is at it, Unreachable and WrongConfiguration from the source, Tampered when the
    store holds foreign objects under our keys. After any of them the next call goes on where this one stopped.
    """
    lease = ports.ledger.leases.acquire(f"source:{source.name}", ttl=LEASE_TTL)
    if lease is None:
        raise BeingExtracted(f"source {source.name} is being extracted already")
    held = _HeldLease(ports.ledger.leases, lease)
    try:
        last = last_run(ports.ledger, source.name)
        if last is not None:
            publish_run(ports, last)
        with open_source() as session:
            run = _resumed(ports, source, config_hash) or _opened(ports, source, session, config_hash)
            if run is None:
                return None
            while (chunk := _next_chunk(ports, source, session, run)) is not None:
                held.renew()
                _store_chunk(ports, source, session, run, chunk, held)
        run = close_run(ports.ledger, run, ports.clock.now())
        publish_run(ports, run)
        return run
    finally:
        ports.ledger.leases.release(lease)


def publish_run(ports: ExtractPorts, run: Run) -> None:
    """Put what a closed run owes the store: manifest.json, and complete.json once it is curated. Safe to repeat."""
    if run.state not in PUBLISHED_STATES:
        return
    manifest = manifest_key(run.source, run.business_date, run.ordinal)
    if not ports.store.exists(manifest):
        with ports.ledger.begin() as tx:
            chunks = tx.chunks.find(source=run.source, run=run.ordinal, order="ordinal")
        ports.store.put(manifest, manifest_document(run, chunks))
    complete = complete_key(run.source, run.business_date, run.ordinal)
    if run.state == "curated" and not ports.store.exists(complete):
        ports.store.put(complete, complete_document(run))


class _HeldLease:
    """A lease that is renewed as long as work goes on."""

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self._leases = leases
        self._lease = lease
        self._renewed_s = time.monotonic()

    def renew(self) -> None:
        self._leases.renew(self._lease, ttl=LEASE_TTL)
        self._renewed_s = time.monotonic()

    def beat(self) -> None:
        """Called often; renews when it is time to."""
        if time.monotonic() - self._renewed_s > BEAT_S:
            self.renew()


def _resumed(ports: ExtractPorts, source: SourceSection, config_hash: str) -> Run | None:
    run = last_run(ports.ledger, source.name, state="open")
    if run is not None and run.config_hash != config_hash:
        LOG.warning("source %s: run %d was opened under another configuration and goes on", source.name, run.ordinal)
    return run


def _opened(ports: ExtractPorts, source: SourceSection, session: Source, config_hash: str) -> Run | None:
    """Plan a run over what lies between the watermark and what may be read now; None: there is nothing."""
    lower, now = watermark_of(ports.ledger, source.name), ports.clock.now()
    upper = session.upper_bound(now)
    _tell_strays(ports, source, session.strays(now), now)
    if upper is None:
        return None
    _warn_when_behind(source, lower, upper)
    first = session.chunk_end(lower, upper, source.rows_per_chunk_max)
    if first is None:
        return None
    return plan_run(
        ports.ledger,
        source.name,
        lower=lower,
        upper=upper,
        first=first,
        opened_at=now,
        business_date=now.astimezone(zone_of(source)).date(),
        config_hash=config_hash,
    )


def _tell_strays(ports: ExtractPorts, source: SourceSection, count: int, now: datetime) -> None:
    """Say that rows may never be read, in the log and in the ledger: one bad row must not stop its neighbours."""
    said = f"{count:,} rows (or more) have no usable watermark ({STRAY}) and may never be read" if count else ""
    if said:
        LOG.warning("source %s: %s", source.name, said)
    keep_strays(ports.ledger, source.name, said, now)


def _warn_when_behind(source: SourceSection, lower: Position | None, upper: Position) -> None:
    comparable = isinstance(upper[0], int) or source.watermark_type == "timestamp"
    if lower is not None and comparable and type(lower[0]) is type(upper[0]) and upper[0] < lower[0]:
        LOG.warning(
            "source %s: its last row lies before the watermark: was it restored from a backup? Nothing is read before it "
            "has passed the watermark again",
            source.name,
        )


def _next_chunk(ports: ExtractPorts, source: SourceSection, session: Source, run: Run) -> Chunk | None:
    """The chunk that was planned and not recorded as stored, else a newly planned one; None: the range is used up."""
    last = last_chunk(ports.ledger, run)
    if not last.raw_sha256:
        return last
    end = session.chunk_end(last.upper, run.upper, source.rows_per_chunk_max)
    return None if end is None else plan_chunk(ports.ledger, run, last, end)


def _store_chunk(
    ports: ExtractPorts, source: SourceSection, session: Source, run: Run, chunk: Chunk, held: _HeldLease
) -> None:
    key = ChunkKey(run.source, run.business_date, run.ordinal, chunk.ordinal).raw
    plan = plan_of(run, chunk)
    with _spool_folder(ports.spool) as folder:
        path = folder / "chunk.parquet"
        contents = write_raw(session.read(chunk.lower, chunk.upper), source, plan, path, beat=held.beat)
        stored = ports.store.put_file(key, path)
        same = not stored.adopted or stored.sha256 == sha256_of(path)
    if not same:
        # Rows changed between a killed attempt and this one: what is stored stands, the changed rows come with a later run.
        with ports.store.local(key) as kept:
            contents = read_raw(kept, source, plan, key)
    held.renew()
    record_stored(ports.ledger, chunk, contents, stored.sha256)


@contextmanager
def _spool_folder(spool: Path | None) -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix="tieout-raw-", dir=spool) as folder:
            yield Path(folder)
    except OSError as error:
        raise Unreachable(
            f"a raw chunk could not be spooled in {spool or tempfile.gettempdir()}: {error.strerror or 'device error'}",
            next_step="Free space there. Nothing was lost; it is tried again.",
        ) from error
