"""Tries an extraction again for a while within one task: where a scheduler outside starts it, nobody else does before its next time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from payments.contacts import RETRY_FIRST
from payments.errors import TryAgain
from payments.records import Run

log = logging.getLogger(__name__)


def extract_for(
    limit: timedelta,
    extract: Callable[[], Run | None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Run | None:
    """What `extract` answers: a minute after the first failure it is called again, then after twice as long, up to `limit` in all.

    Raises what it raised last. Only what may succeed later is tried again: of the rest a person hears at once.
    """
    ends, pause = monotonic() + limit.total_seconds(), RETRY_FIRST.total_seconds()
    while True:
        try:
            return extract()
        except TryAgain as error:
            if monotonic() + pause > ends:
                raise
            log.warning("%s: %s. It is tried again in %d s", type(error).__name__, error, pause)
        sleep(pause)
        pause *= 2
