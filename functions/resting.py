"""Lets a message that failed come again after seconds at first, then after minutes, instead of after its queue's whole visibility.

A hiccup costs seconds. An outage of ten minutes does not use up the receives that a message has before it is a dead letter:

    receive   1     2      3      4       5
    rest       2 s   15 s   90 s   600 s   none: the dead-letter queue takes it

Each rest is between half of that and all of it, by chance, so that what failed together does not come back together, and never
longer than the queue would have hidden the message without a word.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from functions.topology import TOPOLOGY
from payments.errors import SetAside, TieoutError

if TYPE_CHECKING:
    from runtime.wiring import World

log = logging.getLogger(__name__)

RESTS_S = (2, 15, 90, 600)
"""At the most, by how often the message was received."""
SET_ASIDE_S = 1
"""What is bad stays bad: people learn of it at once by the alarm of the dead-letter queue."""


def rest_s(receives: int, error: Exception, *, most: int, chance: Callable[[], float] = random.random) -> int:
    """How many seconds a message rests, at the most, that failed when it was received for the `receives`-th time."""
    if receives > len(RESTS_S):
        return 0
    if isinstance(error, SetAside):
        return SET_ASIDE_S
    return math.ceil(min(most, RESTS_S[max(receives, 1) - 1]) * (1 + chance()) / 2)


class Resting:
    """Tells the queue of a failed message when to show it again. Where that fails too, the queue's own visibility holds."""

    def __init__(self, world: Callable[[], World]) -> None:
        self._world = world

    def __call__(self, record: Any, error: Exception) -> None:
        """`record`: one of an event of SQS, as Powertools gives it."""
        try:
            world = self._world()
            queue = record.event_source_arn.rpartition(":")[2].removeprefix(world.configuration.queue.prefix)
            receives = int(record.attributes.approximate_receive_count)
            # A queue that is none of ours hides its messages for a time that is not known here.
            for stage in (each for each in TOPOLOGY if each.queue == queue):
                seconds = rest_s(receives, error, most=stage.visibility_s)
                world.queue.release(queue, record.receipt_handle, delay=timedelta(seconds=seconds))
                log.info("a failed message comes again in %d s", seconds)
        except TieoutError as refused:
            log.info("a failed message comes again when its queue shows it: %s. %s", refused, refused.next_step)
