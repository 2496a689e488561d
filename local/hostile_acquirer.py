"""The hostile acquirer: an SFTP server on 127.0.0.1 that fails by switches, to rehearse deliveries against.

thread of its own:  accept -> (another host key?) -> SSH -> Drop        Watch looks at the inbox every millisecond
                                                       `------ Plan ------'
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from local.hostile_drop import Drop, Plan
from local.hostile_switches import FOLDERS, Switches
from local.hostile_watch import Content

HOST = "127.0.0.1"
USER = "rehearsal"
START_S_MAX = 30.0
STOP_S_MAX = 10.0
LOGIN_S_MAX = 15
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr")


@dataclass(frozen=True, slots=True)
class HostileAcquirer:
    """A running server and its only account. `root` is where its sessions start: inbox, outbox and archive."""

    port: int
    root: Path
    client_key: Path
    host_keys: tuple[str, ...]
    _plan: Plan
    _run: Callable[[Coroutine[Any, Any, Any]], Any]

    def plant(self, switches: Switches) -> None:
        """From now on these faults; all counts begin anew and what was seen is forgotten."""
        self._run(_in_loop(lambda: self._plan.plant(switches)))

    def requests(self) -> dict[str, int]:
        """How often each kind of request came."""
        return dict(self._run(_in_loop(lambda: dict(self._plan.requests))))

    def connections(self) -> int:
        return int(self._run(_in_loop(lambda: self._plan.connections)))

    def faults(self) -> int:
        """How many planted faults have happened."""
        return int(self._run(_in_loop(lambda: self._plan.fired)))

    def contents(self) -> dict[str, list[Content]]:
        """Every content that the greedy reader ever saw, by name, in order."""
        return dict(self._run(_in_loop(lambda: {name: list(seen) for name, seen in self._plan.watch.contents.items()})))

    def partial(self) -> list[str]:
        """Names under which something was seen that was not the whole."""
        return list(self._run(_in_loop(self._plan.watch.partial)))

    def hands(self) -> list[tuple[str, Content]]:
        """Every file that the acquirer has: those it took, and those that lie in the inbox for it to take."""
        return list(self._run(_in_loop(self._plan.watch.hands)))

    def clear(self) -> None:
        """Throw away every file of the account, also what was taken out of sight; open sessions are over."""
        self._run(_in_loop(self._plan.clear))


@contextlib.contextmanager
def hostile_acquirer(folder: Path, switches: Switches | None = None, *, port: int = 0) -> Iterator[HostileAcquirer]:
    """The server from now to the end of the context, with its keys and files in `folder`; 0 is any free port.

    Keys that are there already are used again. Raises OSError for a taken port, asyncssh.KeyImportError for a broken key.
    """
    root, hidden = folder / "root", folder / "taken"
    for each in (*(root / name for name in FOLDERS), hidden):
        each.mkdir(parents=True, exist_ok=True)
    client, host = _key(folder / "client_ed25519"), _key(folder / "host_ed25519")
    plan = Plan(root, hidden)
    plan.plant(switches or Switches())
    front = _Front(plan, client.public_data, host)
    with socket.create_server((HOST, port)) as listener, _loop() as run:
        listener.setblocking(False)
        run(_in_loop(lambda: front.start(listener)))
        try:
            line = host.export_public_key().decode().strip()
            yield HostileAcquirer(int(listener.getsockname()[1]), root, folder / "client_ed25519", (line,), plan, run)
        finally:
            run(front.stop())


class _Front:
    """Accepts connections and decides which host key each one meets."""

    def __init__(self, plan: Plan, allowed: bytes, host_key: Any) -> None:
        self._plan = plan
        self._allowed = allowed
        self._host_key = host_key
        self._tasks: set[asyncio.Task[None]] = set()
        self._guests: set[Any] = set()

    def start(self, listener: socket.socket) -> None:
        self._keep(self._accept(listener))
        self._keep(self._plan.watch.keep_looking())

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for guest in list(self._guests):
            guest.abort()
            await guest.wait_closed()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            plug, _address = await asyncio.get_running_loop().sock_accept(listener)
            self._plan.connections += 1
            self._keep(self._serve(plug))

    async def _serve(self, plug: socket.socket) -> None:
        if self._plan.switches.silent:
            with plug:
                await asyncio.sleep(START_S_MAX)
            return
        after = self._plan.switches.flip_host_key
        flipped = after is not None and self._plan.connections > after
        key = asyncssh.generate_private_key("ssh-ed25519") if flipped else self._host_key
        # Who leaves during the handshake has said all that there is to know.
        with contextlib.suppress(OSError, asyncssh.Error):
            await asyncssh.run_server(
                plug,
                server_factory=lambda: _Door(self._plan, self._allowed, self._guests),
                server_host_keys=[key],
                sftp_factory=lambda chan: Drop(chan, self._plan),
                sftp_version=3,
                allow_scp=False,
                encryption_algs=CIPHERS,
                compression_algs=None,
                password_auth=False,
                kbdint_auth=False,
                host_based_auth=False,
                gss_host=None,
                login_timeout=LOGIN_S_MAX,
                agent_forwarding=False,
                x11_forwarding=False,
            )


class _Door(asyncssh.SSHServer):  # type: ignore[misc]  # asyncssh is untyped here, as the configuration of mypy says
    """One account, one key."""

    def __init__(self, plan: Plan, allowed: bytes, guests: set[Any]) -> None:
        self._plan = plan
        self._allowed = allowed
        self._guests = guests
        self._connection: Any = None

    def connection_made(self, conn: Any) -> None:
        self._connection = conn
        self._guests.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._guests.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        del username
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: Any) -> bool:
        known = username == USER and key.public_data == self._allowed
        return known and not self._plan.refuses_login()


async def _in_loop(act: Callable[[], Any]) -> Any:
    """Done between two steps of the server, so that nothing changes meanwhile."""
    return act()


def _key(path: Path) -> Any:
    """The private key in this file; a fresh one when there is no file."""
    if not path.exists():
        data = asyncssh.generate_private_key("ssh-ed25519", comment=USER).export_private_key()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            target.write(data)
    return asyncssh.read_private_key(str(path))


@contextlib.contextmanager
def _loop() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="hostile acquirer", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(START_S_MAX)

    try:
        yield run
    finally:
        run(_last_words())
        run(loop.shutdown_default_executor())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_S_MAX)
        loop.close()


async def _last_words() -> None:
    # What the closed connections still have to do is done before the loop ends, or Python warns of lost tasks.
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if others:
        _done, late = await asyncio.wait(others, timeout=2)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
