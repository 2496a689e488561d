"""Cuts a connection that stands still: the one time limit that also ends a send into a peer that no longer reads.

A receive can be given a time-out, but a send that fills every buffer, and a vendor's wait without a limit, cannot: they
end when somebody closes the connection under them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Watchdog:
    """Calls `cut` once when, while watching, nobody called `feed` for `limit_s` seconds. Owns one thread until `stop`."""

    def __init__(self, cut: Callable[[], None], limit_s: float) -> None:
        """`cut` may raise OSError when there is nothing left to cut."""
        self._cut = cut
        self.limit_s = limit_s
        self._changed = threading.Condition()
        self._deadline = float("inf")
        self._wakes_at = float("-inf")  # when the thread looks again by itself
        self._stopped = False
        self.fired = False
        self._thread = threading.Thread(target=self._watch, name="sftp watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Inside, an exception after the cut leaves as TimeoutError, which says what happened."""
        self._set(time.monotonic() + self.limit_s)
        try:
            yield
        except Exception as error:
            if self.fired:
                raise TimeoutError from error
            raise
        finally:
            self._set(float("inf"))

    def feed(self) -> None:
        """The connection moved. No wake-up: the thread finds the later deadline when it looks."""
        self._deadline = time.monotonic() + self.limit_s

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _set(self, deadline: float) -> None:
        with self._changed:
            self._deadline = deadline
            # A later deadline is found when the thread looks: to wake it for every act would cost more than the act.
            if deadline < self._wakes_at:
                self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._stopped and not self.fired:
                left = self._deadline - time.monotonic()
                if left <= 0:
                    self.fired = True
                    with suppress(OSError):
                        self._cut()
                else:
                    wait_s = min(left, threading.TIMEOUT_MAX)
                    self._wakes_at = time.monotonic() + wait_s
                    self._changed.wait(wait_s)
