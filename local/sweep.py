"""The sweep: compares ledger and store, and sends again what a notice should have started. Events are only the fast path."""

from __future__ import annotations

from functions.topology import TOPOLOGY, stages_for
from local.router import route
from payments.keys import ChunkKey, complete_key, reported_key
from runtime.wakes import wake
from runtime.wiring import World

LIMIT = 1_000
"""How many notices one sweep sends at the most: the next sweep goes on."""


def sweep(world: World) -> int:
    """Send what is missing to queues that are empty. Handlers act once, so a notice too many costs only time."""
    idle = {stage.queue for stage in TOPOLOGY if world.queue.depth(stage.queue) == (0, 0)}
    sent = 0
    with world.ledger.look() as tx:
        open_runs = tx.runs.find(state="open")
        runs = tx.runs.find(state=("open", "closed"))
        chunks = [each for run in runs for each in tx.chunks.find(source=run.source, run=run.ordinal, state="stored")]
        days = {(run.source, run.ordinal): run.business_date for run in runs}
        curated = tx.runs.find(state="curated")
        results = tx.results.find(state="collected")
        unreconciled = tx.results.find(state="read", reconciled=False)
    keys = [ChunkKey(c.source, days[c.source, c.run], c.run, c.ordinal).raw for c in chunks if not c.note]
    keys += [complete_key(run.source, run.business_date, run.ordinal) for run in curated]
    keys += [result.key for result in results]
    keys += [reported_key(each.acquirer, each.business_date, each.sha256) for each in unreconciled]
    for key in [key for key in keys if all(stage.queue in idle for stage in stages_for(key))][:LIMIT]:
        route(world, key)
        sent += 1
    if "extract" in idle:
        for run in open_runs:
            world.queue.send("extract", wake(run.source))
            sent += 1
    return sent
