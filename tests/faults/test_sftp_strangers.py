"""Servers that are no friends: packets without bounds, weak groups, a line that ends while we log in, a trickle (T1)."""

from __future__ import annotations

import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncssh
import pytest

from payments.config import Sftp
from payments.errors import LoginRefused, Unreachable
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.line import Line
from tests.servers.openssh import openssh_server
from tests.servers.sftp_account import SftpAccount, private_key, public_line, settings
from transfer.sftp import connect
from transfer.sftp_hop import EXCHANGES, PACKET_BYTES_MAX

MIB = 1 << 20


@contextmanager
def claims(length: bytes) -> Iterator[int]:
    """The port of a server whose first packet claims a length, and which sends as much of it as anybody takes."""

    def serve() -> None:
        with suppress(OSError):
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"SSH-2.0-x\r\n")
                peer.recv(4096)
                peer.sendall(length + b"\x04")
                for _ in range(2_000):
                    peer.sendall(bytes(65_536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.close()
        thread.join(10)


def test_a_packet_without_bounds_is_not_waited_for() -> None:
    """Two gigabytes are claimed before anything is proved: nothing is collected for it, and it is a broken protocol."""
    with claims(b"\x7f\xff\xff\xf4") as port:
        there = Sftp(host="127.0.0.1", port=port, user="u", host_keys=[public_line(private_key())], connect_timeout_s=5)
        tracemalloc.start()
        try:
            with pytest.raises(Unreachable, match=rf"claims more than {PACKET_BYTES_MAX} bytes"):
                connect(there, key=None, password=b"p").__enter__()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 30 * MIB


def test_a_group_of_the_servers_choice_is_not_offered(tmp_path: Path) -> None:
    """A server that speaks group exchange alone, in which it may choose a group of 1024 bits, is refused by name of what lacks."""
    assert not [each for each in EXCHANGES if "group-exchange" in each or each.endswith("sha1")]
    only = {"kex_algs": ["diffie-hellman-group-exchange-sha256"]}
    with (
        asyncssh_server(tmp_path, options=only) as account,
        pytest.raises(Unreachable, match="shares no algorithm with us"),
    ):
        connect(settings(account), key=account.client_key, password=None).__enter__()


@pytest.mark.parametrize(
    "exchange",
    [
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "diffie-hellman-group14-sha256",
        "diffie-hellman-group16-sha512",
    ],
)
def test_servers_of_the_last_ten_years_are_reached_without_it(tmp_path: Path, exchange: str) -> None:
    """What they offer beside group exchange suffices."""
    with (
        openssh_server(tmp_path, more={"KexAlgorithms": exchange}) as account,
        connect(settings(account), key=account.client_key, password=None) as drop,
    ):
        assert drop.listing("inbox") == []


def _cut_after(account: SftpAccount, bytes_max: int) -> str:
    """What a log-in says whose line is cut after so many bytes of ours; empty when it came to none."""
    with Line(account.port, bytes_max, cut=True) as line:
        there = settings(account, port=line.port, connect_timeout_s=5)
        try:
            connect(there, key=account.client_key, password=None).__enter__()
        except LoginRefused as error:
            return f"{str(error).partition(' ')[2]} | {error.next_step}"
        except Unreachable:
            return ""
    return ""


def test_a_line_that_ends_while_we_log_in_is_told_as_that(tmp_path: Path) -> None:
    """It may have been a refusal, so that it counts as one; but nobody says that the server refused."""
    with asyncssh_server(tmp_path) as account:
        said = {_cut_after(account, bytes_max) for bytes_max in range(1_500, 3_500, 100)} - {""}
    (told,) = said
    assert told.startswith("ended the connection while we logged in: whether it refused us is not known")
    assert "hang up instead of refusing" in told


class Trickles(asyncssh.SFTPServer):
    """Gives one byte to each request, a tenth of a second later."""

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        time.sleep(0.1)  # this is the slow server itself; nobody waits for a condition
        data = super().read(file_obj, offset, 1)
        assert isinstance(data, bytes)
        return data


def test_a_trickle_ends_although_every_answer_comes_in_time(tmp_path: Path) -> None:
    """A kilobyte would take two minutes, and no single answer is late: the session is given up."""
    with asyncssh_server(tmp_path, files=Trickles) as account:
        (account.root / "outbox" / "a").write_bytes(bytes(1_000))
        there = settings(account, channel_timeout_s=1, slowest_bytes_per_s=5_000)
        with (
            connect(there, key=account.client_key, password=None) as drop,
            pytest.raises(Unreachable, match="fewer than 5000 bytes a second"),
        ):
            drop.download("outbox/a", tmp_path / "back")
    assert not (tmp_path / "back").exists()
