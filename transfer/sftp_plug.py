"""The TCP connection under an SSH session: straight to the server, or through an HTTP proxy by CONNECT (RFC 9110, 9.3.6)."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

from payments.config import Sftp
from payments.errors import Unreachable, WrongConfiguration

HEAD_BYTES_MAX = 16_384
PORT_MAX = 65_535


def plugged(settings: Sftp) -> socket.socket:
    """A connected socket. Raises WrongConfiguration, Unreachable when the proxy says no, OSError."""
    if not settings.proxy:
        return socket.create_connection((settings.host, settings.port), timeout=settings.connect_timeout_s)
    where = proxy_address(settings.proxy)
    plug = socket.create_connection(where, timeout=settings.connect_timeout_s)
    try:
        _ask(plug, settings)
    except BaseException:
        plug.close()
        raise
    return plug


def proxy_address(url: str) -> tuple[str, int]:
    """Host and port of `http://host:port`. Raises WrongConfiguration."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.rstrip("/").rpartition(":")
    if scheme == "http" and host and "@" not in host and "/" not in host and port.isascii() and port.isdigit():
        number = int(port)
        if 0 < number <= PORT_MAX:
            return host.strip("[]"), number
    raise WrongConfiguration(
        "acquirer.sftp.proxy is no proxy that we can use",
        next_step="Write it as `http://host:port`. Proxies that ask for a password and SOCKS are not supported.",
    )


def _ask(plug: socket.socket, settings: Sftp) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    target = f"{host}:{settings.port}"
    plug.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = _head(plug, time.monotonic() + settings.connect_timeout_s)
    version, _, rest = head.split(b"\r\n")[0].partition(b" ")
    status = 0
    with suppress(ValueError):
        status = int(rest[:3])
    if not version.startswith(b"HTTP/1.") or not 200 <= status < 300:
        raise Unreachable(
            f"the proxy of acquirer.sftp does not connect us to {target}: it answered {status or 'no HTTP'}",
            next_step="Ask who runs the proxy to allow CONNECT to this host and port.",
        )


def _head(plug: socket.socket, until: float) -> bytes:
    # Byte by byte: what follows the empty line belongs to SSH already, and SSH servers speak first.
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if len(head) >= HEAD_BYTES_MAX or time.monotonic() > until:
            raise TimeoutError
        byte = plug.recv(1)
        if not byte:
            raise EOFError
        head += byte
    return head
