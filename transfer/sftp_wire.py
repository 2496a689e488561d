"""The SFTP protocol, version 3, over any byte stream: numbered requests and checked answers, several at a time.

Source of packets, flags and codes: draft-ietf-secsh-filexfer-02; `fsync@openssh.com` and `limits@openssh.com`: OpenSSH's
PROTOCOL file. We speak it ourselves because a file object that swallows a failed close cannot be trusted with payments.

    us                              server
    request 1, 2, 3 ... 64  ------>             many requests travel before the first answer comes
                            <------  2, 1, 3    answers come in any order; each one is matched and checked
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, TypeVar

R = TypeVar("R")
Steps = Generator[int, None, R]
"""An act in steps: it yields the number of the request whose answer it needs next, and returns when the act is done."""

VERSION = 3
PACKET_BYTES_MAX = 1 << 20  # no server needs more for 32 KiB of data or a slice of a listing
RECEIVE_BYTES = 1 << 21  # all that a window holds: the vendor moves the rest of its buffer at every receive

FSYNC = b"fsync@openssh.com"
LIMITS = b"limits@openssh.com"


class Kind(IntEnum):
    """The first byte of a packet."""

    INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT = range(1, 8)
    OPENDIR, READDIR, REMOVE, MKDIR, RMDIR = range(11, 16)
    STAT, RENAME = range(17, 19)
    STATUS, HANDLE, DATA, NAME, ATTRS = range(101, 106)
    EXTENDED, EXTENDED_REPLY = range(200, 202)


class Code(IntEnum):
    """Why a server answers what it answers. FAILURE says nothing: a full disk and a taken name both give it."""

    OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, NO_CONNECTION, CONNECTION_LOST, UNSUPPORTED = range(
        9
    )


READ, WRITE, CREATE, EXCLUSIVE = 0x01, 0x02, 0x08, 0x20


class Refused(Exception):
    """The server answered no. Its own words are left out: nobody knows what they quote."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.word = Code(code).name.lower().replace("_", " ") if code in list(Code) else f"code {code}"
        super().__init__(self.word)


class ProtocolViolated(Exception):
    """What arrived is no answer to what was asked; nothing may be concluded from it."""


class Stream(Protocol):
    """Both directions of a connection, as sockets have them: `recv` gives nothing and `send` 0 when it has ended."""

    def send(self, data: bytes, /) -> int: ...

    def recv(self, size: int, /) -> bytes: ...


class Fields:
    """The fields of a packet, taken off one after the other. Raises ProtocolViolated when they end too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, width: int = 4) -> int:
        """An unsigned integer of `width` bytes."""
        return int.from_bytes(self._take(width))

    def text(self) -> bytes:
        return self._take(self.number())

    @property
    def left(self) -> int:
        """Bytes not yet taken."""
        return len(self._data) - self._at

    def _take(self, size: int) -> bytes:
        if size > self.left:
            raise ProtocolViolated("a packet is shorter than its fields")
        self._at += size
        return self._data[self._at - size : self._at]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a server says about a file; None where it says nothing. `modified_s` is POSIX time by its own clock."""

    size: int | None
    mode: int | None
    modified_s: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its kind, and its fields behind the number."""

    kind: int
    fields: Fields


def text(value: bytes) -> bytes:
    """A string as SFTP writes it: four bytes of length, then its bytes."""
    return struct.pack(">I", len(value)) + value


def attributes(fields: Fields) -> Attributes:
    flags = fields.number()
    size = fields.number(8) if flags & 0x1 else None
    if flags & 0x2:
        fields.number(8)
    mode = fields.number() if flags & 0x4 else None
    modified_s = (fields.number(8) & 0xFFFFFFFF) if flags & 0x8 else 0
    for _ in range(fields.number() if flags & 0x80000000 else 0):
        fields.text()
        fields.text()
    return Attributes(size, mode, modified_s)


def finish(steps: Steps[R]) -> R:
    """Do an act alone: each of its steps waits for its own answer."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            value: R = stop.value
            return value


class Wire:
    """One SFTP session. Not for two threads at once. `progress` is called for every complete answer."""

    def __init__(self, stream: Stream, progress: Callable[[], None]) -> None:
        """Agrees on the version. Raises ProtocolViolated, EOFError or what the stream raises."""
        self._stream = stream
        self._progress = progress
        self._buffer = bytearray()
        self._number = 0
        self._awaited: set[int] = set()
        self._forgotten: set[int] = set()
        self._arrived: dict[int, Answer] = {}
        self.extensions = self._greet()

    def send(self, kind: Kind, *parts: bytes) -> int:
        """Send a request and return its number without waiting for the answer."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        self._awaited.add(self._number)
        self._write(kind, struct.pack(">I", self._number), *parts)
        return self._number

    def answer(self, number: int, expected: Kind) -> Fields:
        """The answer to a request, once. Raises Refused when it is a status instead of the kind we expect."""
        while number not in self._arrived:
            self.receive()
        answer = self._arrived.pop(number)
        if answer.kind == expected:
            return answer.fields
        if answer.kind == Kind.STATUS and (code := answer.fields.number()) != Code.OK:
            raise Refused(code)
        raise ProtocolViolated(f"an answer of kind {answer.kind} came where {expected.name} was expected")

    def done(self, number: int) -> None:
        """Wait until the server confirms a request that has no other answer. Raises Refused."""
        code = self.answer(number, Kind.STATUS).number()
        if code != Code.OK:
            raise Refused(code)

    def call(self, kind: Kind, *parts: bytes, expected: Kind) -> Fields:
        """Send one request and wait for its answer."""
        return finish(self.asked(kind, *parts, expected=expected))

    def asked(self, kind: Kind, *parts: bytes, expected: Kind) -> Steps[Fields]:
        """The same in steps."""
        number = self.send(kind, *parts)
        yield number
        return self.answer(number, expected)

    def confirmed(self, number: int) -> Steps[None]:
        """`done` in steps."""
        yield number
        self.done(number)

    @property
    def under_way(self) -> int:
        """How many requests have no answer yet."""
        return len(self._awaited)

    def arrived(self, number: int) -> bool:
        """Whether `answer` would not have to wait."""
        return number in self._arrived

    def receive(self) -> int:
        """Wait for the next answer, keep it for `answer`, and return its number. Raises what the stream raises."""
        kind, fields = self._packet()
        number = fields.number()
        if number not in self._awaited:
            raise ProtocolViolated("an answer came to a request that was never sent")
        self._awaited.discard(number)
        if number in self._forgotten:
            self._forgotten.discard(number)
        else:
            self._arrived[number] = Answer(kind, fields)
        return number

    def forget(self, numbers: Iterable[int]) -> None:
        """Nobody will ask for these answers any more: they are thrown away when they come."""
        for number in numbers:
            if self._arrived.pop(number, None) is None and number in self._awaited:
                self._forgotten.add(number)

    def _greet(self) -> dict[bytes, bytes]:
        self._write(Kind.INIT, struct.pack(">I", VERSION))
        kind, fields = self._packet()
        if kind != Kind.VERSION or fields.number() != VERSION:
            raise ProtocolViolated("the server does not speak SFTP version 3")
        offered = {}
        while fields.left:
            name = fields.text()
            offered[name] = fields.text()
        return offered

    def _write(self, kind: Kind, *parts: bytes) -> None:
        # Joined once: a block of a file is copied here and nowhere else on our side.
        packet = b"".join((struct.pack(">IB", sum(map(len, parts)) + 1, kind), *parts))
        while packet:
            count = self._stream.send(packet)
            if count == 0:
                raise EOFError
            packet = packet[count:]

    def _packet(self) -> tuple[int, Fields]:
        size = int.from_bytes(self._bytes(4))
        if not 1 <= size <= PACKET_BYTES_MAX:
            raise ProtocolViolated(f"a packet claims {size} bytes")
        packet = self._bytes(size)
        self._progress()
        return packet[0], Fields(packet[1:])

    def _bytes(self, size: int) -> bytes:
        while len(self._buffer) < size:
            more = self._stream.recv(RECEIVE_BYTES)
            if not more:
                raise EOFError
            self._buffer += more
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken
