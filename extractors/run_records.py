"""What extract writes to the ledger: runs, chunks and the watermark, each change in one short transaction.

Every change is by compare-and-set, so that a worker that lost its lease fails at its next record.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TypeVar

from extractors.raw_chunk import Contents
from payments.books import total_of
from payments.contacts import failed, of_strays, reached
from payments.errors import Busy
from payments.keys import run_chain
from payments.ports import Ledger, Transaction
from payments.records import Chunk, Run, Watermark
from payments.remote_ports import Position
from payments.run_closing import settle_run

TRIES_MAX = 20
R = TypeVar("R")
End = tuple[Position, int]


def watermark_of(ledger: Ledger, source: str) -> Position | None:
    """The position that a source has been read to; None: never."""
    with ledger.begin() as tx:
        found = tx.watermarks.get(source)
    return found.position if found else None


def keep_strays(ledger: Ledger, source: str, said: str, now: datetime) -> None:
    """Keep what is `said` of rows that may never be read, until an extraction has nothing to say of them."""

    def record(tx: Transaction) -> None:
        if said:
            failed(tx, of_strays(source), now, "NoWatermark", said)
        else:
            reached(tx, of_strays(source), now)

    _committed(ledger, record)


def last_run(ledger: Ledger, source: str, **where: str) -> Run | None:
    """The newest run of a source, or the newest in a state."""
    with ledger.begin() as tx:
        found = tx.runs.find(source=source, order="-ordinal", limit=1, **where)
    return found[0] if found else None


def last_chunk(ledger: Ledger, run: Run) -> Chunk:
    """The newest chunk of a run; a run always has one."""
    with ledger.begin() as tx:
        return tx.chunks.find(source=run.source, run=run.ordinal, order="-ordinal", limit=1)[0]


def plan_run(
    ledger: Ledger,
    source: str,
    *,
    lower: Position | None,
    upper: Position,
    first: End,
    opened_at: datetime,
    business_date: date,
    config_hash: str,
) -> Run:
    """Open a run together with its first chunk, so that a run without rows never exists."""

    def record(tx: Transaction) -> Run:
        last = tx.runs.find(source=source, order="-ordinal", limit=1)
        run = Run(
            source=source,
            ordinal=last[0].ordinal + 1 if last else 1,
            business_date=business_date,
            state="open",
            lower=lower,
            upper=upper,
            opened_at=opened_at,
            config_hash=config_hash,
            chunks=1,
            chunks_open=1,
        )
        tx.runs.add(run)
        tx.chunks.add(_planned(run, 1, lower, first))
        plan = {"lower": lower, "upper": upper, "config_hash": config_hash}
        tx.audit.append(run_chain(source, run.ordinal), "run_opened", plan)
        return run

    return _committed(ledger, record)


def plan_chunk(ledger: Ledger, run: Run, last: Chunk, end: End) -> Chunk:
    """Open the chunk behind `last`, before anything is read or stored for it."""
    chunk = _planned(run, last.ordinal + 1, last.upper, end)

    def record(tx: Transaction) -> Chunk:
        tx.chunks.add(chunk)
        # Curate counts down, so the count must have gone up before anybody can see the object.
        fresh = _fresh(tx, run)
        tx.runs.change(fresh, chunks=fresh.chunks + 1, chunks_open=fresh.chunks_open + 1)
        return chunk

    return _committed(ledger, record)


def record_stored(ledger: Ledger, chunk: Chunk, contents: Contents, sha256: str) -> None:
    """Record what the store holds. Curate may have been faster: then its state stands."""

    def record(tx: Transaction) -> None:
        fresh = tx.chunks.get(chunk.source, chunk.run, chunk.ordinal)
        assert fresh is not None, "a chunk is planned before it is stored"
        if fresh.raw_sha256:
            return
        state = "stored" if fresh.state == "opened" else fresh.state
        tx.chunks.change(fresh, state=state, rows=contents.rows, raw_sha256=sha256, extracted=contents.total)
        shown = {"chunk": chunk.ordinal, "rows": contents.rows, "sha256": sha256}
        tx.audit.append(run_chain(chunk.source, chunk.run), "chunk_stored", shown)

    _committed(ledger, record)


def close_run(ledger: Ledger, run: Run, now: datetime) -> Run:
    """Close the run and move the watermark, in one transaction; settle it where every chunk is curated already."""

    def record(tx: Transaction) -> Run:
        fresh = _fresh(tx, run)
        if fresh.state != "open":
            return fresh
        chunks = tx.chunks.find(source=run.source, run=run.ordinal)
        extracted = total_of(chunk.extracted for chunk in chunks)
        closed = tx.runs.change(fresh, state="closed", extracted=extracted, closed_at=now)
        watermark = tx.watermarks.get(run.source)
        if watermark is None:
            tx.watermarks.add(Watermark(run.source, run.upper, run.ordinal))
        else:
            tx.watermarks.change(watermark, position=run.upper, run=run.ordinal)
        shown = {"chunks": closed.chunks, "extracted": extracted.to_json(digest=True)}
        tx.audit.append(run_chain(run.source, run.ordinal), "run_closed", shown)
        return settle_run(tx, closed)

    return _committed(ledger, record)


def _planned(run: Run, ordinal: int, lower: Position | None, end: End) -> Chunk:
    upper, rows = end
    return Chunk(
        source=run.source, run=run.ordinal, ordinal=ordinal, state="opened", lower=lower, upper=upper, rows=rows
    )


def _fresh(tx: Transaction, run: Run) -> Run:
    found = tx.runs.get(run.source, run.ordinal)
    assert found is not None, "a run is in the ledger before anything is done for it"
    return found


def _committed(ledger: Ledger, record: Callable[[Transaction], R]) -> R:
    """Run one short transaction, again where curate changed the same run meanwhile. Raises Busy in the end."""
    for _ in range(TRIES_MAX - 1):
        try:
            with ledger.begin() as tx:
                return record(tx)
        except Busy:
            continue
    with ledger.begin() as tx:
        return record(tx)
