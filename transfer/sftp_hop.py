"""One SSH server on the way, over any stream: keys agreed, host key pinned, then our credentials and never before.

    key exchange -> host key pinned? --no--> HostKeyRefused, nothing was sent
                         | yes
                         v
       strict key exchange? -> authentication -> keepalive

Nothing is taken from the machine: no agent, no `~/.ssh`, no known_hosts.
"""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from payments.config import Sftp
from payments.errors import HostKeyRefused, WrongConfiguration
from transfer.sftp_errors import translated
from transfer.sftp_login import Proof, log_in
from transfer.sftp_pins import ALGORITHMS, PinnedKey, Pins, fingerprint
from transfer.sftp_watchdog import Watchdog
from transfer.sftp_wire import ProtocolViolated

CLOSE_S_MAX = 5.0

PACKET_BYTES_MAX = 256 * 1024
"""Of one SSH packet. Nobody needs more than the 35,000 bytes of RFC 4253, 6.1; a stranger may claim two billion."""

# Authenticated encryption first; nothing with CBC, MD5, SHA-1 or a shortened digest.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
DIGESTS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
# No group exchange: the vendor takes whatever group the server picks, one of 1024 bits too.
EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
)


@dataclass(frozen=True, slots=True)
class Hop:
    """A server to log in to. `server` is what errors call it; `settings` are the limits of the whole way."""

    server: str
    user: str
    proof: Proof
    pins: Pins
    settings: Sftp


@contextmanager
def logged_in(stream: Any, hop: Hop, watchdog: Watchdog) -> Iterator[Any]:
    """The vendor's transport over `stream`, which has a socket's methods; both are closed at the end, within `watchdog`'s limit.

    Raises WrongConfiguration, HostKeyRefused, Unreachable (LoginRefused).
    """
    transport = None
    try:
        pins = hop.pins()
        with translated(hop.server, "agree on keys"):
            transport = _transport(stream, hop.settings, pins)
            _exchange_keys(transport, hop.settings.connect_timeout_s)
        proven_key(hop.server, transport, pins)
        if hop.settings.require_strict_kex and not transport.agreed_on_strict_kex:
            raise _not_strict(hop.server)
        with translated(hop.server, "log us in"):
            log_in(transport, hop.server, hop.user, hop.proof)
            transport.set_keepalive(hop.settings.keepalive_s)
        yield transport
    finally:
        # What is closed within another session says good-bye on it, which fails or blocks when that one is gone.
        with suppress(EOFError, OSError), watchdog.watching():
            _close(transport, stream)


def proven_key(server: str, transport: Any, pins: Sequence[PinnedKey]) -> str:
    """Fingerprint of the key that the server proved to hold. Raises HostKeyRefused."""
    with translated(server, "show its host key"):
        blob: bytes = transport.get_remote_server_key().asbytes()
    if not any([hmac.compare_digest(pin.blob, blob) for pin in pins]):  # noqa: C419 all are compared, in constant time
        raise HostKeyRefused(f"{server} holds the host key {fingerprint(blob)}, which is not pinned")
    return fingerprint(blob)


def _transport(stream: Any, settings: Sftp, pins: Sequence[PinnedKey]) -> Any:
    from paramiko import Transport

    transport = Transport(stream, strict_kex=True)
    transport.set_log_channel(_quiet().name)
    _bound_packets(transport.packetizer)
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


def _bound_packets(packetizer: Any) -> None:
    """The vendor reads as many bytes as a packet claims to have, also before anything is proved: it must not ask for so many."""
    read_all = packetizer.read_all

    def bounded(size: int, check_rekey: bool = False) -> bytes:
        if size > PACKET_BYTES_MAX:
            raise ProtocolViolated(f"an SSH packet claims more than {PACKET_BYTES_MAX} bytes")
        data: bytes = read_all(size, check_rekey)
        return data

    packetizer.read_all = bounded


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


def _not_strict(server: str) -> WrongConfiguration:
    return WrongConfiguration(
        f"{server} does not offer strict key exchange, so a stranger on the way could drop messages; no credential was sent",
        next_step="Ask the acquirer to update its SSH server; until then `require_strict_kex = false` takes the risk.",
    )


def _close(transport: Any, stream: Any) -> None:
    # Every act was confirmed by an answer of its own, so nothing is learned from how the connection ends.
    try:
        if transport is not None:
            transport.close()
    finally:
        if transport is not None and transport.ident is not None:
            transport.join(CLOSE_S_MAX)
        stream.close()
