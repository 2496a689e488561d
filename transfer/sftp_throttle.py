"""Keeps a stream below a bandwidth: whoever moved bytes waits until their time is over."""

from __future__ import annotations

import time
from collections.abc import Callable

from transfer.sftp_wire import Stream

BYTES_PER_MB = 1_000_000
BURST_S = 0.25


class Throttled:
    """A Stream that moves at most so many bytes in a second, both directions together; a quarter of a second may burst."""

    def __init__(
        self,
        inner: Stream,
        bytes_per_s: int,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._inner = inner
        self._bytes_per_s = bytes_per_s
        self._now = now
        self._sleep = sleep
        self._free_at = 0.0  # when everything moved so far has had its time

    def send(self, data: bytes, /) -> int:
        return self._spent(self._inner.send(data))

    def recv(self, size: int, /) -> bytes:
        data = self._inner.recv(min(size, max(1, int(self._bytes_per_s * BURST_S))))
        self._spent(len(data))
        return data

    def _spent(self, size: int) -> int:
        now = self._now()
        self._free_at = max(self._free_at, now) + size / self._bytes_per_s
        if self._free_at - now > BURST_S:
            self._sleep(self._free_at - now - BURST_S)
        return size
