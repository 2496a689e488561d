"""What a session may be told besides: through which proxy, how fast, how strict, and how what was sent is verified."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko
import pytest

from payments.config import Sftp
from payments.errors import DeliveryFailed, Unreachable, WrongConfiguration
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.paramiko_server import paramiko_server
from tests.servers.sftp_account import private_key, public_line, settings
from tests.unit.transfer.deliver_world import sftp
from tests.unit.transfer.flight_world import FlightWorld, Sky
from transfer.many_acts import Act
from transfer.sftp import connect
from transfer.sftp_plug import Proxy, plugged, proxy_of
from transfer.sftp_throttle import Throttled

PATIENCE_S = 15.0


@contextmanager
def proxy(answer: bytes, target: int | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A proxy that gives one answer and then joins us to `target`: its port, and what it was asked."""
    asked: list[bytes] = []
    ends: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE_S)

    def serve() -> None:
        ours, _ = listener.accept()
        ends.append(ours)
        asked.append(ours.recv(4096))
        if target is None:
            ours.sendall(answer)
            ours.shutdown(socket.SHUT_WR)
            return
        theirs = socket.create_connection(("127.0.0.1", target))
        ends.append(theirs)
        # The server speaks first: its first words travel in one piece with our answer.
        ours.sendall(answer + theirs.recv(4096))
        back = threading.Thread(target=pump, args=(theirs, ours), daemon=True)
        back.start()
        pump(ours, theirs)
        back.join(PATIENCE_S)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1]), asked
    finally:
        thread.join(PATIENCE_S)
        for each in (listener, *ends):
            each.close()


def test_a_session_goes_through_a_proxy(tmp_path: Path) -> None:
    """The proxy is asked for the server by name and port, and files move through it."""
    with (
        asyncssh_server(tmp_path) as account,
        proxy(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", account.port) as (port, asked),
    ):
        through = settings(account, proxy=f"http://127.0.0.1:{port}")
        with connect(through, key=account.client_key, password=None) as drop:
            assert drop.listing("inbox") == []
    (request,) = asked
    assert request.startswith(f"CONNECT 127.0.0.1:{account.port} HTTP/1.1\r\nHost: ".encode())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 2\r\n\r\n"])
def test_a_proxy_that_says_anything_else_connects_to_nothing(answer: bytes) -> None:
    """Only a 2xx of HTTP is a yes; the error names the setting and tells whom to ask."""
    with proxy(answer) as (port, _), pytest.raises(Unreachable, match="proxy") as caught:
        connect(somewhere(proxy=f"http://127.0.0.1:{port}"), key=private_key(), password=None).__enter__()
    assert "CONNECT" in caught.value.next_step


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"x" * 20_000])
def test_a_proxy_that_never_ends_its_answer_is_left(answer: bytes) -> None:
    """An answer that is cut off, or that has no end, raises at once."""
    with proxy(answer) as (port, _), pytest.raises((EOFError, TimeoutError)):
        plugged(somewhere(proxy=f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize("url", ["http://h", "https://h:1", "http://u:canary@h:1", "socks4://h:1", "http://h:0", "h:1"])
def test_a_proxy_that_cannot_be_used_is_a_wrong_configuration(url: str) -> None:
    """Other schemes, passwords and missing ports are refused, without being quoted."""
    with pytest.raises(WrongConfiguration, match=r"acquirer\.sftp\.proxy") as caught:
        proxy_of(url)
    assert "canary" not in str(caught.value)


def test_the_address_of_a_proxy_is_read() -> None:
    """By name, by address of either family, with or without a slash."""
    assert proxy_of("http://proxy.example:3128/") == Proxy("http", "proxy.example", 3128)
    assert proxy_of("socks5://[::1]:80") == Proxy("socks5", "::1", 80)


def test_a_server_without_strict_key_exchange_gets_no_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not offer it is refused before we log in, and accepted where the configuration takes the risk."""
    from asyncssh.connection import SSHServerConnection

    whole = SSHServerConnection._get_extra_kex_algs
    monkeypatch.setattr(
        SSHServerConnection,
        "_get_extra_kex_algs",
        lambda self: [name for name in whole(self) if b"strict" not in name],
    )
    with asyncssh_server(tmp_path) as account:
        with pytest.raises(WrongConfiguration, match="strict key exchange") as caught:
            connect(settings(account), key=account.client_key, password=None).__enter__()
        assert account.seen.logins == []
        with connect(settings(account, require_strict_kex=False), key=account.client_key, password=None) as drop:
            assert drop.listing("inbox") == []
    assert "require_strict_kex = false" in caught.value.next_step


class Moving:
    """A stream that moves all at once, and a clock that only sleeping moves."""

    def __init__(self) -> None:
        self.at = 100.0
        self.most = 0

    def send(self, data: bytes, /) -> int:
        return len(data)

    def recv(self, size: int, /) -> bytes:
        self.most = max(self.most, size)
        return bytes(size)

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.mark.parametrize("act", ["send", "recv"])
def test_a_limited_stream_takes_its_time(act: str) -> None:
    """Ten megabytes at two megabytes a second take five seconds, but for the burst that is allowed; both ways."""
    moving = Moving()
    stream = Throttled(moving, 2_000_000, now=lambda: moving.at, sleep=moving.sleep)
    moved = 0
    while moved < 10_000_000:
        moved += stream.send(bytes(32_768)) if act == "send" else len(stream.recv(1 << 21))
    assert 4.7 <= moving.at - 100 <= 5.1
    assert moving.most <= 500_000


def test_a_session_with_a_limit_moves_whole_files(tmp_path: Path) -> None:
    """With a limit of its bandwidth a session still brings and takes every byte."""
    (tmp_path / "out").write_bytes(bytes(range(256)) * 2_000)
    with (
        asyncssh_server(tmp_path) as account,
        connect(settings(account, bandwidth_limit_mb_s=50), key=account.client_key, password=None) as drop,
    ):
        drop.upload(tmp_path / "out", "inbox/a")
        drop.download("inbox/a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "out").read_bytes()


def test_what_was_sent_is_read_back_before_it_is_renamed(tmp_path: Path) -> None:
    """With verify = read_back the receipt says so, and bytes that changed on the server are never renamed."""
    world = FlightWorld(tmp_path, files=2, sftp=sftp(), sequence="free", verify="read_back")
    spoiled = world.files()[1]
    name = f"inbox/.{spoiled.file_id}-1.part"

    def spoil() -> None:
        if name in world.server.files:
            world.server.files[name] = b"x" * len(world.server.files[name])
        else:
            world.server.hooks["upload", "after"] = spoil

    world.server.hooks["upload", "after"] = spoil
    world.fly()
    world.check()
    assert world.states() == ["delivered", "sealed"]
    receipt: Any = world.receipt(world.files()[0])
    assert receipt.verified_by == "rename confirmed, size compared, bytes read back before it, and again behind it"
    assert "is not what was sent" in world.files()[1].note
    assert world.leftovers() == []
    world.later()
    world.fly()
    assert world.states() == ["delivered", "delivered"]


def test_a_server_tells_the_hash_of_what_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server with check-file the SHA-256 is that of the file; a missing file is an error, never a hash."""
    # Left to itself this server knows SHA-1 and MD5 only.
    monkeypatch.setitem(paramiko.sftp_server._hash_class, "sha256", hashlib.sha256)
    (tmp_path / "out").write_bytes(b"bytes" * 200)
    with (
        paramiko_server(tmp_path) as account,
        connect(settings(account, require_strict_kex=False), key=account.client_key, password=None) as opened,
    ):
        drop: Any = opened
        drop.upload(tmp_path / "out", "inbox/a")
        assert drop.sha256("inbox/a") == hashlib.sha256(b"bytes" * 200).hexdigest()
        ticket = drop.begin(Act("sha256", ("inbox/nothing",)))
        ended = drop.ended(wait=True)
        assert (ended.ticket, type(ended.error)) == (ticket, DeliveryFailed)


def test_a_server_that_tells_no_hash_says_so(tmp_path: Path) -> None:
    """Where the extension is not offered the error says which setting to change, and nothing is taken for a hash."""
    with (
        asyncssh_server(tmp_path) as account,
        connect(settings(account), key=account.client_key, password=None) as opened,
    ):
        drop: Any = opened
        with pytest.raises(DeliveryFailed, match="does not tell the SHA-256") as caught:
            drop.sha256("inbox/a")
    assert "read_back" in caught.value.next_step


@pytest.mark.parametrize("told", ["right", "wrong", "none"])
def test_a_file_is_renamed_only_with_the_right_hash(tmp_path: Path, told: str) -> None:
    """With verify = hash_extension a wrong or missing hash of the temporary file ends the attempt, and nothing is placed."""
    world = FlightWorld(tmp_path, sftp=sftp(), verify="hash_extension")
    answer = world.file().sha256 if told == "right" else "0" * 64

    def sha256(self: Sky, path: str) -> str:
        assert path in (f"inbox/.{world.file().file_id}-1.part", f"inbox/{world.file().name}")
        if told == "none":
            raise DeliveryFailed("it does not tell")
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sky, "sha256", sha256, raising=False)
        world.fly()
    world.check()
    assert world.states() == (["delivered"] if told == "right" else ["sealed"])
    assert world.leftovers() == []
    if told == "right":
        receipt: Any = world.receipt(world.file())
        assert (
            receipt.verified_by == "rename confirmed, size compared, hash by the server before it, and again behind it"
        )


def somewhere(**changes: Any) -> Sftp:
    return Sftp(host="127.0.0.1", port=1, user="u", host_keys=[public_line(private_key())], **changes)
