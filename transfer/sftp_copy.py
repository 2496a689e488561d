"""Copies one file to or from an SFTP server with many requests under way, so that distance does not set the speed.

At most `REQUESTS_MAX` blocks of at most `BLOCK_BYTES` are under way: 2 MiB, whatever the size of the file.
"""

from __future__ import annotations

import struct
from collections import deque
from contextlib import suppress
from typing import BinaryIO

from payments.errors import DeliveryFailed
from transfer.sftp_errors import on_this_machine
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
    Wire,
    text,
)

BLOCK_BYTES = 32_768
REQUESTS_MAX = 64
NO_ATTRIBUTES = struct.pack(">I", 0)


class Blocks:
    """How large a block this server takes, asked once per session."""

    def __init__(self, wire: Wire) -> None:
        """`limits@openssh.com` answers four numbers: packet, read, write, open handles; 0 means not told."""
        self.read = self.write = BLOCK_BYTES
        if LIMITS in wire.extensions:
            with suppress(Refused):
                fields = wire.call(Kind.EXTENDED, text(LIMITS), expected=Kind.EXTENDED_REPLY)
                _packet, read, write = (fields.number(8) for _ in range(3))
                self.read = min(BLOCK_BYTES, read or BLOCK_BYTES)
                self.write = min(BLOCK_BYTES, write or BLOCK_BYTES)


def send(wire: Wire, source: BinaryIO, path: bytes, block: int) -> int:
    """Write all of `source` into a new file. Returns its bytes once the server confirmed every block, fsync and close.

    Raises Refused, also when the name is taken, and DeliveryFailed when `source` cannot be read. A file that was begun
    stays behind under its temporary name.
    """
    handle = wire.call(
        Kind.OPEN, text(path), struct.pack(">I", WRITE | CREATE | EXCLUSIVE), NO_ATTRIBUTES, expected=Kind.HANDLE
    ).text()
    try:
        size = _write(wire, source, handle, block)
        _fsync(wire, handle)
    except (Refused, DeliveryFailed):
        with suppress(Refused):
            _close(wire, handle)
        raise
    _close(wire, handle)
    return size


def fetch(wire: Wire, path: bytes, size: int, target: BinaryIO, block: int) -> None:
    """Read exactly `size` bytes of a file into `target`, and prove that it ends there.

    Raises Refused, and DeliveryFailed when the file grew or shrank since its size was asked.
    """
    handle = wire.call(Kind.OPEN, text(path), struct.pack(">I", READ), NO_ATTRIBUTES, expected=Kind.HANDLE).text()
    try:
        _read(wire, handle, size, target, block)
        _prove_end(wire, handle, size)
    finally:
        # Nothing depends on how a file that was only read is closed; a lost connection shows itself at the next act.
        with suppress(Refused, EOFError, OSError):
            _close(wire, handle)


def _write(wire: Wire, source: BinaryIO, handle: bytes, block: int) -> int:
    under_way: deque[int] = deque()
    offset = 0
    try:
        while data := _local_block(source, block):
            if len(under_way) == REQUESTS_MAX:
                wire.done(under_way.popleft())
            under_way.append(wire.send(Kind.WRITE, text(handle), struct.pack(">Q", offset), text(data)))
            offset += len(data)
        while under_way:
            wire.done(under_way.popleft())
    finally:
        wire.forget(under_way)
    return offset


def _local_block(source: BinaryIO, block: int) -> bytes:
    with on_this_machine("read a file to upload"):
        return source.read(block)


def _fsync(wire: Wire, handle: bytes) -> None:
    if FSYNC not in wire.extensions:
        return
    try:
        wire.done(wire.send(Kind.EXTENDED, text(FSYNC), text(handle)))
    except Refused as refused:
        if refused.code != Code.UNSUPPORTED:
            raise


def _close(wire: Wire, handle: bytes) -> None:
    wire.done(wire.send(Kind.CLOSE, text(handle)))


def _read(wire: Wire, handle: bytes, size: int, target: BinaryIO, block: int) -> None:
    under_way: deque[tuple[int, int, int]] = deque()  # request, offset, length

    def ask(offset: int, length: int) -> None:
        number = wire.send(Kind.READ, text(handle), struct.pack(">QI", offset, length))
        under_way.append((number, offset, length))

    asked = 0
    try:
        while asked < size or under_way:
            while asked < size and len(under_way) < REQUESTS_MAX:
                ask(asked, min(block, size - asked))
                asked += under_way[-1][2]
            number, offset, length = under_way.popleft()
            data = _data(wire, number, length)
            with on_this_machine("write a downloaded file"):
                target.seek(offset)
                target.write(data)
            if len(data) < length:
                ask(offset + len(data), length - len(data))
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


def _prove_end(wire: Wire, handle: bytes, size: int) -> None:
    try:
        wire.call(Kind.READ, text(handle), struct.pack(">QI", size, 1), expected=Kind.DATA)
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
