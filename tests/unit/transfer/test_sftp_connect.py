"""What is decided around an SFTP connection: which keys are read, which errors say what, when a still line is cut."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from payments.config import Sftp
from payments.errors import BooksOff, DeliveryFailed, HostKeyRefused, LoginRefused, Unreachable, WrongConfiguration
from tests.servers import sftp_account
from transfer.sftp import connect
from transfer.sftp_errors import shown, translate, translated
from transfer.sftp_login import private_key
from transfer.sftp_pins import fingerprint, pinned_key
from transfer.sftp_watchdog import Watchdog
from transfer.sftp_wire import Code, ProtocolViolated, Refused

KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ecdsa": ec.generate_private_key(ec.SECP384R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
}
FORMS = [
    (kind, form)
    for kind in KEYS
    for form in (PrivateFormat.OpenSSH, PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
    if (kind, form) != ("ed25519", PrivateFormat.TraditionalOpenSSL)  # there is no such form
]


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_a_private_key_is_read_in_every_form(kind: str, form: PrivateFormat) -> None:
    """Ed25519, ECDSA and RSA are read from OpenSSH's, PKCS#8 and the older PEM form, and are the same key."""
    key = KEYS[kind]
    read = private_key(b"\n" + key.private_bytes(Encoding.PEM, form, NoEncryption()))
    openssh = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    assert f"{read.get_name()} {read.get_base64()}" == sftp_account.public_line(openssh)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"canary",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n",
        KEYS["ed25519"].private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, BestAvailableEncryption(b"canary")),
        dsa.generate_private_key(1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ],
    ids=["empty", "garbage", "damaged", "with passphrase", "of another kind"],
)
def test_a_private_key_that_cannot_be_used_is_not_quoted(data: bytes) -> None:
    """The message names the setting and the way out, and holds nothing of the key, not even in what caused it."""
    with pytest.raises(WrongConfiguration, match=r"acquirer\.sftp\.key") as caught:
        private_key(data)
    assert "passphrase" in caught.value.next_step
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_host_key_is_pinned_whole() -> None:
    """A public key line is read with and without a comment, and its fingerprint is OpenSSH's."""
    # A key and fingerprint that GitHub publishes for its own server, computed by others.
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    assert pinned_key(line, 0) == pinned_key(f" {line} acquirer\n", 1)
    assert pinned_key(line, 0).kind == "ssh-ed25519"
    assert fingerprint(pinned_key(line, 0).blob) == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 ???",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA==",
        "ssh-dss AAAAB3NzaC1kc3M=",
    ],
)
def test_a_host_key_that_is_none_is_named(line: str) -> None:
    """A line that is no whole public key of a known kind is a wrong configuration, by its place in the list."""
    with pytest.raises(WrongConfiguration, match=r"acquirer\.sftp\.host_keys\[2\]"):
        pinned_key(line, 2)


def test_a_password_that_is_no_text_is_not_quoted() -> None:
    """Bytes that are no text are a wrong configuration, before anything is connected."""
    anywhere = Sftp(
        host="127.0.0.1", port=1, user="u", host_keys=[sftp_account.public_line(sftp_account.private_key())]
    )
    with pytest.raises(WrongConfiguration, match=r"acquirer\.sftp\.password is no text") as caught:
        connect(anywhere, key=None, password=b"canary\xff").__enter__()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_light_commands_do_not_pay_for_ssh() -> None:
    """Importing the session imports neither paramiko nor cryptography: they come with the first connection."""
    asked = "import sys, transfer.sftp; print({'paramiko', 'cryptography'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("error", "becomes", "says"),
    [
        (Refused(Code.PERMISSION_DENIED), DeliveryFailed, "answered 'permission denied' when asked to sing"),
        (Refused(99), DeliveryFailed, "answered 'code 99'"),
        (paramiko.IncompatiblePeer("no acceptable host key"), HostKeyRefused, "no credential was sent"),
        (paramiko.IncompatiblePeer("no acceptable ciphers"), Unreachable, "no algorithm"),
        (paramiko.AuthenticationException("canary"), LoginRefused, "refused our user"),
        (paramiko.BadAuthenticationType("canary", ["canary"]), LoginRefused, "refused our user"),
        (paramiko.SSHException("canary"), Unreachable, "SSHException"),
        (ProtocolViolated("a packet claims 0 bytes"), Unreachable, "claims 0 bytes"),
        (TimeoutError(), Unreachable, "did not answer in time"),
        (socket.gaierror(-2, "canary"), Unreachable, "cannot be resolved"),
        (ConnectionRefusedError(111, "canary"), Unreachable, "nobody listens"),
        (ConnectionResetError(104, "canary"), Unreachable, "cut off"),
        (EOFError(), Unreachable, "cut off"),
        (OSError("Socket is closed"), Unreachable, "cut off"),
        (OSError(113, "No route to host"), Unreachable, "No route to host"),
        (ZeroDivisionError("canary"), Unreachable, "ZeroDivisionError"),
        (MemoryError("canary"), Unreachable, "MemoryError"),
    ],
)
def test_every_exception_becomes_one_of_ours(error: Exception, becomes: type[Exception], says: str) -> None:
    """Known or unknown, an exception names server and act, quotes nobody, and is never taken for a yes."""
    found = translate(error, "host:22", "sing")
    assert type(found) is becomes
    assert says in str(found)
    assert str(found).startswith("host:22")
    assert "canary" not in str(found) + found.next_step
    assert found.next_step


def test_our_own_errors_pass_and_others_are_chained() -> None:
    """What is one of ours already stays as it is; the rest keeps its cause for the log."""
    ours, theirs = BooksOff("x"), KeyError("x")
    with pytest.raises(BooksOff) as passed, translated("host:22", "sing"):
        raise ours
    assert passed.value is ours
    with pytest.raises(Unreachable) as chained, translated("host:22", "sing"):
        raise theirs
    assert chained.value.__cause__ is theirs


def test_a_hostile_path_is_shown_harmless() -> None:
    """Control characters, other directions and long names cannot reach a terminal or fill a log."""
    assert shown("a\x1b[31m\n\N{RIGHT-TO-LEFT OVERRIDE}\udce9") == r"'a\x1b[31m\n\u202e\udce9'"
    assert len(shown("x" * 5_000)) == 202


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_send_that_nobody_reads_is_cut(line: tuple[socket.socket, socket.socket]) -> None:
    """When the peer reads no more, the send that fills every buffer ends, as a time-out."""
    ours, _theirs = line
    watchdog = Watchdog(lambda: ours.shutdown(socket.SHUT_RDWR), 0.2)
    with pytest.raises(TimeoutError), watchdog.watching():
        ours.sendall(bytes(64 << 20))
    watchdog.stop()
    assert watchdog.fired


def test_a_line_that_moves_is_left_alone(line: tuple[socket.socket, socket.socket]) -> None:
    """As long as answers come in time, an act may take as long as it needs."""
    ours, _theirs = line
    limit_s, gap_s_max = 0.5, 0.0
    watchdog = Watchdog(lambda: ours.shutdown(socket.SHUT_RDWR), limit_s)
    with watchdog.watching():
        started = fed = time.monotonic()
        while fed < started + 2 * limit_s:
            threading.Event().wait(0.01)
            watchdog.feed()
            gap_s_max, fed = max(gap_s_max, time.monotonic() - fed), time.monotonic()
    watchdog.stop()
    # On a machine so busy that we were late ourselves, the watchdog is right.
    assert watchdog.fired <= (gap_s_max > 0.9 * limit_s)


def test_nobody_is_cut_while_nothing_is_asked(line: tuple[socket.socket, socket.socket]) -> None:
    """Between two acts the limit does not run, and other errors stay what they are."""
    ours, _theirs = line
    watchdog = Watchdog(lambda: ours.shutdown(socket.SHUT_RDWR), 1)
    with pytest.raises(KeyError), watchdog.watching():
        raise KeyError
    threading.Event().wait(1.2)
    assert not watchdog.fired
    watchdog.stop()
