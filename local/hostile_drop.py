"""The hostile acquirer's side of one SFTP session: answers requests as the switches say, and counts them.

count -> wait (--slow) -> refuse? -> do it -> greedy look -> answer, or hang up without one (--lose-reply)
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncssh

from local.hostile_switches import LOGIN, Planted, Switches
from local.hostile_watch import Watch

CANNOT = frozenset({"fsync", "posix-rename", "stat", "list"})
"""Refused as not offered; the others as a server would that does not want to."""
GROWTH = b"one line more\n"


class Plan:
    """What is planted on one server, and what its clients did: shared by all sessions, used by one thread."""

    def __init__(self, root: Path, hidden: Path) -> None:
        self.root = root
        self.watch = Watch(root, hidden)
        self.era = 0
        self.plant(Switches())

    def plant(self, switches: Switches) -> None:
        """Begin anew: other faults, all counts at zero, nothing seen."""
        self.switches = switches
        self.requests: Counter[str] = Counter()
        self.connections = 0
        self.fired = 0
        take_to = self.root / switches.take_to if switches.take_to else None
        self.watch.begin(switches.greedy, switches.take_away_ms, take_to)

    def clear(self) -> None:
        """Throw away every file; sessions that are open now do nothing more."""
        self.era += 1
        self.watch.clear()
        for path in (self.root / "outbox").iterdir():
            path.unlink()

    def fires(self) -> bool:
        """Whether a fault may happen now; counts it."""
        if self.switches.times and self.fired >= self.switches.times:
            return False
        self.fired += 1
        return True

    def meant(self, planted: tuple[Planted, ...], request: str) -> bool:
        """Whether one of them means the request that was counted last."""
        hit = any(each.request == request and each.nth in {0, self.requests[request]} for each in planted)
        return hit and self.fires()

    def refuses_login(self) -> bool:
        self.requests[LOGIN] += 1
        return self.meant(self.switches.refuse, LOGIN)


class Drop(asyncssh.SFTPServer):  # type: ignore[misc]  # asyncssh is untyped here, as the configuration of mypy says
    """One session. asyncssh answers its requests one after the other, so that nothing here runs twice at once."""

    def __init__(self, chan: Any, plan: Plan) -> None:
        super().__init__(chan, chroot=os.fsencode(plan.root))
        self._plan = plan
        self._gone = False
        self._era = plan.era

    async def open(self, path: bytes, pflags: int, attrs: Any) -> object:
        attrs.permissions = None  # a client's mode must not keep the greedy reader from reading
        return await self._act("open", lambda: super(Drop, self).open(path, pflags, attrs))

    async def write(self, file_obj: object, offset: int, data: bytes) -> Any:
        return await self._act("write", lambda: self._written(file_obj, offset, data))

    async def read(self, file_obj: Any, offset: int, size: int) -> Any:
        return await self._act("read", lambda: self._given(file_obj, offset, size))

    async def fsync(self, file_obj: object) -> None:
        await self._act("fsync", lambda: super(Drop, self).fsync(file_obj))

    async def close(self, file_obj: Any) -> None:
        if self._gone or self.channel.is_closing():
            file_obj.close()  # nobody asked: the session is over
        else:
            await self._act("close", lambda: self._closed(file_obj))

    async def stat(self, path: bytes) -> Any:
        return await self._act("stat", lambda: self._told(super(Drop, self).stat(path)))

    async def lstat(self, path: bytes) -> Any:
        return await self._act("stat", lambda: self._told(super(Drop, self).lstat(path)))

    async def fstat(self, file_obj: object) -> Any:
        return await self._act("stat", lambda: self._told(super(Drop, self).fstat(file_obj)))

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._act("rename", lambda: super(Drop, self).rename(oldpath, newpath))

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._act("posix-rename", lambda: super(Drop, self).posix_rename(oldpath, newpath))

    async def remove(self, path: bytes) -> None:
        await self._act("remove", lambda: super(Drop, self).remove(path))

    async def scandir(self, path: bytes) -> AsyncIterator[Any]:
        await self._act("list", lambda: None)
        async for entry in super().scandir(path):
            entry.attrs = self._told(entry.attrs)
            yield entry

    def _unsupported(self, *_: object) -> None:
        raise asyncssh.SFTPOpUnsupported("not offered")

    # A link could lead out of the account's folder.
    open56 = symlink = link = readlink = _unsupported

    async def _act(self, request: str, effect: Callable[[], Any]) -> Any:
        plan = self._plan
        plan.requests[request] += not self._over()
        if plan.switches.slow_s:
            await asyncio.sleep(plan.switches.slow_s)
        if self._over():
            # What still came through a link that was cut: it must not have an effect.
            raise asyncssh.SFTPConnectionLost("gone")
        if plan.meant(plan.switches.refuse, request):
            raise _refusal(request)
        try:
            return effect()
        finally:
            plan.watch.look()
            # A no is lost as well as a yes.
            if plan.meant(plan.switches.lose_reply, request):
                self._hang_up()

    def _over(self) -> bool:
        return self._gone or self._era != self._plan.era

    def _hang_up(self) -> None:
        self._gone = True
        self.connection.abort()

    def _written(self, file_obj: object, offset: int, data: bytes) -> Any:
        cut = self._plan.switches.cut_at_byte
        if cut is None or offset + len(data) < cut or not self._plan.fires():
            return super().write(file_obj, offset, data)
        kept = data[: max(0, cut - offset)]
        if kept:
            super().write(file_obj, offset, kept)
        self._hang_up()
        return len(kept)

    def _given(self, file_obj: Any, offset: int, size: int) -> Any:
        data = super().read(file_obj, offset, size)
        path = _path(file_obj)
        if self._plan.switches.grow_results and path.parent.name == "outbox":
            with path.open("ab") as more:
                more.write(GROWTH)
        return data

    def _closed(self, file_obj: Any) -> None:
        path, writable = _path(file_obj), file_obj.writable()
        switches = self._plan.switches
        full = writable and switches.full_at_close and self._plan.fires()
        if full:
            # What was still in its cache never reached the disk.
            file_obj.truncate(path.stat().st_size // 2)
        file_obj.close()
        if full:
            raise asyncssh.SFTPFailure("no space")
        vanishes = writable and switches.vanish_at_close and self._plan.fires()
        read_once = not writable and switches.serve_once and path.parent.name == "outbox"
        if vanishes or read_once:
            path.unlink(missing_ok=True)

    def _told(self, found: Any) -> Any:
        """Attributes as they are told to the client."""
        if not self._plan.switches.lie_about_size:
            return found
        told = asyncssh.SFTPAttrs.from_local(found) if isinstance(found, os.stat_result) else found
        if told.size is not None:
            told.size += 1
        return told


def _path(file_obj: Any) -> Path:
    return Path(os.fsdecode(file_obj.name))


def _refusal(request: str) -> Exception:
    if request in CANNOT:
        refusal: Exception = asyncssh.SFTPOpUnsupported("not offered")
    elif request == "write":
        refusal = asyncssh.SFTPFailure("no space")
    else:
        refusal = asyncssh.SFTPPermissionDenied("not allowed")
    return refusal
