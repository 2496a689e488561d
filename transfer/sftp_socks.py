"""Asks a SOCKS5 proxy to connect us (RFC 1928), with user and password where they are given (RFC 1929).

    us     versions, one method   user, password   CONNECT host:port
    proxy           the method              0 = yes            0 = yes, where from

Names are resolved by the proxy, which often is the only one that can.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address

from payments.errors import LoginRefused, Unreachable, WrongConfiguration
from transfer.sftp_slowly import Slowly

VERSION, LOGIN_VERSION, CONNECT = 5, 1, 1
NO_LOGIN, BY_PASSWORD = 0, 2
IPV4, NAME, IPV6 = 1, 3, 4
ADDRESS_BYTES = {IPV4: 4, IPV6: 16}
TEXT_BYTES_MAX = 255
REASONS = {
    1: "it failed",
    2: "its rules forbid it",
    3: "the network cannot be reached",
    4: "the host cannot be reached",
    5: "nobody listens there",
    6: "it took too long",
    7: "it does not know CONNECT",
    8: "it does not know this kind of address",
}


def joined(slowly: Slowly, where: tuple[str, int], user: str, password: str) -> None:
    """The socket leads to `where` afterwards. Raises LoginRefused, Unreachable, WrongConfiguration, EOFError, OSError."""
    method = BY_PASSWORD if user else NO_LOGIN
    slowly.send(bytes((VERSION, 1, method)))
    version, chosen = slowly.take(2)
    if version != VERSION:
        raise Unreachable(
            "the proxy of acquirer.sftp does not speak SOCKS5", next_step="Check `proxy` of this acquirer."
        )
    if chosen != method:
        raise _login_refused("it wants another kind of log-in" if user else "it wants a log-in")
    if user:
        _log_in(slowly, user, password)
    slowly.send(bytes((VERSION, CONNECT, 0)) + _address(where[0]) + struct.pack(">H", where[1]))
    version, reply, _, kind = slowly.take(4)
    if version != VERSION or reply != 0:
        why = REASONS.get(reply, f"its answer was {reply}") if version == VERSION else "its answer is none of SOCKS5"
        raise Unreachable(
            f"the proxy of acquirer.sftp does not connect us to {where[0]}:{where[1]}: {why}",
            next_step="Ask who runs the proxy whether it reaches this host and port and allows it.",
        )
    # From which address it connected is of no use to us; it must only be out of the way.
    size = slowly.take(1)[0] if kind == NAME else ADDRESS_BYTES.get(kind)
    if size is None:
        raise Unreachable("the proxy of acquirer.sftp breaks SOCKS5: its address is of no known kind")
    slowly.take(size + 2)


def _log_in(slowly: Slowly, user: str, password: str) -> None:
    slowly.send(bytes((LOGIN_VERSION,)) + _text(user, "proxy_user") + _text(password, "proxy_password"))
    _version, status = slowly.take(2)
    if status != 0:
        raise _login_refused("it refused our user or password")


def _address(host: str) -> bytes:
    try:
        found = ip_address(host)
    except ValueError:
        return bytes((NAME,)) + _text(host, "host")
    return bytes((IPV4 if found.version == 4 else IPV6,)) + found.packed


def _text(value: str, name: str) -> bytes:
    data = value.encode()
    if not 0 < len(data) <= TEXT_BYTES_MAX:
        raise WrongConfiguration(f"acquirer.sftp.{name}: SOCKS5 takes 1 to {TEXT_BYTES_MAX} bytes")
    return bytes((len(data),)) + data


def _login_refused(why: str) -> LoginRefused:
    return LoginRefused(
        f"the proxy of acquirer.sftp does not let us in: {why}",
        next_step="Check `proxy_user` and `proxy_password` of this acquirer.",
    )
