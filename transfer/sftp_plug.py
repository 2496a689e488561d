"""The TCP connection under an SSH session: straight, or through a proxy: HTTP CONNECT (RFC 9110, 9.3.6) or SOCKS5 (RFC 1928).

It leads to the acquirer's server, or to the jump host before it.
"""

from __future__ import annotations

import socket
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass

from payments.config import Sftp
from payments.errors import LoginRefused, Unreachable, WrongConfiguration
from transfer.sftp_login import password_text
from transfer.sftp_slowly import Slowly
from transfer.sftp_socks import joined

HEAD_BYTES_MAX = 16_384
PORT_MAX = 65_535
SCHEMES = ("http", "socks5")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: how it is spoken to, and where it is."""

    scheme: str
    host: str
    port: int


def plugged(settings: Sftp, proxy_password: bytes | None = None) -> socket.socket:
    """A connected socket. Raises WrongConfiguration, Unreachable when the proxy says no, OSError, EOFError."""
    first = settings.jump or settings
    proxy = proxy_of(settings.proxy) if settings.proxy else None
    word = password_text(proxy_password or b"", "acquirer.sftp.proxy_password")
    where = (first.host, first.port) if proxy is None else (proxy.host, proxy.port)
    plug = socket.create_connection(where, timeout=settings.connect_timeout_s)
    try:
        # Small requests must not wait for the answer to earlier ones.
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if proxy is not None:
            slowly = Slowly(plug, settings.connect_timeout_s)
            ask = joined if proxy.scheme == "socks5" else _connected
            ask(slowly, (first.host, first.port), settings.proxy_user, word)
    except BaseException:
        plug.close()
        raise
    return plug


def proxy_of(url: str) -> Proxy:
    """`http://host:port` or `socks5://host:port`. Raises WrongConfiguration, never quoting it."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.rstrip("/").rpartition(":")
    if scheme in SCHEMES and host and "@" not in host and "/" not in host and port.isascii() and port.isdigit():
        number = int(port)
        if 0 < number <= PORT_MAX:
            return Proxy(scheme, host.strip("[]"), number)
    raise WrongConfiguration(
        "acquirer.sftp.proxy is no proxy that we can use",
        next_step="Write it as `http://host:port` or `socks5://host:port`; user and password go into `proxy_user` and"
        " `proxy_password`.",
    )


def _connected(slowly: Slowly, where: tuple[str, int], user: str, password: str) -> None:
    """Ask an HTTP proxy. Raises LoginRefused, Unreachable."""
    host = f"[{where[0]}]" if ":" in where[0] else where[0]
    target = f"{host}:{where[1]}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if user:
        lines.append(f"Proxy-Authorization: Basic {b64encode(f'{user}:{password}'.encode()).decode()}")  # RFC 7617
    slowly.send("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
    version, _, rest = _head(slowly).split(b"\r\n")[0].partition(b" ")
    status = 0
    with suppress(ValueError):
        status = int(rest[:3])
    if status == 407 and version.startswith(b"HTTP/1."):
        raise LoginRefused(
            f"the proxy of acquirer.sftp does not connect us to {target}: it refused our user or password, or wants one",
            next_step="Check `proxy_user` and `proxy_password` of this acquirer; the proxy must take them by Basic.",
        )
    if not version.startswith(b"HTTP/1.") or not 200 <= status < 300:
        raise Unreachable(
            f"the proxy of acquirer.sftp does not connect us to {target}: it answered {status or 'no HTTP'}",
            next_step="Ask who runs the proxy to allow CONNECT to this host and port.",
        )


def _head(slowly: Slowly) -> bytes:
    # Byte by byte: what follows the empty line belongs to SSH already, and SSH servers speak first.
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if len(head) >= HEAD_BYTES_MAX:
            raise TimeoutError
        head += slowly.take(1)
    return head
