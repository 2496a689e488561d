"""The SFTP protocol against scripted servers: an answer is what was asked for, or nothing is concluded from it."""

from __future__ import annotations

import io
import stat
import struct
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.errors import DeliveryFailed
from transfer.sftp_copy import REQUESTS_MAX, fetch, send
from transfer.sftp_listing import files_of
from transfer.sftp_wire import Attributes, Code, Fields, Kind, ProtocolViolated, Refused, Wire, attributes, text

GREETING = struct.pack(">IBI", 5, Kind.VERSION, 3)


def packet(kind: int, number: int, body: bytes = b"") -> bytes:
    return struct.pack(">IBI", len(body) + 5, kind, number) + body


def status(number: int, code: int) -> bytes:
    return packet(Kind.STATUS, number, struct.pack(">I", code) + text(b"canary") + text(b""))


class Script:
    """A stream that gives what it was told, in pieces, and keeps what it was sent."""

    def __init__(self, *answers: bytes, piece: int = 7) -> None:
        self.sent = bytearray()
        self._answers = b"".join(answers)
        self._piece = piece

    def send(self, data: bytes, /) -> int:
        self.sent += data[:1000]
        return min(len(data), 1000)

    def recv(self, size: int, /) -> bytes:
        given, self._answers = self._answers[: self._piece], self._answers[self._piece :]
        return given


def wire(*answers: bytes) -> Wire:
    return Wire(Script(GREETING, *answers), lambda: None)


def test_answers_are_matched_by_number_in_any_order() -> None:
    """Two requests under way get their own answers, although the second one's comes first."""
    session = wire(packet(Kind.HANDLE, 2, text(b"second")), packet(Kind.HANDLE, 1, text(b"first")))
    first, second = session.send(Kind.OPEN, b""), session.send(Kind.OPEN, b"")
    assert session.answer(first, Kind.HANDLE).text() == b"first"
    assert session.answer(second, Kind.HANDLE).text() == b"second"


def test_extensions_are_read_from_the_greeting() -> None:
    """What the server offers is known by name."""
    body = struct.pack(">I", 3) + text(b"fsync@openssh.com") + text(b"1")
    script = Script(struct.pack(">IB", len(body) + 1, Kind.VERSION) + body)
    assert Wire(script, lambda: None).extensions == {b"fsync@openssh.com": b"1"}
    assert script.sent == struct.pack(">IBI", 5, Kind.INIT, 3)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([status(2, Code.OK)], "never sent"),
        ([packet(Kind.DATA, 1, text(b"x"))], "kind 103 came where STATUS was expected"),
        ([packet(77, 1)], "kind 77"),
        ([struct.pack(">I", 0)], "claims 0 bytes"),
        ([struct.pack(">I", 1 << 31)], "claims 2147483648 bytes"),
        ([packet(Kind.STATUS, 1, b"\0")], "shorter than its fields"),
    ],
)
def test_an_answer_that_does_not_fit_proves_nothing(answers: list[bytes], says: str) -> None:
    """Wrong numbers, kinds and lengths are a broken protocol, never a yes or a no."""
    session = wire(*answers)
    number = session.send(Kind.REMOVE, text(b"a"))
    with pytest.raises(ProtocolViolated, match=says):
        session.done(number)


def test_an_ok_is_no_handle() -> None:
    """A server that says OK where a handle is due has opened nothing."""
    with pytest.raises(ProtocolViolated, match="HANDLE"):
        wire(status(1, Code.OK)).call(Kind.OPEN, b"", expected=Kind.HANDLE)


@pytest.mark.parametrize(("code", "word"), [(Code.PERMISSION_DENIED, "permission denied"), (11, "code 11")])
def test_a_refusal_keeps_the_code_and_not_the_words(code: int, word: str) -> None:
    """Every code but OK is a refusal, unknown ones too, and what the server wrote beside it is dropped."""
    session = wire(status(1, code))
    with pytest.raises(Refused) as caught:
        session.done(session.send(Kind.REMOVE, text(b"a")))
    assert (caught.value.code, str(caught.value)) == (code, word)


@pytest.mark.parametrize("greeting", [struct.pack(">IBI", 5, Kind.VERSION, 2), status(0, Code.OK)])
def test_another_version_is_not_spoken(greeting: bytes) -> None:
    """A server that does not greet with version 3 is left alone."""
    with pytest.raises(ProtocolViolated, match="version 3"):
        Wire(Script(greeting), lambda: None)


@pytest.mark.parametrize("cut_at", range(len(status(1, 0))))
def test_an_answer_that_is_cut_off_is_no_answer(cut_at: int) -> None:
    """Wherever the stream ends inside an answer, nobody takes it for one."""
    session = wire(status(1, Code.OK)[:cut_at])
    number = session.send(Kind.REMOVE, text(b"a"))
    with pytest.raises(EOFError):
        session.done(number)


def test_a_stream_that_takes_no_more_has_ended() -> None:
    """A send that moves nothing ends the session instead of trying for ever."""
    script = Script(GREETING)
    session = Wire(script, lambda: None)
    script.send = lambda _data, /: 0  # type: ignore[method-assign]
    with pytest.raises(EOFError):
        session.send(Kind.REMOVE, text(b"a"))


@given(st.binary(max_size=64))
def test_attributes_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No attributes that a server can send break the reader in another way than ProtocolViolated."""
    try:
        found = attributes(Fields(data))
    except ProtocolViolated:
        return
    assert isinstance(found, Attributes)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_attributes_are_read_as_written(size: int, mode: int, modified_s: int) -> None:
    """Size, mode and time come back from the bytes of the draft."""
    data = struct.pack(">IQIIIIII", 0x8000000F, size, 1, 2, mode, 3, modified_s, 1) + text(b"x") + text(b"y")
    assert attributes(Fields(data)) == Attributes(size, mode, modified_s)


class Disk:
    """An SFTP server in memory that confirms blocks only when as many are under way as it may see at once."""

    def __init__(self, fail_at: int = -1) -> None:
        self._in = bytearray()
        self._out = bytearray(GREETING)
        self._waiting: deque[tuple[int, int]] = deque()
        self._fail_at = fail_at
        self.most_waiting = 0
        self.data = bytearray()
        self.closed = False

    def send(self, data: bytes, /) -> int:
        self._in += data
        while len(self._in) >= 4 and len(self._in) >= 4 + (size := int.from_bytes(self._in[:4])):
            self._take(self._in[4], bytes(self._in[5 : 4 + size]))
            del self._in[: 4 + size]
        return len(data)

    def recv(self, size: int, /) -> bytes:
        while self._waiting:
            self._out += status(*self._waiting.pop())
        given = bytes(self._out[:size])
        del self._out[:size]
        return given

    def _take(self, kind: int, body: bytes) -> None:
        fields = Fields(body)
        number = fields.number()
        if kind == Kind.OPEN:
            self._out += packet(Kind.HANDLE, number, text(b"h"))
        elif kind == Kind.WRITE:
            fields.text()
            offset, data = fields.number(8), fields.text()
            self.data[offset : offset + len(data)] = data
            self._waiting.append((number, Code.FAILURE if offset == self._fail_at else Code.OK))
            self.most_waiting = max(self.most_waiting, len(self._waiting))
        elif kind == Kind.CLOSE:
            self.closed = True
            self._waiting.append((number, Code.OK))


def test_blocks_under_way_are_bounded_and_all_confirmed() -> None:
    """However large the file, no more than the allowed blocks wait for an answer, and the bytes arrive in order."""
    disk = Disk()
    data = bytes(range(256)) * 40
    assert send(Wire(disk, lambda: None), io.BytesIO(data), b"a", 64) == len(data)
    assert disk.data == data
    assert disk.closed
    assert disk.most_waiting == REQUESTS_MAX


@pytest.mark.parametrize("block", [0, 1, 63, 64, 65, 159])
def test_any_block_that_fails_fails_the_file(block: int) -> None:
    """One refused block, the first or the last, refuses the whole, and the file is closed."""
    disk = Disk(fail_at=block * 64)
    session = Wire(disk, lambda: None)
    with pytest.raises(Refused, match="failure"):
        send(session, io.BytesIO(bytes(64 * 160)), b"a", 64)
    assert disk.closed
    assert not session._arrived


@pytest.mark.parametrize("data", [b"", b"123456"])
def test_a_block_of_a_wrong_size_is_not_taken(data: bytes) -> None:
    """A server that gives nothing, or more than was asked, would spoil the file: it breaks the protocol."""
    session = wire(packet(Kind.HANDLE, 1, text(b"h")), packet(Kind.DATA, 2, text(data)), status(3, Code.OK))
    with pytest.raises(ProtocolViolated, match=r"bytes came where 1 to 5"):
        fetch(session, b"a", 5, io.BytesIO(), 32)


def names(number: int, *entries: tuple[bytes, bytes, bytes]) -> bytes:
    body = b"".join(text(name) + text(line) + found for name, line, found in entries)
    return packet(Kind.NAME, number, struct.pack(">I", len(entries)) + body)


def test_without_a_mode_the_printed_line_decides() -> None:
    """A server that tells no mode still has its directories left out and its links told apart, and no file is overlooked."""
    sized = struct.pack(">IQ", 0x1, 5)
    listed = names(2, (b"f", b"-rw", sized), (b"d", b"drwx", sized), (b"l", b"lrwx", sized), (b"?", b"", sized))
    session = wire(packet(Kind.HANDLE, 1, text(b"h")), listed, status(3, Code.EOF), status(4, Code.OK))
    assert [(each.name, each.plain) for each in files_of(session, b"outbox")] == [
        ("?", True),
        ("f", True),
        ("l", False),
    ]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK, 0o150000])
def test_what_is_no_plain_file_is_listed_as_such(kind: int) -> None:
    """Links, pipes, sockets, devices and kinds that nobody knows are told, so that none is passed over in silence."""
    listed = names(
        2, (b"x", b"", struct.pack(">II", 0x4, kind | 0o644)), (b"d", b"", struct.pack(">II", 0x4, 0o040755))
    )
    session = wire(packet(Kind.HANDLE, 1, text(b"h")), listed, status(3, Code.EOF), status(4, Code.OK))
    assert [(each.name, each.plain) for each in files_of(session, b"outbox")] == [("x", False)]


def test_names_can_always_be_stored() -> None:
    """Bytes that no database takes in a text are written out, so that one name never stops a whole listing."""
    sized = struct.pack(">IQ", 0x1, 5)
    listed = names(2, (b"a\0b", b"-", sized), (b"caf\xe9", b"-", sized), (b"\xed\xa0\x80", b"-", sized))
    session = wire(packet(Kind.HANDLE, 1, text(b"h")), listed, status(3, Code.EOF), status(4, Code.OK))
    found = [each.name for each in files_of(session, b"outbox")]
    assert found == [r"\xed\xa0\x80", r"a\x00b", r"caf\xe9"]
    assert [name.encode().decode() for name in found] == found


def test_a_listing_has_a_limit_of_time_as_a_whole() -> None:
    """A server that gives one entry an answer, each just in time, is not listened to for ever."""
    sized = struct.pack(">IQ", 0x1, 5)
    slices = [names(2 + number, (b"%d" % number, b"-", sized)) for number in range(21)]
    session = wire(packet(Kind.HANDLE, 1, text(b"h")), *slices, status(23, Code.OK))
    ticks = iter(range(0, 100_000, 29))
    with pytest.raises(DeliveryFailed, match=r"not listed in 600 s, with 21 entries"):
        files_of(session, b"outbox", lambda: float(next(ticks)))


def test_a_slice_without_names_would_go_on_for_ever() -> None:
    """An empty slice that is not the end breaks the protocol."""
    session = wire(packet(Kind.HANDLE, 1, text(b"h")), names(2), status(3, Code.OK))
    with pytest.raises(ProtocolViolated, match="empty"):
        files_of(session, b"outbox")
