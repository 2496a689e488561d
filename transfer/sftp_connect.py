"""Opens an SSH connection to an acquirer: pinned host key first, credentials only then, a time limit on every step.

    TCP -> key exchange -> host key pinned? --no--> HostKeyRefused, nothing was sent
                               | yes
                               v
           authentication -> channel -> subsystem sftp -> Link

Nothing is taken from the machine: no agent, no `~/.ssh`, no known_hosts.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import logging
import socket
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from payments.config import Sftp
from payments.errors import HostKeyRefused, WrongConfiguration
from transfer.sftp_errors import translated
from transfer.sftp_plug import plugged
from transfer.sftp_watchdog import Watchdog
from transfer.sftp_wire import Fields, ProtocolViolated

CLOSE_S_MAX = 5.0

# Authenticated encryption first; nothing with CBC, MD5, SHA-1 or a shortened digest.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
DIGESTS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
)
ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),  # an RSA key, never signed with SHA-1
}


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A public host key that the acquirer told us: its type and its bytes as SSH sends them."""

    kind: str
    blob: bytes


Pins = Callable[[], Sequence[PinnedKey]]
"""The host keys that are accepted at this moment."""


@dataclass(frozen=True, slots=True)
class Link:
    """An authenticated connection with the subsystem sftp on `channel`."""

    server: str
    pins: Pins
    transport: Any
    channel: Any
    watchdog: Watchdog

    def proven_key(self) -> str:
        """Fingerprint of the key that the server proved to hold. Raises HostKeyRefused.

        Asked before every act, because a key exchange in the middle of a session may bring another key, and because a
        staged key ends at its hour.
        """
        return _proven_key(self.server, self.transport, self.pins())


@contextmanager
def opened(
    settings: Sftp, *, key: bytes | None, password: bytes | None, accepted: Pins | None = None
) -> Iterator[Link]:
    """An open link, closed at the end. Raises WrongConfiguration, HostKeyRefused, Unreachable.

    `accepted` are the host keys, instead of those of the settings alone.
    """
    server = f"{settings.host}:{settings.port}"
    accepted = accepted or (lambda: pinned_keys(settings))
    pins = accepted()
    signer = private_key(key) if key is not None else None
    spoken = _password(password) if password is not None else None
    if signer is None and spoken is None:
        raise WrongConfiguration(f"acquirer.sftp of {server} names neither `key` nor `password`")
    with translated(server, "connect"):
        plug = plugged(settings)
    watchdog = Watchdog(lambda: plug.shutdown(socket.SHUT_RDWR), settings.channel_timeout_s)
    transport = None
    try:
        with translated(server, "agree on keys"):
            transport = _transport(plug, settings, pins)
            _exchange_keys(transport, settings.connect_timeout_s)
        _proven_key(server, transport, pins)
        if settings.require_strict_kex and not transport.agreed_on_strict_kex:
            raise _not_strict(server)
        with translated(server, "log us in"):
            _authenticate(transport, settings.user, signer, spoken)
        with translated(server, "open a channel"), watchdog.watching():
            channel = _channel(transport, settings)
        yield Link(server, accepted, transport, channel, watchdog)
    finally:
        watchdog.stop()
        _close(transport, plug)


def fingerprint(blob: bytes) -> str:
    """`SHA256:` and the unpadded base64 of the hash, as OpenSSH prints it."""
    return "SHA256:" + b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def pinned_keys(settings: Sftp) -> list[PinnedKey]:
    """The host keys of the configuration, in its order. Raises WrongConfiguration."""
    return [pinned_key(line, at) for at, line in enumerate(settings.host_keys)]


def pinned_key(line: str, at: int) -> PinnedKey:
    """One of them. Raises WrongConfiguration with its place."""
    found = public_key(line)
    if found is None:
        raise WrongConfiguration(
            f"acquirer.sftp.host_keys[{at}] is no public key of a kind we know; allowed: {', '.join(ALGORITHMS)}",
            next_step="Put the whole line of the acquirer's public host key there: `ssh-ed25519 AAAA...`.",
        )
    return found


def public_key(line: str) -> PinnedKey | None:
    """A host key as `ssh-keyscan` and `*.pub` files write it, without the host: `type base64 [comment]`. None: it is none."""
    kind, _, rest = line.strip().partition(" ")
    try:
        blob = b64decode(rest.split(" ")[0], validate=True)
        whole = Fields(blob).text() == kind.encode()
    except (binascii.Error, ProtocolViolated, ValueError):
        whole = False
    return PinnedKey(kind, blob) if whole and kind in ALGORITHMS else None


def private_key(data: bytes) -> Any:
    """Our key for signing, from OpenSSH or PEM bytes without passphrase. Raises WrongConfiguration, never quoting it."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
    from paramiko import ECDSAKey, RSAKey

    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        key = load(data.strip() + b"\n", None)
    except Exception:  # noqa: BLE001 every kind of damage has an exception of its own, and some quote the key
        key = None
    match key:
        case ed25519.Ed25519PrivateKey():
            return _ed25519(key)
        case ec.EllipticCurvePrivateKey():
            return ECDSAKey(vals=(key, key.public_key()))
        case rsa.RSAPrivateKey():
            return RSAKey(key=key)
        case _:
            raise WrongConfiguration(
                "acquirer.sftp.key is no private key that we can read",
                next_step="Use an Ed25519, ECDSA or RSA key in OpenSSH or PEM form, without a passphrase.",
            )


def _password(data: bytes) -> str:
    try:
        # An editor puts a line end behind the last line of a file; no server would take it for a part of the password.
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        pass
    raise WrongConfiguration("acquirer.sftp.password is no text in UTF-8")


def _ed25519(key: Any) -> Any:
    # The vendor reads Ed25519 keys in OpenSSH's own form only, so a PKCS#8 one is rewritten in memory.
    import io

    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from paramiko import Ed25519Key

    written = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return Ed25519Key(file_obj=io.StringIO(written.decode()))


def _transport(plug: socket.socket, settings: Sftp, pins: Sequence[PinnedKey]) -> Any:
    from paramiko import Transport

    # Small requests must not wait for the answer to earlier ones.
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = Transport(plug, strict_kex=True)
    transport.set_log_channel(_quiet().name)
    options = transport.get_security_options()
    options.ciphers = CIPHERS
    options.digests = DIGESTS
    options.kex = EXCHANGES
    options.compression = ("none",)
    # In the order of the configuration, so that a server with several keys proves the one we hold.
    options.key_types = tuple(dict.fromkeys(name for pin in pins for name in ALGORITHMS[pin.kind]))
    transport.banner_timeout = transport.handshake_timeout = settings.connect_timeout_s
    transport.auth_timeout = settings.connect_timeout_s
    transport.clear_to_send_timeout = settings.channel_timeout_s
    return transport


def _quiet() -> logging.Logger:
    # Everything that goes wrong is raised as our error; the vendor's own lines would only repeat it, with its words.
    logger = logging.getLogger("transfer.sftp.vendor")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


def _exchange_keys(transport: Any, limit_s: float) -> None:
    # With an event of our own, because without one a time-out of the vendor's call returns as if all were well.
    agreed = threading.Event()
    transport.start_client(event=agreed)
    if not agreed.wait(limit_s):
        raise TimeoutError
    if not transport.is_active():
        raise transport.get_exception() or EOFError


def _proven_key(server: str, transport: Any, pins: Sequence[PinnedKey]) -> str:
    with translated(server, "show its host key"):
        blob: bytes = transport.get_remote_server_key().asbytes()
    if not any([hmac.compare_digest(pin.blob, blob) for pin in pins]):  # noqa: C419 all are compared, in constant time
        raise HostKeyRefused(f"{server} holds the host key {fingerprint(blob)}, which is not pinned")
    return fingerprint(blob)


def _not_strict(server: str) -> WrongConfiguration:
    return WrongConfiguration(
        f"{server} does not offer strict key exchange, so a stranger on the way could drop messages; no credential was sent",
        next_step="Ask the acquirer to update its SSH server; until then `require_strict_kex = false` takes the risk.",
    )


def _authenticate(transport: Any, user: str, signer: Any, password: str | None) -> None:
    from paramiko import AuthenticationException

    if signer is not None:
        transport.auth_publickey(user, signer)
    # With both given, the password is the second factor that some servers ask for, never a second try.
    if password is not None and not transport.is_authenticated():
        transport.auth_password(user, password)
    if not transport.is_authenticated():
        raise AuthenticationException


def _channel(transport: Any, settings: Sftp) -> Any:
    transport.set_keepalive(settings.keepalive_s)
    channel = transport.open_session(timeout=settings.channel_timeout_s)
    channel.settimeout(settings.channel_timeout_s)
    channel.invoke_subsystem("sftp")
    return channel


def _close(transport: Any, plug: socket.socket) -> None:
    # Every act was confirmed by an answer of its own, so nothing is learned from how the connection ends.
    if transport is not None:
        transport.close()
        if transport.ident is not None:
            transport.join(CLOSE_S_MAX)
    plug.close()
