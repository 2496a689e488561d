"""Meters one call of a handler: processor and wall time, requests to S3, statements and bytes of the ledger, bytes of logs."""

from __future__ import annotations

import io
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from payments.ports import ObjectStore, StoredObject

REQUEST = re.compile(rb'"(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.\d" (\d+)')
COLOUR = re.compile(rb"\x1b\[\d+m")
"""The server colours every answer but 200: parts of objects, for one."""
TICKS_S = 100


@dataclass
class Figures:
    """Sums over the invocations of one stage. `s3_put` counts what costs as much as a put: POST and LIST as well."""

    invocations: int = 0
    messages: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    s3_get: int = 0
    s3_put: int = 0
    s3_list: int = 0
    s3_bytes: int = 0
    statements: int = 0
    log_bytes: int = 0

    def add(self, other: Figures) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


class Log(io.TextIOBase):
    """Stands in for standard output: counts what handlers print, and keeps nothing."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, text: str) -> int:
        self.bytes += len(text.encode())
        return len(text)


class ServerLog:
    """The log of the server that stands in for S3: one line per request, read on from where it was read last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def news(self) -> dict[str, int]:
        """Requests since the last look, by how they are charged. Those to SQS and to the server itself are left out."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            lines = file.read()
            self._at = file.tell()
        found: dict[str, int] = defaultdict(int)
        for method, target, _ in REQUEST.findall(COLOUR.sub(b"", lines)):
            if target == b"/" or target.startswith(b"/moto-api"):
                continue
            if method in {b"GET", b"HEAD"}:
                found["s3_list" if b"list-type=2" in target else "s3_get"] += 1
            elif method != b"DELETE":
                found["s3_put"] += 1
        return found


class MeteredStore:
    """An ObjectStore that counts the bytes of whole objects which go through it."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.bytes = 0

    def put(self, key: str, data: bytes) -> StoredObject:
        return self._counted(self._store.put(key, data))

    def put_file(self, key: str, path: Path) -> StoredObject:
        return self._counted(self._store.put_file(key, path))

    def get(self, key: str) -> bytes:
        found = self._store.get(key)
        self.bytes += len(found)
        return found

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        with self._store.local(key) as path:
            self.bytes += path.stat().st_size
            yield path

    def keys(self, prefix: str) -> Iterator[str]:
        return self._store.keys(prefix)

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    def _counted(self, stored: StoredObject) -> StoredObject:
        self.bytes += stored.size
        return stored


@dataclass
class Meter:
    """Sums by stage."""

    server: ServerLog
    log: Log
    store: MeteredStore
    stages: dict[str, Figures] = field(default_factory=lambda: defaultdict(Figures))
    statements: int = 0

    def watch(self, engine: Any) -> None:
        """Count what is sent to the ledger: each statement is one way there and back; so is a commit."""
        from sqlalchemy import event

        def one(*_: object) -> None:
            self.statements += 1

        for name in ("before_cursor_execute", "commit", "begin"):
            event.listen(engine, name, one)

    @contextmanager
    def of(self, stage: str, messages: int) -> Iterator[None]:
        self.server.news()
        before = self.statements, self.log.bytes, self.store.bytes
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            self.stages[stage].add(
                Figures(
                    invocations=1,
                    messages=messages,
                    cpu_s=cpu,
                    wall_s=wall,
                    statements=self.statements - before[0],
                    log_bytes=self.log.bytes - before[1],
                    s3_bytes=self.store.bytes - before[2],
                    **self.server.news(),
                )
            )


def server_cpu_s(pid: int) -> float:
    """Processor seconds of a server: its own, of its children that ended, and of those that live."""
    own = _stat(pid)
    seconds = sum(own[11:15])
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = _stat(int(folder.name))
            except OSError:
                continue
            if stat[1] == pid:
                seconds += sum(stat[11:13])
    return seconds / TICKS_S


def _stat(pid: int) -> list[int]:
    parts = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return [0, *(int(each) for each in parts[1:])]
