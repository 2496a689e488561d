"""What is done again and again by whoever keeps the time: the service on one machine, and tick on AWS."""

from __future__ import annotations

import logging
from collections.abc import Collection, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from payments.delivery_stops import new_stop
from payments.errors import SetAside
from payments.firings import last_fired, mark_fired
from runtime.ledger.queue import LedgerQueue
from runtime.schedule import begin_schedules, due_wakes, new_alarms
from runtime.sweep import sweep
from runtime.wakes import wake

if TYPE_CHECKING:
    from runtime.measures import Measure
    from runtime.tell import Stage
    from runtime.wiring import World

log = logging.getLogger(__name__)

LEASE = "tick"
LEASE_TTL = timedelta(seconds=60)
"""A beat that was killed keeps out the next one at the most."""
MEASURED = "tick"
"""The firing under which is kept up to when what happened was measured."""
SETTLED = timedelta(seconds=15)
"""What happened is measured when so much time has passed: its time is taken a moment before it is committed."""


class _Everybody(Container[str]):
    """Holds every subject."""

    def __contains__(self, _: object) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Beat:
    """What one beat found: how many wake-ups and notices were sent, and the figures since the last one."""

    woken: int = 0
    swept: int = 0
    measures: list[Measure] = field(default_factory=list)


def beat(world: World, stages: Sequence[Stage]) -> Beat:
    """All of it, once. Somebody else is at it: nothing."""
    lease = world.ledger.leases.acquire(LEASE, ttl=LEASE_TTL)
    if lease is None:
        return Beat()
    try:
        begin(world)
        # Only what nobody has taken yet counts as busy: for one acquirer a delivery may be in flight for minutes while
        # another's is due, and whoever finds the lease taken acknowledges.
        busy = {stage.queue for stage in stages if world.queue.depth(stage.queue)[0]}
        woken = wake_due(world, busy)
        swept = sweep(world, stages)
        raise_alarms(world)
        return Beat(woken, swept, _measured(world))
    finally:
        world.ledger.leases.release(lease)


def begin(world: World) -> None:
    """Remember when each schedule was first looked at, before anything is called due."""
    with world.ledger.begin() as tx:
        begin_schedules(tx, world.configuration, world.clock.now())


def wake_due(world: World, busy: Collection[str]) -> int:
    """Send one wake-up per queue and subject that is due. Returns how many are due, sent or not.

    What the ledger itself says is due stays due until it is done: of that a queue that is `busy` gets one message per subject.
    """
    told = cache(partial(_told, world))
    now = world.clock.now()
    with world.ledger.look() as tx:
        wakes = due_wakes(tx, world.configuration, now)
    for each in wakes:
        if not each.firing and each.queue in busy and each.subject in told(each.queue):
            continue
        world.queue.send(each.queue, wake(each.subject))
        if each.firing:
            with world.ledger.begin() as tx:
                mark_fired(tx, each.firing, now)
    return len(wakes)


def _told(world: World, name: str) -> Container[str]:
    """Whom the messages of a busy queue are about: an acquirer that hangs must not keep the others asleep.

    Everybody, where the queue tells its depth only. A wake-up without a subject is for all who are served by it.
    """
    queue = world.queue
    if not isinstance(queue, LedgerQueue):
        return _Everybody()
    found = {""}
    for body in queue.bodies(name):
        with suppress(SetAside):
            found.add(world.acquirer_in(body))
    return found


def raise_alarms(world: World) -> None:
    """Say in the log that deliveries were stopped, and what may miss a window, while there is time to do something about it."""
    with world.ledger.begin() as tx:
        stop = new_stop(tx, world.clock.now())
        said = new_alarms(tx, world.configuration, world.clock.now())
    if stop:
        log.error("%s. A different person lets them go on: `tieout deliveries resume`.", stop)
    for text in said:
        log.error("%s. `tieout acquirer NAME next` shows the figures.", text)


def _measured(world: World) -> list[Measure]:
    """The figures since the last time, each counted once: the mark is set in the transaction that reads them."""
    from runtime.attention import attention
    from runtime.measures import measures

    now = world.clock.now()
    upto = now - SETTLED
    with world.ledger.begin() as tx:
        since = last_fired(tx, MEASURED) or upto
        found = measures(tx, world.configuration, attention(tx, world.configuration, now), since, upto)
        mark_fired(tx, MEASURED, max(since, upto))
    return found
