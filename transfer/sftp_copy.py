"""Copies files to or from an SFTP server with many requests under way, so that distance does not set the speed.

At most `REQUESTS_MAX` blocks of at most `BLOCK_BYTES` are under way: 2 MiB, whatever the size of the file. Files that are
copied side by side share them; only the first block of each is never made to wait.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from payments.errors import DeliveryFailed
from transfer.sftp_errors import on_this_machine
from transfer.sftp_pace import NO_FLOOR, Floor, Pace
from transfer.sftp_wire import (
    CREATE,
    EXCLUSIVE,
    FSYNC,
    LIMITS,
    READ,
    WRITE,
    Code,
    Kind,
    ProtocolViolated,
    Refused,
    Steps,
    Wire,
    finish,
    text,
)

BLOCK_BYTES = 32_768
WRITE_BYTES = 32_000  # with its header in one SSH packet of 32 KiB; a larger one would travel as two
REQUESTS_MAX = 64
NO_ATTRIBUTES = struct.pack(">I", 0)


class Blocks:
    """How large a block this server takes, asked once per session."""

    def __init__(self, wire: Wire) -> None:
        """`limits@openssh.com` answers four numbers: packet, read, write, open handles; 0 means not told."""
        self.read, self.write = BLOCK_BYTES, WRITE_BYTES
        if LIMITS in wire.extensions:
            with suppress(Refused):
                fields = wire.call(Kind.EXTENDED, text(LIMITS), expected=Kind.EXTENDED_REPLY)
                _packet, read, write = (fields.number(8) for _ in range(3))
                self.read = min(BLOCK_BYTES, read or BLOCK_BYTES)
                self.write = min(WRITE_BYTES, write or WRITE_BYTES)


def alone() -> int:
    """The share of a file that is copied alone."""
    return REQUESTS_MAX


def send(wire: Wire, source: BinaryIO, path: bytes, block: int) -> int:
    """`sending`, alone."""
    return finish(sending(wire, source, path, block))


def fetch(wire: Wire, path: bytes, size: int, target: BinaryIO, block: int) -> None:
    """`fetching`, alone."""
    finish(fetching(wire, path, size, target, block))


def sending(
    wire: Wire, source: BinaryIO, path: bytes, block: int, share: Callable[[], int] = alone, floor: Floor = NO_FLOOR
) -> Steps[int]:
    """Write all of `source` into a new file. Returns its bytes once the server confirmed every block, fsync and close.

    `share` says how many blocks of this file may be under way now. Raises Refused, also when the name is taken,
    DeliveryFailed when `source` cannot be read, and TooSlow. A file that was begun stays behind under its temporary name.
    """
    opening = struct.pack(">I", WRITE | CREATE | EXCLUSIVE)
    handle = (yield from wire.asked(Kind.OPEN, text(path), opening, NO_ATTRIBUTES, expected=Kind.HANDLE)).text()
    try:
        size = yield from _write(wire, source, handle, block, share, floor.begin())
        yield from _fsync(wire, handle)
    except (Refused, DeliveryFailed):
        with suppress(Refused):
            yield from _close(wire, handle)
        raise
    yield from _close(wire, handle)
    return size


def fetching(
    wire: Wire,
    path: bytes,
    size: int,
    target: BinaryIO,
    block: int,
    share: Callable[[], int] = alone,
    floor: Floor = NO_FLOOR,
) -> Steps[None]:
    """Read exactly `size` bytes of a file into `target`, and prove that it ends there.

    Raises Refused, TooSlow, and DeliveryFailed when the file grew or shrank since its size was asked.
    """
    opening = struct.pack(">I", READ)
    handle = (yield from wire.asked(Kind.OPEN, text(path), opening, NO_ATTRIBUTES, expected=Kind.HANDLE)).text()
    try:
        yield from _read(wire, handle, size, target, block, share, floor.begin())
        yield from _prove_end(wire, handle, size)
    except (Refused, DeliveryFailed):
        with suppress(Refused):
            yield from _close(wire, handle)
        raise
    # Nothing depends on how a file that was only read is closed; a lost connection shows itself at the next act.
    with suppress(Refused, EOFError, OSError):
        yield from _close(wire, handle)


def _write(wire: Wire, source: BinaryIO, handle: bytes, block: int, share: Callable[[], int], pace: Pace) -> Steps[int]:
    under_way: deque[int] = deque()
    offset = 0
    try:
        while data := _local_block(source, block):
            while under_way and _full(wire, len(under_way), share):
                yield from wire.confirmed(under_way.popleft())
                pace.moved(block)
            place = struct.pack(">QI", offset, len(data))
            under_way.append(wire.send(Kind.WRITE, text(handle), place, data))
            offset += len(data)
        while under_way:
            yield from wire.confirmed(under_way.popleft())
            if under_way:
                pace.moved(block)
    finally:
        wire.forget(under_way)
    return offset


def _full(wire: Wire, ours: int, share: Callable[[], int]) -> bool:
    return ours >= share() or wire.under_way >= REQUESTS_MAX


def _local_block(source: BinaryIO, block: int) -> bytes:
    with on_this_machine("read a file to upload"):
        return source.read(block)


def _fsync(wire: Wire, handle: bytes) -> Steps[None]:
    if FSYNC not in wire.extensions:
        return
    try:
        yield from wire.confirmed(wire.send(Kind.EXTENDED, text(FSYNC), text(handle)))
    except Refused as refused:
        if refused.code != Code.UNSUPPORTED:
            raise


def _close(wire: Wire, handle: bytes) -> Steps[None]:
    yield from wire.confirmed(wire.send(Kind.CLOSE, text(handle)))


def _read(
    wire: Wire, handle: bytes, size: int, target: BinaryIO, block: int, share: Callable[[], int], pace: Pace
) -> Steps[None]:
    under_way: deque[tuple[int, int, int]] = deque()  # request, offset, length

    def ask(offset: int, length: int) -> None:
        number = wire.send(Kind.READ, text(handle), struct.pack(">QI", offset, length))
        under_way.append((number, offset, length))

    asked = 0
    try:
        while asked < size or under_way:
            while asked < size and not (under_way and _full(wire, len(under_way), share)):
                ask(asked, min(block, size - asked))
                asked += under_way[-1][2]
            number, offset, length = under_way.popleft()
            yield number
            data = _data(wire, number, length)
            with on_this_machine("write a downloaded file"):
                target.seek(offset)
                target.write(data)
            if len(data) < length:
                ask(offset + len(data), length - len(data))
            if asked < size or under_way:
                pace.moved(len(data))
    finally:
        wire.forget(number for number, _, _ in under_way)


def _data(wire: Wire, number: int, length: int) -> bytes:
    try:
        data = wire.answer(number, Kind.DATA).text()
    except Refused as refused:
        if refused.code == Code.EOF:
            raise _changed("it is shorter than it was") from refused
        raise
    if not 0 < len(data) <= length:
        raise ProtocolViolated(f"{len(data)} bytes came where 1 to {length} were asked for")
    return data


def _prove_end(wire: Wire, handle: bytes, size: int) -> Steps[None]:
    try:
        yield from wire.asked(Kind.READ, text(handle), struct.pack(">QI", size, 1), expected=Kind.DATA)
    except Refused as refused:
        if refused.code != Code.EOF:
            raise
    else:
        raise _changed("it is longer than it was")


def _changed(how: str) -> DeliveryFailed:
    return DeliveryFailed(
        f"a remote file changed while it was read: {how}",
        next_step="Nothing to do: it is read again when its size has settled.",
    )
