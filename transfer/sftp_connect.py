"""Opens an SSH connection to an acquirer, through a proxy and a jump host where they are declared, with a limit on every step.

    TCP [-> proxy] [-> jump host: pinned, logged in] -> acquirer: pinned, logged in -> channel -> subsystem sftp -> Link

One watchdog cuts the TCP connection under all of it, so that a silence anywhere on the way ends.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from payments.config import Sftp
from transfer.sftp_errors import translated
from transfer.sftp_hop import Hop, logged_in, proven_key
from transfer.sftp_jump import jump_hop, through
from transfer.sftp_login import Credentials, MoreSecrets, proof
from transfer.sftp_pins import Pins, pinned_keys
from transfer.sftp_plug import plugged
from transfer.sftp_watchdog import Watchdog

NO_MORE = MoreSecrets()


@dataclass(frozen=True, slots=True)
class Link:
    """An authenticated connection with the subsystem sftp on `channel`. `before` checks the hops before the last one."""

    server: str
    pins: Pins
    transport: Any
    channel: Any
    watchdog: Watchdog
    before: Callable[[], object] = lambda: None
    slowest_bytes_per_s: int = 0

    def proven_key(self) -> str:
        """Fingerprint of the key that the server proved to hold. Raises HostKeyRefused, also for a jump host.

        Asked before every act, because a key exchange in the middle of a session may bring another key, and because a
        staged key ends at its hour.
        """
        self.before()
        return proven_key(self.server, self.transport, self.pins())


@contextmanager
def opened(
    settings: Sftp,
    *,
    key: bytes | None,
    password: bytes | None,
    accepted: Pins | None = None,
    more: MoreSecrets = NO_MORE,
) -> Iterator[Link]:
    """An open link, closed at the end. Raises WrongConfiguration, HostKeyRefused, Unreachable.

    `accepted` are the host keys of the acquirer's server, instead of those of the settings alone; `more` the other secrets.
    """
    hop, jump = read_secrets(settings, key, password, more, accepted)
    server = hop.server
    with translated(server if jump is None else jump.server, "connect"):
        plug = plugged(settings, more.proxy_password)
    with ExitStack() as stack:
        watchdog = Watchdog(lambda: plug.shutdown(socket.SHUT_RDWR), settings.channel_timeout_s)
        stack.callback(watchdog.stop)
        before: Callable[[], object] = lambda: None  # noqa: E731
        stream: Any = plug
        if jump is not None:
            passage = stack.enter_context(through(plug, jump, watchdog))
            stream, before = passage.stream, passage.check
        transport = stack.enter_context(logged_in(stream, hop, watchdog))
        with translated(server, "open a channel"), watchdog.watching():
            channel = _channel(transport, settings)
        yield Link(server, hop.pins, transport, channel, watchdog, before, settings.slowest_bytes_per_s)


def read_secrets(
    settings: Sftp, key: bytes | None, password: bytes | None, more: MoreSecrets, accepted: Pins | None = None
) -> tuple[Hop, Hop | None]:
    """The acquirer's server and the jump host before it: keys and passwords read, nothing connected. Raises WrongConfiguration."""
    shown = proof(settings, Credentials(key, more.passphrase, password))
    pins = accepted or (lambda: pinned_keys(settings))
    pins()  # what is no key is found before anything is connected
    hop = Hop(f"{settings.host}:{settings.port}", settings.user, shown, pins, settings)
    return hop, None if settings.jump is None else jump_hop(settings.jump, more.jump, settings)


def _channel(transport: Any, settings: Sftp) -> Any:
    channel = transport.open_session(timeout=settings.channel_timeout_s)
    channel.settimeout(settings.channel_timeout_s)
    channel.invoke_subsystem("sftp")
    return channel
