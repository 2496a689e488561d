"""The sweep: compares ledger and store, and sends again what a notice should have started. Events are only the fast path."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from payments.contacts import RETRY_LONGEST, of_source, retry_at
from payments.deletions import fate_of
from payments.keys import ChunkKey, complete_key, reported_key
from payments.ports import Transaction
from payments.waiting import due_at
from runtime.tell import Stage, tell
from runtime.wakes import wake
from runtime.wiring import World

LIMIT = 1_000
"""How many notices one sweep sends at the most: the next sweep goes on."""
EXTRACT = "extract"


def sweep(world: World, stages: Sequence[Stage]) -> int:
    """Send what is missing to queues that are empty. Handlers act once, so a notice too many costs only time."""
    now = world.clock.now()
    idle = {stage.queue for stage in stages if world.queue.depth(stage.queue) == (0, 0)}
    with world.ledger.look() as tx:
        keys = _missing(tx)
        sources = [run.source for run in tx.runs.find(state="open") if not _waits(tx, run.source, now)]
    told = [key for key in keys if all(each.queue in idle for each in stages if each.is_started_by(key))][:LIMIT]
    for key in told:
        tell(world, stages, key)
    # Where a scheduler starts extractions, an open run is taken up by the next one that it starts.
    woken = sources if EXTRACT in idle and world.configuration.service.extract_by == "service" else []
    for source in woken:
        world.queue.send(EXTRACT, wake(source))
    return len(told) + len(woken)


def _missing(tx: Transaction) -> list[str]:
    """Objects that are stored, and whose next stage has not recorded what it does with them."""
    runs = tx.runs.find(state=("open", "closed"))
    chunks = [each for run in runs for each in tx.chunks.find(source=run.source, run=run.ordinal, state="stored")]
    days = {(run.source, run.ordinal): run.business_date for run in runs}
    keys = [ChunkKey(c.source, days[c.source, c.run], c.run, c.ordinal).raw for c in chunks if not c.note]
    keys += [complete_key(run.source, run.business_date, run.ordinal) for run in tx.runs.find(state="curated")]
    # What is gone cannot be read, however often it is told; `tieout status` shows it. A chunk that is gone stops its run.
    collected = [result.key for result in tx.results.find(state="collected")]
    keys += [key for key in collected if fate_of(tx, key) is None]
    unreconciled = tx.results.find(state="read", reconciled=False)
    return keys + [reported_key(each.acquirer, each.business_date, each.sha256) for each in unreconciled]


def _waits(tx: Transaction, source: str, now: datetime) -> bool:
    """A source that could not be read is left in peace until its next try is due."""
    return due_at(retry_at(tx.contacts.get(of_source(source))), now, RETRY_LONGEST) > now
