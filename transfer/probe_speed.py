"""How fast a server answers and takes bytes: the round trip, and 1 MiB with 1, 8 and 32 requests in flight."""

from __future__ import annotations

import statistics
import struct
import time
from collections import deque
from contextlib import suppress

from transfer.probe_scratch import Scratch, create
from transfer.sftp_wire import Kind, Refused, Wire, text

BYTES = 1 << 20
BLOCK_BYTES = 32_768
IN_FLIGHT = (1, 8, 32)
SECONDS_MAX = 20.0
ROUND_TRIPS = 7


def round_trip_us(wire: Wire, scratch: Scratch) -> int:
    """The median of a few questions that cost the server next to nothing."""
    path = scratch.path("near")
    taken = []
    for _ in range(ROUND_TRIPS):
        begun = time.perf_counter()
        with suppress(Refused):  # a no takes as long as a yes
            wire.call(Kind.STAT, text(path), expected=Kind.ATTRS)
        taken.append(time.perf_counter() - begun)
    return round(statistics.median(taken) * 1e6)


def bytes_per_s(wire: Wire, scratch: Scratch, block: int) -> dict[str, int]:
    """Requests in flight -> bytes per second, its close included. What the server refuses, as for want of space, is left out."""
    found = {}
    for count in IN_FLIGHT:
        path = scratch.path(f"speed-{count}")
        try:
            found[str(count)] = _speed(wire, path, count, min(block, BLOCK_BYTES))
        except Refused:
            continue
    return found


def _speed(wire: Wire, path: bytes, count: int, block: int) -> int:
    handle = create(wire, path)
    under_way: deque[int] = deque()
    begun = time.perf_counter()
    written = 0
    data = bytes(block)
    try:
        while written < BYTES and time.perf_counter() - begun < SECONDS_MAX:
            if len(under_way) == count:
                wire.done(under_way.popleft())
            under_way.append(wire.send(Kind.WRITE, text(handle), struct.pack(">Q", written), text(data)))
            written += block
        while under_way:
            wire.done(under_way.popleft())
    finally:
        wire.forget(under_way)
        wire.done(wire.send(Kind.CLOSE, text(handle)))
    return round(written / max(time.perf_counter() - begun, 1e-6))
