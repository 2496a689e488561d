"""Links that are not what they should be: wrong keys, wrong credentials, lines that break; each ends in time (T1, T14)."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import asyncssh
import pytest

from payments.config import Sftp
from payments.errors import DeliveryFailed, HostKeyRefused, Unreachable
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.line import PATIENCE_S, Line
from tests.servers.process import free_port
from tests.servers.sftp_account import private_key, public_line, settings
from transfer.sftp import connect

SIZE = 1_000_000
LIMITS = {"connect_timeout_s": 1, "channel_timeout_s": 1}


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.write_bytes(bytes(range(250)) * (SIZE // 250))
    return path


def test_nothing_is_sent_to_a_server_with_another_key(tmp_path: Path) -> None:
    """A changed host key is refused by its fingerprint, before user, key or password are sent."""
    other = public_line(private_key())
    says = r"127\.0\.0\.1:\d+ holds the host key SHA256:\S{43}, which is not pinned"
    with asyncssh_server(tmp_path, password="correct") as account, pytest.raises(HostKeyRefused, match=says):
        connect(settings(account, host_keys=[other]), key=account.client_key, password=b"correct").__enter__()
    assert account.seen.connections == 1
    assert account.seen.logins == account.seen.passwords == []


def test_a_server_without_a_key_of_the_pinned_kind_is_refused(tmp_path: Path) -> None:
    """A server that holds only keys of other kinds is refused just the same."""
    other = public_line(private_key("ecdsa"))
    with asyncssh_server(tmp_path) as account, pytest.raises(HostKeyRefused, match="no host key of a pinned type"):
        connect(settings(account, host_keys=[other]), key=account.client_key, password=None).__enter__()
    assert account.seen.connections == 1
    assert account.seen.logins == []


class ChangesItsKey(asyncssh.SFTPServer):
    """Holds another host key when keys are exchanged again."""

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        [other] = asyncssh.load_keypairs(asyncssh.import_private_key(private_key()))
        self.connection._server_host_keys[b"ssh-ed25519"] = other
        return super().write(file_obj, offset, data)


def test_a_key_that_changes_in_mid_session_ends_it(tmp_path: Path, local: Path) -> None:
    """After a key exchange with another key nothing more is asked of that server: no rename happens."""
    with (
        asyncssh_server(tmp_path, files=ChangesItsKey, options={"rekey_bytes": 1_000}) as account,
        connect(settings(account), key=account.client_key, password=None) as drop,
    ):
        # Keys are exchanged in the middle of this one, so that the next act already meets the other key.
        drop.upload(local, "inbox/.a.tmp")
        with pytest.raises(HostKeyRefused, match="not pinned"):
            drop.rename("inbox/.a.tmp", "inbox/a")
        assert not (account.root / "inbox/a").exists()


def test_the_key_can_be_told_when_the_link_is_gone(tmp_path: Path) -> None:
    """A receipt can name the proven host key although the line broke right after the rename."""
    with ExitStack() as stack:
        account = stack.enter_context(asyncssh_server(tmp_path))
        line = stack.enter_context(Line(account.port, SIZE, cut=True))
        drop = stack.enter_context(connect(settings(account, port=line.port), key=account.client_key, password=None))
        before = drop.host_key
        line.__exit__()
        with pytest.raises(Unreachable):
            drop.stat("inbox/a")
        assert drop.host_key == before


@pytest.mark.parametrize(("key", "password"), [(True, None), (False, b"wrong"), (True, b"wrong")])
def test_refused_credentials_are_told_without_quoting_them(tmp_path: Path, key: bool, password: bytes | None) -> None:
    """A wrong key or password is Unreachable, with the settings to look at, and neither appears in the message."""
    with (
        asyncssh_server(tmp_path, password="correct", key_allowed=False) as account,
        pytest.raises(Unreachable, match="refused our user or our credentials") as caught,
    ):
        connect(settings(account), key=account.client_key if key else None, password=password).__enter__()
    assert "`user`, `key` and `password`" in caught.value.next_step
    assert "wrong" not in str(caught.value)


def test_a_server_that_is_not_there_is_named() -> None:
    """A port where nobody listens gives host, port and reason."""
    port = free_port()
    nowhere = Sftp(host="127.0.0.1", port=port, user="u", host_keys=[public_line(private_key())])
    with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{port} could not be asked to connect: nobody listens there"):
        connect(nowhere, key=None, password=b"p").__enter__()


def test_a_name_that_does_not_exist_is_named() -> None:
    """A host name that cannot be resolved is said to be that."""
    nowhere = Sftp(host="acquirer.invalid", user="u", host_keys=[public_line(private_key())])
    with pytest.raises(Unreachable, match=r"acquirer\.invalid:22 .*cannot be resolved"):
        connect(nowhere, key=None, password=b"p").__enter__()


@pytest.mark.parametrize(
    ("share", "cut"), [(0.0, True), (0.01, True), (0.5, True), (0.99, True), (0.01, False), (0.5, False), (0.99, False)]
)
def test_a_line_that_breaks_in_mid_file_is_unreachable(tmp_path: Path, local: Path, share: float, cut: bool) -> None:
    """Cut or silent, early or late: within the limits the upload ends as Unreachable, and nothing has the final name."""
    handshake = 6_000
    with ExitStack() as stack:
        account = stack.enter_context(asyncssh_server(tmp_path))
        line = stack.enter_context(Line(account.port, int(handshake + share * SIZE), cut=cut))
        drop = stack.enter_context(
            connect(settings(account, port=line.port, **LIMITS), key=account.client_key, password=None)
        )
        started = time.monotonic()
        with pytest.raises(Unreachable, match="cut off" if cut else "did not answer in time"):
            drop.upload(local, "inbox/.a.tmp")
        with pytest.raises(Unreachable):
            drop.rename("inbox/.a.tmp", "inbox/a")
        assert time.monotonic() - started < PATIENCE_S
        assert not (account.root / "inbox/a").exists()


@pytest.mark.parametrize(
    ("share", "cut"), [(0.0, True), (0.2, True), (0.6, True), (0.95, True), (0.4, False), (0.8, False), (0.95, False)]
)
def test_a_line_that_breaks_in_the_handshake_is_unreachable(tmp_path: Path, share: float, cut: bool) -> None:
    """No step of connecting waits for ever, and none lets half a session through."""
    with asyncssh_server(tmp_path) as account:
        with (
            Line(account.port, SIZE, cut=cut) as line,
            connect(settings(account, port=line.port, **LIMITS), key=account.client_key, password=None),
        ):
            whole = line.passed
        started = time.monotonic()
        with Line(account.port, int(share * whole), cut=cut) as line, pytest.raises(Unreachable):
            connect(settings(account, port=line.port, **LIMITS), key=account.client_key, password=None).__enter__()
        assert time.monotonic() - started < PATIENCE_S


def test_a_listener_that_never_speaks_is_given_up() -> None:
    """A port that accepts and says nothing is Unreachable within the limit."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = Sftp(
            host="127.0.0.1",
            port=listener.getsockname()[1],
            user="u",
            host_keys=[public_line(private_key())],
            connect_timeout_s=1,
        )
        with pytest.raises(Unreachable, match="did not answer in time"):
            connect(silent, key=None, password=b"p").__enter__()


def test_no_thread_is_left_over(tmp_path: Path, local: Path) -> None:
    """After sessions that ended well or badly only the threads that were there before are left."""
    before = set(threading.enumerate())
    with (
        asyncssh_server(tmp_path) as account,
        suppress(DeliveryFailed),
        connect(settings(account), key=account.client_key, password=None) as drop,
    ):
        drop.upload(local, "inbox/a")
        drop.upload(local, "inbox/a")
    assert set(threading.enumerate()) <= before
