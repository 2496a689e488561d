"""Starts an SFTP server of asyncssh in a thread of its own, on a free port of 127.0.0.1: the one that tests teach to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from tests.servers.sftp_account import SftpAccount, private_key, public_line, start_directory

USER = "tieout"
START_S_MAX = 30.0


@dataclass
class Seen:
    """What the server saw, for tests that must prove what was *not* sent."""

    connections: int = 0
    logins: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AsyncsshAccount(SftpAccount):
    """An account of this server; `seen` grows while it runs."""

    seen: Seen = field(default_factory=Seen)


@contextlib.contextmanager
def asyncssh_server(
    folder: Path,
    *,
    files: Callable[..., asyncssh.SFTPServer] = asyncssh.SFTPServer,
    password: str = "",
    host_key: bytes = b"",
    key_allowed: bool = True,
    options: dict[str, Any] | None = None,
) -> Iterator[AsyncsshAccount]:
    """A server whose files live under `folder`/root.

    `files` is the class that answers SFTP requests (give a subclass of asyncssh.SFTPServer to plant a fault), `password`
    a password that is accepted, `key_allowed` False refuses the client's key, `options` go to asyncssh.listen.
    """
    root, ours, theirs = start_directory(folder), private_key(), host_key or private_key()
    seen = Seen()
    keys = asyncssh.import_authorized_keys(public_line(ours if key_allowed else private_key()) + "\n")

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Door(seen, password),
            authorized_client_keys=keys,
            server_host_keys=[asyncssh.import_private_key(theirs)],
            sftp_factory=lambda channel: files(channel, chroot=str(root).encode()),
            **(options or {}),
        )

    with _loop() as run:
        acceptor = run(listen())
        try:
            yield AsyncsshAccount(
                "127.0.0.1", acceptor.get_port(), USER, ours, public_line(theirs), root, password, seen
            )
        finally:
            run(_stop(acceptor))


class _Door(asyncssh.SSHServer):
    """Counts who comes and what they offer."""

    def __init__(self, seen: Seen, password: str) -> None:
        self._seen = seen
        self._password = password

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._seen.connections += 1

    def begin_auth(self, username: str) -> bool:
        self._seen.logins.append(username)
        return True

    def password_auth_supported(self) -> bool:
        return bool(self._password)

    def validate_password(self, username: str, password: str) -> bool:
        self._seen.passwords.append(password)
        return password == self._password


@contextlib.contextmanager
def _loop() -> Iterator[Callable[..., Any]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="asyncssh server", daemon=True)
    thread.start()

    def run(awaitable: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(awaitable, loop).result(START_S_MAX)

    try:
        yield run
    finally:
        run(loop.shutdown_default_executor())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_S_MAX)
        loop.close()


async def _stop(acceptor: asyncssh.SSHAcceptor) -> None:
    acceptor.close()
    await acceptor.wait_closed()
    # What the closed connections still have to say is said before the loop ends, or Python warns of lost tasks.
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if others:
        _done, late = await asyncio.wait(others, timeout=2)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
