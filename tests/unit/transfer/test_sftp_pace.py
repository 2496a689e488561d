"""A transfer that hardly moves ends: what counts is how much went over lately, shared by those under way."""

from __future__ import annotations

import io
import struct

import pytest

from payments.errors import Unreachable
from tests.unit.transfer.test_sftp_wire import GREETING, Script, packet
from transfer.sftp_copy import fetching, sending
from transfer.sftp_errors import translate
from transfer.sftp_pace import NO_FLOOR, Floor, TooSlow
from transfer.sftp_wire import Code, Kind, Wire, finish, text


class Seconds:
    """A clock that goes on by `step` at each look."""

    def __init__(self, step: float) -> None:
        self.step, self.at = step, 0.0

    def __call__(self) -> float:
        self.at += self.step
        return self.at


def moved(floor: Floor, size: int, times: int) -> int:
    """After how many confirmed pieces it was ended; 0: never."""
    pace = floor.begin()
    for number in range(1, times + 1):
        try:
            pace.moved(size)
        except TooSlow:
            return number
    return 0


def test_below_the_limit_the_grace_runs_out() -> None:
    """At half the limit, half of every second is taken from the stock of ten."""
    assert moved(Floor(1000, 10.0, now=Seconds(1)), 500, 100) == 21


def test_at_the_limit_it_may_take_for_ever() -> None:
    """A slow line is no reason by itself."""
    assert moved(Floor(1000, 10.0, now=Seconds(1)), 1000, 10_000) == 0


def test_what_went_fast_before_earns_no_year() -> None:
    """A megabyte at once brings no more than the stock: a minute of silence behind it is too long."""
    seconds = Seconds(1)
    pace = Floor(1000, 10.0, now=seconds).begin()
    pace.moved(1_000_000)
    seconds.step = 60
    with pytest.raises(TooSlow):
        pace.moved(1)


def test_files_side_by_side_share_the_line() -> None:
    """Each of four may be four times as slow."""
    assert moved(Floor(1000, 10.0, lambda: 4, Seconds(1)), 250, 10_000) == 0
    assert moved(Floor(1000, 10.0, lambda: 4, Seconds(1)), 200, 10_000) > 0


def test_without_a_limit_nothing_is_measured() -> None:
    """0 means none."""
    assert moved(NO_FLOOR, 0, 1000) == 0


def handle_and(*answers: bytes) -> Wire:
    return Wire(Script(GREETING, packet(Kind.HANDLE, 1, text(b"h")), *answers), lambda: None)


def test_a_byte_at_a_time_is_no_download() -> None:
    """Each answer comes in time and brings something: the transfer ends all the same, long before its last byte."""
    answers = [packet(Kind.DATA, 2 + number, text(b"x")) for number in range(40)]
    target = io.BytesIO()
    with pytest.raises(TooSlow):
        finish(fetching(handle_and(*answers), b"a", 40, target, 40, floor=Floor(1000, 5.0, now=Seconds(1))))
    assert 0 < len(target.getvalue()) < 10


def test_a_block_at_a_time_is_no_upload() -> None:
    """A server that takes one byte a second is left, long before it has all."""
    answers = [packet(Kind.STATUS, 2 + n, struct.pack(">I", Code.OK) + text(b"") + text(b"")) for n in range(400)]
    with pytest.raises(TooSlow):
        finish(sending(handle_and(*answers), io.BytesIO(b"x" * 400), b"a", 1, floor=Floor(1000, 5.0, now=Seconds(1))))


def test_the_last_piece_is_never_too_late() -> None:
    """What has come whole is not thrown away for having been slow."""
    answers = [
        packet(Kind.DATA, 2, text(b"x")),
        packet(Kind.STATUS, 3, struct.pack(">I", Code.EOF) + text(b"") + text(b"")),
        packet(Kind.STATUS, 4, struct.pack(">I", Code.OK) + text(b"") + text(b"")),
    ]
    target = io.BytesIO()
    finish(fetching(handle_and(*answers), b"a", 1, target, 40, floor=Floor(1000, 5.0, now=Seconds(3600))))
    assert target.getvalue() == b"x"


def test_too_slow_is_unreachable_and_names_the_setting() -> None:
    """Nothing may be concluded from it, and a person is told what to change."""
    error = translate(TooSlow("1000"), "host:22", "upload 'a'")
    assert isinstance(error, Unreachable)
    assert "fewer than 1000 bytes a second" in str(error)
    assert "slowest_bytes_per_s" in error.next_step
