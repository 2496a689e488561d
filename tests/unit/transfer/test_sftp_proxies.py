"""Proxies that want a log-in, and SOCKS5: what they are asked, byte by byte, and what is no yes."""

from __future__ import annotations

import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from payments.config import Sftp
from payments.errors import LoginRefused, TieoutError, Unreachable, WrongConfiguration
from tests.servers import openssh
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.openssh import openssh_server
from tests.servers.sftp_account import private_key, public_line, settings
from tests.unit.transfer.test_sftp_jump import keys, through
from transfer.sftp import connect
from transfer.sftp_login import MoreSecrets
from transfer.sftp_plug import plugged

PATIENCE_S = 15.0
HOST_KEY = public_line(private_key())
GRANTED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x16"


class Proxy:
    """Gives its answers one after the other, each after a request, then joins us to `target`. A context."""

    def __init__(self, *answers: bytes, target: int = 0) -> None:
        self._answers = answers
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_S)
        self.port = int(self._listener.getsockname()[1])
        self.asked: list[bytes] = []

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._listener.close()
            thread.join(PATIENCE_S)

    def _serve(self) -> None:
        with suppress(OSError), self._listener.accept()[0] as ours:
            ours.settimeout(PATIENCE_S)
            for answer in self._answers:
                self.asked.append(ours.recv(4096))
                ours.sendall(answer)
            if not self._target:
                ours.shutdown(socket.SHUT_WR)
                ours.recv(1)
                return
            with socket.create_connection(("127.0.0.1", self._target)) as theirs:
                back = threading.Thread(target=pump, args=(theirs, ours), daemon=True)
                back.start()
                pump(ours, theirs)
                back.join(PATIENCE_S)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):  # also when the source was reset: the other side shall not wait for more
        sink.shutdown(socket.SHUT_WR)


def somewhere(port: int, scheme: str = "socks5", **changes: Any) -> Sftp:
    known = {"host": "sftp.example", "user": "u", "host_keys": [HOST_KEY], "proxy": f"{scheme}://127.0.0.1:{port}"}
    return Sftp(**{**known, **changes})


def test_a_session_goes_through_socks_with_user_and_password(tmp_path: Path) -> None:
    """The proxy gets the log-in of RFC 1929 and one CONNECT of RFC 1928, and files move through it."""
    with asyncssh_server(tmp_path) as account:
        proxy = Proxy(b"\x05\x02", b"\x01\x00", GRANTED, target=account.port)
        with proxy.running():
            sftp = settings(account, proxy=f"socks5://127.0.0.1:{proxy.port}", proxy_user="anna")
            more = MoreSecrets(proxy_password=b"secret\n")
            with connect(sftp, key=account.client_key, password=None, more=more) as drop:
                assert drop.listing("inbox") == []
    address = b"\x01\x7f\x00\x00\x01" + account.port.to_bytes(2)
    assert proxy.asked == [b"\x05\x01\x02", b"\x01\x04anna\x06secret", b"\x05\x01\x00" + address]


def test_a_name_is_resolved_by_the_socks_proxy() -> None:
    """Without a user no log-in is offered, and a name travels as a name; what follows the answer is left for SSH."""
    proxy = Proxy(b"\x05\x00", b"\x05\x00\x00\x03\x05where\x00\x16SSH-2.0-x")
    with proxy.running(), plugged(somewhere(proxy.port)) as plug:
        assert plug.recv(100) == b"SSH-2.0-x"
    assert proxy.asked == [b"\x05\x01\x00", b"\x05\x01\x00\x03\x0csftp.example\x00\x16"]


@pytest.mark.parametrize(
    ("answers", "user", "error", "says"),
    [
        ([b"\x05\xff"], "anna", LoginRefused, "another kind of log-in"),
        ([b"\x05\x02"], "", LoginRefused, "wants a log-in"),
        ([b"\x05\x02", b"\x01\x01"], "anna", LoginRefused, "refused our user or password"),
        ([b"\x04\x00"], "", Unreachable, "does not speak SOCKS5"),
        ([b"HTTP/1.1 400 Bad\r\n\r\n"], "", Unreachable, "does not speak SOCKS5"),
        ([b"\x05\x00", b"\x05\x02\x00\x01"], "", Unreachable, "its rules forbid it"),
        ([b"\x05\x00", b"\x05\x63\x00\x01"], "", Unreachable, "its answer was 99"),
        ([b"\x05\x00", b"\x04\x00\x00\x01"], "", Unreachable, "none of SOCKS5"),
        ([b"\x05\x00", b"\x05\x00\x00\x09xxxx"], "", Unreachable, "no known kind"),
    ],
)
def test_a_socks_proxy_that_does_not_say_yes_connects_to_nothing(
    answers: list[bytes], user: str, error: type[TieoutError], says: str
) -> None:
    """Only the two noughts of the RFC are a yes; every other answer is said in words, and no secret is quoted."""
    proxy = Proxy(*answers)
    with proxy.running(), pytest.raises(error, match=says) as caught:
        plugged(somewhere(proxy.port, proxy_user=user), b"canary")
    assert type(caught.value) is error
    assert "canary" not in str(caught.value) + caught.value.next_step


@pytest.mark.parametrize("answers", [[b""], [b"\x05"], [b"\x05\x00", b"\x05\x00\x00\x01\x7f"]])
def test_a_socks_answer_that_is_cut_off_is_no_answer(answers: list[bytes]) -> None:
    """Half an answer raises at once."""
    proxy = Proxy(*answers)
    with proxy.running(), pytest.raises(EOFError):
        plugged(somewhere(proxy.port))


@pytest.mark.parametrize(
    ("answers", "changes", "says"),
    [
        ([b"\x05\x00"], {"host": "h" * 300}, r"acquirer\.sftp\.host"),
        ([b"\x05\x02"], {"proxy_user": "anna"}, r"acquirer\.sftp\.proxy_password"),
    ],
)
def test_what_socks_cannot_carry_is_a_wrong_configuration(answers: list[bytes], changes: Any, says: str) -> None:
    """An empty password and a name of more than 255 bytes have no form in the protocol."""
    proxy = Proxy(*answers)
    with proxy.running(), pytest.raises(WrongConfiguration, match=says):
        plugged(somewhere(proxy.port, **changes))


def test_an_http_proxy_gets_user_and_password(tmp_path: Path) -> None:
    """They travel by Basic, once, to the proxy only."""
    with asyncssh_server(tmp_path) as account:
        proxy = Proxy(b"HTTP/1.1 200 OK\r\n\r\n", target=account.port)
        with proxy.running():
            sftp = settings(account, proxy=f"http://127.0.0.1:{proxy.port}", proxy_user="anna")
            with connect(
                sftp, key=account.client_key, password=None, more=MoreSecrets(proxy_password=b"pass:word")
            ) as drop:
                assert drop.listing("inbox") == []
    (request,) = proxy.asked
    basic = b64encode(b"anna:pass:word")
    assert request.endswith(b"\r\nProxy-Authorization: Basic " + basic + b"\r\n\r\n")


def test_an_http_proxy_that_refuses_the_log_in_says_so() -> None:
    """407 is a refused log-in, so that it is not repeated until somebody locks the account; nothing is quoted."""
    proxy = Proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
    with proxy.running(), pytest.raises(LoginRefused, match="refused our user or password") as caught:
        plugged(somewhere(proxy.port, "http", proxy_user="anna"), b"canary")
    assert "canary" not in str(caught.value)
    assert "proxy_user" in caught.value.next_step


@pytest.mark.skipif(openssh.sshd() is None, reason=openssh.MISSING)
def test_a_proxy_leads_to_the_jump_host(tmp_path: Path) -> None:
    """With both declared the proxy is asked for the jump host, and only the jump host for the acquirer's server."""
    with asyncssh_server(tmp_path / "target") as account, openssh_server(tmp_path / "jump") as jump:
        proxy = Proxy(b"\x05\x00", GRANTED, target=jump.port)
        with proxy.running():
            sftp = settings(account, proxy=f"socks5://127.0.0.1:{proxy.port}", jump=through(jump, account).jump)
            with connect(sftp, key=account.client_key, password=None, more=keys(jump)) as drop:
                assert drop.listing("inbox") == []
    assert proxy.asked[1].endswith(jump.port.to_bytes(2))
