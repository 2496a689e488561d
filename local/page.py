"""The page as seen by the service that starts it: when to start it again, and how its address is said."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from dashboard.address import published

PAUSE_S_MIN, PAUSE_S_MAX = 1.0, 60.0
ANNOUNCED_S_MAX = 20.0
POLL_S = 0.05


class Pauses:
    """A page that cannot be served is started again ever more rarely: it is not the work, and its log is read by people."""

    def __init__(self) -> None:
        self._pause_s = PAUSE_S_MIN
        self._due_s: float | None = None
        self._started_s = time.monotonic()

    def started(self) -> None:
        self._started_s, self._due_s = time.monotonic(), None

    def ended(self) -> float | None:
        """Asked as long as the page is down. The first time: after how many seconds it is due again; then None."""
        if self._due_s is not None:
            return None
        now_s = time.monotonic()
        if now_s - self._started_s > PAUSE_S_MAX:
            self._pause_s = PAUSE_S_MIN
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, PAUSE_S_MAX)
        self._due_s = now_s + pause_s
        return pause_s

    @property
    def is_due(self) -> bool:
        return self._due_s is not None and time.monotonic() >= self._due_s


class Announcement:
    """Says the page's address once, as soon as there is one; and once that there is none when it takes too long."""

    def __init__(self, base: Path, say: Callable[[str], None]) -> None:
        self._base, self._say = base, say
        self._until_s = time.monotonic() + ANNOUNCED_S_MAX
        self._late = False
        self._said = False

    def look(self) -> None:
        """Called again and again while the service runs."""
        if self._said:
            return
        address = published(self._base)
        if address:
            self._said = True
            self._say(f"the page is at {address}")
        elif not self._late and time.monotonic() > self._until_s:
            self._late = True
            self._say("the page is not up; the log says why")


def address_within(base: Path, wait_s: float) -> str:
    """The page's address, empty when there is none after `wait_s`."""
    until_s = time.monotonic() + wait_s
    while not (address := published(base)) and time.monotonic() < until_s:
        time.sleep(POLL_S)
    return address
