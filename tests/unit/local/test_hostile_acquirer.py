"""The hostile acquirer itself: each switch does what it says and nothing else, and the greedy reader sees everything."""

from __future__ import annotations

import argparse
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from local.hostile_acquirer import HOST, USER, HostileAcquirer, hostile_acquirer
from local.hostile_switches import REQUESTS, Planted, Switches, add_switches, switches_of
from payments.config import Sftp
from payments.errors import DeliveryFailed, HostKeyRefused, TieoutError, Unreachable
from tests.servers.process import until
from transfer.sftp import connect

BODY = bytes(range(200)) * 500
NAME, TEMPORARY = "inbox/a.csv", "inbox/.a.part"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileAcquirer]:
    with hostile_acquirer(tmp_path_factory.mktemp("hostile")) as running:
        yield running


@pytest.fixture
def source(server: HostileAcquirer, tmp_path: Path) -> Path:
    server.clear()
    path = tmp_path / "source"
    path.write_bytes(BODY)
    return path


def settings(server: HostileAcquirer, limit_s: int = 20) -> Sftp:
    keys = list(server.host_keys)
    limits = {"connect_timeout_s": limit_s, "channel_timeout_s": limit_s}
    return Sftp(host=HOST, port=server.port, user=USER, host_keys=keys, **limits)


def deliver(server: HostileAcquirer, source: Path, switches: Switches) -> None:
    """Upload and rename, as every client should."""
    server.plant(switches)
    limit_s = 1 if switches.silent or switches.slow_s else 20
    with connect(settings(server, limit_s), key=server.client_key.read_bytes(), password=None) as drop:
        drop.upload(source, TEMPORARY)
        drop.rename(TEMPORARY, NAME)


def test_without_switches_it_is_an_honest_server(server: HostileAcquirer, source: Path) -> None:
    """A file arrives whole, is seen once, and every request was counted."""
    deliver(server, source, Switches())
    assert [content.size for content in server.contents()["a.csv"]] == [len(BODY)]
    assert server.partial() == []
    assert {"login", "open", "write", "fsync", "close", "stat", "rename"} <= server.requests().keys()
    assert (server.connections(), server.faults()) == (1, 0)


@pytest.mark.parametrize(
    ("switches", "error"),
    [
        (Switches(cut_at_byte=0), Unreachable),
        (Switches(cut_at_byte=len(BODY)), Unreachable),
        (Switches(lose_reply=(Planted("close"),)), Unreachable),
        (Switches(refuse=(Planted("rename"),)), DeliveryFailed),
        (Switches(refuse=(Planted("login"),)), Unreachable),
        (Switches(full_at_close=True), DeliveryFailed),
        (Switches(vanish_at_close=True), DeliveryFailed),
        (Switches(lie_about_size=True), DeliveryFailed),
        (Switches(flip_host_key=0), HostKeyRefused),
        (Switches(silent=True), Unreachable),
        (Switches(slow_s=2), Unreachable),
    ],
    ids=repr,
)
def test_each_switch_is_felt(
    server: HostileAcquirer, source: Path, switches: Switches, error: type[TieoutError]
) -> None:
    """The client meets the failure that was planted, and nothing has the final name."""
    with pytest.raises(error):
        deliver(server, source, switches)
    assert server.contents() == {}
    assert server.hands() == []


@pytest.mark.parametrize("request_lost", ["rename", "posix-rename"])
def test_an_act_whose_answer_is_lost_is_done(server: HostileAcquirer, source: Path, request_lost: str) -> None:
    """A lost answer is no refusal: the file has its name, and is whole."""
    with suppress(Unreachable):
        deliver(server, source, Switches(lose_reply=(Planted(request_lost),)))
    assert [(name, content.size) for name, content in server.hands()] == [("a.csv", len(BODY))]


@pytest.mark.parametrize("byte", [1, 32_768, 50_000, len(BODY) - 1])
def test_a_cut_keeps_exactly_so_many_bytes(server: HostileAcquirer, source: Path, byte: int) -> None:
    """What came behind the cut has no effect, also when it was on its way already."""
    with pytest.raises(Unreachable):
        deliver(server, source, Switches(cut_at_byte=byte))
    assert (server.root / TEMPORARY).read_bytes() == BODY[:byte]


def test_the_second_request_and_the_number_of_times(server: HostileAcquirer, source: Path) -> None:
    """`rename:2` spares the first; `times` ends the fault."""
    deliver(server, source, Switches(refuse=(Planted("rename", 2),)))
    server.clear()
    server.plant(Switches(refuse=(Planted("open"),), times=2))
    for expected in (False, False, True):
        with connect(settings(server), key=server.client_key.read_bytes(), password=None) as drop:
            try:
                drop.upload(source, TEMPORARY)
                done = True
            except DeliveryFailed:
                done = False
        assert done == expected
    assert server.faults() == 2


@pytest.mark.parametrize("take_to", ["", "archive"])
@pytest.mark.parametrize("after_ms", [0, 5])
def test_files_are_taken_away(server: HostileAcquirer, source: Path, take_to: str, after_ms: int) -> None:
    """A file leaves the inbox and stays in the acquirer's hands; a second one of its name does not hide the first."""
    for _ in range(2):
        deliver(server, source, Switches(take_away_ms=after_ms, take_to=take_to))
        until(lambda: not (server.root / NAME).exists(), "the file to be taken", 10)
    assert [name for name, _ in server.hands()] == ["a.csv", "a.csv"]
    assert (server.root / "archive" / "a.csv").exists() == bool(take_to)


@pytest.mark.parametrize(
    ("pattern", "seen"),
    [("*", {"a.csv"}), ("*.csv", {"a.csv"}), ("*.txt", set()), (".*", {".a.part"}), ("a.*", {"a.csv"})],
)
def test_the_reader_sees_what_its_pattern_names(
    server: HostileAcquirer, source: Path, pattern: str, seen: set[str]
) -> None:
    """As in a shell a name that begins with a dot is hidden, unless the pattern begins with one."""
    deliver(server, source, Switches(greedy=pattern))
    assert set(server.contents()) == seen


def test_it_listens_to_this_machine_only_and_leaves_nothing(tmp_path: Path) -> None:
    """Nobody else can reach it; its key is its owner's; after the end no thread and no port is left, and keys are kept."""
    before = set(threading.enumerate())
    with hostile_acquirer(tmp_path) as server:
        keys, port = server.host_keys, server.port
        assert server.client_key.stat().st_mode & 0o077 == 0
        with socket.socket() as other, pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", port))
    assert set(threading.enumerate()) <= before
    with socket.socket() as again, pytest.raises(OSError, match="refused"):
        again.connect((HOST, port))
    with hostile_acquirer(tmp_path) as server:
        assert server.host_keys == keys


def parsed(*given: str) -> Switches:
    parser = argparse.ArgumentParser()
    add_switches(parser)
    return switches_of(parser.parse_args(given))


def test_every_switch_has_its_option() -> None:
    """The command line can say all that the value holds; nothing given is a server without fault."""
    assert parsed() == Switches()
    given = "--cut-at-byte 7 --lose-reply rename:2 --lose-reply close --refuse login --slow 0.5 --take-away 10 --take-to archive"
    more = "--full-at-close --vanish-at-close --flip-host-key 1 --silent --grow-results --serve-once --lie-about-size"
    assert parsed(*given.split(), *more.split(), "--greedy", "*.csv", "--times", "3") == Switches(
        7,
        (Planted("rename", 2), Planted("close")),
        (Planted("login"),),
        0.5,
        10,
        "archive",
        full_at_close=True,
        vanish_at_close=True,
        flip_host_key=1,
        silent=True,
        grow_results=True,
        serve_once=True,
        lie_about_size=True,
        greedy="*.csv",
        times=3,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "--cut-at-byte -1",
        "--cut-at-byte x",
        "--lose-reply login",
        "--lose-reply rename:0",
        "--refuse renames",
        "--slow nan",
        "--slow 4000",
        "--take-to ../x",
        "--take-to inbox/deep",
    ],
)
def test_a_wrong_switch_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A switch that means nothing is wrong use, and the message says what is allowed."""
    with pytest.raises(SystemExit):
        parsed(*wrong.split())
    assert "argument" in capsys.readouterr().err


def test_every_request_can_be_lost_and_refused() -> None:
    """No request is only counted."""
    for request in REQUESTS:
        assert parsed("--lose-reply", request, "--refuse", f"{request}:3").refuse == (Planted(request, 3),)
