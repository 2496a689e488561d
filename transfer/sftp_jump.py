"""Reaches an acquirer's server through a jump host: we log in there, and it passes our bytes on (RFC 4254, 7.2).

    us ==SSH==> jump host --TCP--> acquirer's server
    us ============SSH===========> acquirer's server      within the first: the jump host sees none of it

The jump host has pinned keys and credentials of its own; an error names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from payments.config import Sftp
from payments.config_drops import Jump
from payments.errors import HostKeyRefused, LoginRefused, Unreachable
from transfer.sftp_errors import translated
from transfer.sftp_hop import Hop, logged_in, proven_key
from transfer.sftp_login import Credentials, proof
from transfer.sftp_pins import JUMP_SECTION, pinned_keys
from transfer.sftp_watchdog import Watchdog

WHY_NOT = {1: "it is not allowed", 2: "it could not connect there"}  # RFC 4254, 5.1
WE = ("127.0.0.1", 0)  # who began the connection, as far as the acquirer may know

NEXT_STEPS = {
    HostKeyRefused: "Ask who runs the jump host whether its host key changed; only then correct `host_keys` of"
    " `[acquirer.sftp.jump]`.",
    LoginRefused: "Check `user`, `key` and `password` of `[acquirer.sftp.jump]`, and that our public key is registered there.",
}


@dataclass(frozen=True, slots=True)
class Passage:
    """An open way through the jump host. `stream` has a socket's methods; `check` raises HostKeyRefused, as Link says."""

    stream: Any
    check: Callable[[], object]


def jump_hop(jump: Jump, given: Credentials, settings: Sftp) -> Hop:
    """The jump host as a hop. Raises WrongConfiguration."""
    pins = pinned_keys(jump, JUMP_SECTION)
    server = f"the jump host {jump.host}:{jump.port}"
    return Hop(server, jump.user, proof(jump, given, JUMP_SECTION), lambda: pins, settings)


@contextmanager
def through(plug: Any, hop: Hop, watchdog: Watchdog) -> Iterator[Passage]:
    """A channel that the jump host joined to the acquirer's server. Raises as `logged_in`, and when it does not join them."""
    settings = hop.settings
    target = f"{settings.host}:{settings.port}"
    with ExitStack() as stack:
        with _its_own_steps():
            transport = stack.enter_context(logged_in(plug, hop, watchdog))
        with translated(hop.server, f"connect us to {target}"), watchdog.watching():
            stream = _joined(transport, hop, target)
        yield Passage(stream, partial(_check, hop, transport))


def _check(hop: Hop, transport: Any) -> None:
    with _its_own_steps():
        proven_key(hop.server, transport, hop.pins())


def _joined(transport: Any, hop: Hop, target: str) -> Any:
    from paramiko import ChannelException, SSHException

    where = (hop.settings.host, hop.settings.port)
    try:
        return transport.open_channel("direct-tcpip", where, WE, timeout=hop.settings.connect_timeout_s)
    except ChannelException as refused:
        raise Unreachable(
            f"{hop.server} did not connect us to {target}: {WHY_NOT.get(refused.code, 'it refused')}",
            next_step="Ask who runs the jump host whether it reaches this host and port and lets our account go there;"
            " it is tried again.",
        ) from refused
    except SSHException as error:
        if transport.is_active():  # the vendor has no exception of its own for a limit that is over
            raise TimeoutError from error
        raise


@contextmanager
def _its_own_steps() -> Iterator[None]:
    """The usual next steps are about the acquirer's server."""
    try:
        yield
    except (HostKeyRefused, LoginRefused) as error:
        error.next_step = NEXT_STEPS[type(error)]
        raise
