"""Ends a transfer that hardly moves: an answer within every limit, one byte at a time, would take a year for a megabyte.

A transfer begins with a stock of time, `grace_s`. Time that passes is taken from it, and every `slowest_bytes_per_s` bytes
that went over bring a second back, never more than the stock was. Files that are copied side by side share the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


class TooSlow(TimeoutError):
    """Fewer bytes a second went over than the limit, which is its text."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The least that a transfer must move. `slowest_bytes_per_s` 0: no limit. `sharing`: transfers under way on this link."""

    slowest_bytes_per_s: int = 0
    grace_s: float = 0.0
    sharing: Callable[[], int] = lambda: 1
    now: Callable[[], float] = time.monotonic

    def begin(self) -> Pace:
        """For one transfer, from now on."""
        return Pace(self)


NO_FLOOR = Floor()


class Pace:
    """The time that one transfer has left."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._left_s = floor.grace_s
        self._at = floor.now()
        self._sharing = max(1, floor.sharing())

    def moved(self, size: int) -> None:
        """So many bytes more are confirmed, and they were not the last. Raises TooSlow."""
        floor = self._floor
        if not floor.slowest_bytes_per_s:
            return
        now, sharing = floor.now(), max(1, floor.sharing())
        # Whoever has just ended took his part of the time that passed.
        passed_s = (now - self._at) / max(sharing, self._sharing)
        self._at, self._sharing = now, sharing
        self._left_s = min(floor.grace_s, self._left_s - passed_s + size / floor.slowest_bytes_per_s)
        if self._left_s < 0:
            raise TooSlow(str(floor.slowest_bytes_per_s))
