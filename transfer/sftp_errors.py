"""Translates what goes wrong on an SFTP link into our errors: the one place where the vendor's exceptions are named.

    the server answered no              DeliveryFailed    (so nothing was placed by this request)
    no pinned host key                  HostKeyRefused
    anything else, known or unknown     Unreachable       (whether the request had its effect is not known)

Vendor texts and servers' words stay out of our messages, because nobody knows what they quote; they are chained.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from payments.errors import DeliveryFailed, HostKeyRefused, LoginRefused, TieoutError, Unreachable
from transfer.sftp_pace import TooSlow
from transfer.sftp_wire import Code, ProtocolViolated, Refused

NAME_CHARACTERS_MAX = 200


@contextmanager
def translated(server: str, act: str) -> Iterator[None]:
    """Whatever is raised inside leaves as one of ours. `act` continues "while we ..." and names the remote path."""
    try:
        yield
    except TieoutError:
        raise
    except Exception as error:
        raise translate(error, server, act) from error


@contextmanager
def on_this_machine(act: str) -> Iterator[None]:
    """Our own disk failed, not the link: the server is not to blame and nothing was placed."""
    try:
        yield
    except OSError as error:
        raise DeliveryFailed(
            f"this machine could not {act}: {error.strerror or type(error).__name__}",
            next_step="Look at free space and permissions of the directories that tieout works in; it is tried again.",
        ) from error


def translate(error: Exception, server: str, act: str) -> TieoutError:
    """The error of ours for any exception; what is not known is never taken for an answer."""
    from paramiko.ssh_exception import AuthenticationException

    if isinstance(error, Refused):
        return DeliveryFailed(
            f"{server} answered {error.word!r} when asked to {act}", next_step=_after_refusal(error.code)
        )
    if _is_host_key_mismatch(error):
        return HostKeyRefused(f"{server} offers no host key of a pinned type; no credential was sent")
    reason, next_step = _reason(error)
    if isinstance(error, AuthenticationException):
        return LoginRefused(f"{server} {reason}", next_step=next_step)
    return Unreachable(f"{server} could not be asked to {act}: {reason}", next_step=next_step)


def shown(path: str) -> str:
    """A remote path for a message: quoted, without control characters, cut off when it is long."""
    return ascii(path[:NAME_CHARACTERS_MAX])


def _after_refusal(code: int) -> str:
    match code:
        case Code.PERMISSION_DENIED:
            return "Ask the acquirer for read, write and rename permission in this directory; it is tried again."
        case Code.NO_SUCH_FILE:
            return "Check `inbox`, `outbox` and `archive` of this acquirer: the directory or file is not there."
        case Code.FAILURE:
            return "Ask the acquirer whether its disk or our quota is full; it is tried again."
        case _:
            return "Ask the acquirer what its server allows; it is tried again."


def _is_host_key_mismatch(error: Exception) -> bool:
    from paramiko.ssh_exception import IncompatiblePeer

    # Only its text tells which algorithm the peers do not share.
    return isinstance(error, IncompatiblePeer) and "host key" in str(error)


def _broken_login(error: Exception) -> str:
    """How a log-in ended that got no answer; empty when the server said no. Only the vendor's text tells."""
    text = str(error)
    if "transport shut down" in text:
        return "ended the connection while we logged in"
    return "did not answer our log-in in time" if "timeout" in text else ""


def _reason(error: Exception) -> tuple[str, str]:
    """(what happened, next step or "" for the default)."""
    from paramiko.ssh_exception import AuthenticationException, IncompatiblePeer

    match error:
        case AuthenticationException() if broken := _broken_login(error):
            return f"{broken}: whether it refused us is not known, so it is not asked again at once", (
                "Some servers hang up instead of refusing: if it happens again, check `user`, `key` and `password` of this"
                " acquirer, and its network."
            )
        case AuthenticationException():
            return "refused our user or our credentials", (
                "Check `user`, `key` and `password` of this acquirer, and that it registered our public key."
            )
        case IncompatiblePeer():
            return "it shares no algorithm with us", (
                "Ask the acquirer to allow AES-GCM or AES-CTR, HMAC-SHA-2 and a current key exchange."
            )
        case ProtocolViolated():
            return (
                f"it breaks the protocol ({error})",
                "Ask the acquirer which SFTP server it runs; version 3 is needed.",
            )
        case TooSlow():
            return f"fewer than {error} bytes a second came through", (
                "Ask the acquirer and your network what slows it down; `slowest_bytes_per_s` of `[acquirer.sftp]` is the limit."
            )
        case TimeoutError():
            return "it did not answer in time", ""
        case socket.gaierror():
            return "its name cannot be resolved", "Check `host` of this acquirer and the name servers of this machine."
        case ConnectionRefusedError():
            return "nobody listens there", "Check `host` and `port` of this acquirer; it is tried again."
        case EOFError() | ConnectionError() | OSError(errno=None):  # the last is the vendor's own, for a closed channel
            return "the connection was cut off", ""
        case OSError():
            return error.strerror or type(error).__name__, ""
        case _:
            return f"the connection failed ({type(error).__name__})", ""
