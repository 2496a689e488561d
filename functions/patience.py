"""Waits for a record that comes a moment after its object: a notice may be quicker than whoever stored the object and records it.

A failed message comes again only when its queue shows it again, on AWS after minutes. The record is there after
milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from payments.errors import Busy

T = TypeVar("T")

RESTS_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Between tries: three seconds in all, which is far more than a record takes, and far less than a time-out."""


def patiently(context: object, act: Callable[[], T], *, rest: Callable[[float], None] = time.sleep) -> T:
    """Call `act`, again while it is Busy. A worker of our own, which gives no context, puts a message back for a moment instead."""
    for seconds in RESTS_S if hasattr(context, "get_remaining_time_in_millis") else ():
        try:
            return act()
        except Busy:
            rest(seconds)
    return act()
