"""A small world for the stage extract: a legacy system, a real ledger and store, and hands that kill it; for tests only."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from extractors.extract import ExtractPorts, extract
from extractors.raw_chunk import plan_of, read_raw
from payments.config import SourceSection
from payments.keys import ChunkKey
from payments.ports import ObjectStore, StoredObject, Transaction
from payments.records import Chunk, Run, Watermark
from payments.remote_ports import Source
from payments.run_closing import settle_run
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.store_file import FileStore
from tests.unit.extractors.legacies import START, SqliteLegacy

CONFIG_HASH = "c0ffee"


class Killed(BaseException):
    """The process is gone: no handler of ours may catch it."""


@dataclass
class Fate:
    """Counts the points at which a process may die; dies at the one it is told to, and stays dead."""

    dies_at: int = 0
    passed: int = 0

    def point(self) -> None:
        self.passed += 1
        if self.dies_at and self.passed >= self.dies_at:
            raise Killed


@dataclass
class FixedClock:
    """The port Clock, standing still."""

    at: datetime = START + timedelta(hours=1)

    def now(self) -> datetime:
        return self.at


@dataclass
class MortalLeases:
    inner: Any
    fate: Fate

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            self.fate.point()
            return getattr(self.inner, name)(*given, **named)

        return call


@dataclass
class MortalLedger:
    """Dies before a transaction, inside it before its commit, or after it."""

    inner: SqlLedger
    fate: Fate

    @property
    def leases(self) -> Any:
        return MortalLeases(self.inner.leases, self.fate)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        self.fate.point()
        with self.inner.begin() as tx:
            yield tx
            self.fate.point()
        self.fate.point()


@dataclass
class MortalStore:
    """Dies before or after each effect; `after_put` sees every object as soon as it is visible to others."""

    inner: ObjectStore
    fate: Fate
    after_put: Callable[[str], None] = field(default=lambda _: None)

    def put(self, key: str, data: bytes) -> StoredObject:
        self.fate.point()
        stored = self.inner.put(key, data)
        self.after_put(key)
        self.fate.point()
        return stored

    def put_file(self, key: str, path: Path) -> StoredObject:
        self.fate.point()
        stored = self.inner.put_file(key, path)
        self.after_put(key)
        self.fate.point()
        return stored

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class MortalSource:
    """Dies before a question to the source, and between two batches."""

    inner: Source
    fate: Fate

    def upper_bound(self, now: datetime) -> Any:
        self.fate.point()
        return self.inner.upper_bound(now)

    def strays(self, now: datetime) -> int:
        self.fate.point()
        return self.inner.strays(now)

    def chunk_end(self, after: Any, upto: Any, rows: int) -> Any:
        self.fate.point()
        return self.inner.chunk_end(after, upto, rows)

    def read(self, after: Any, upto: Any) -> Iterator[Any]:
        for batch in self.inner.read(after, upto):
            self.fate.point()
            yield batch


class World:
    """One legacy system, one ledger, one store."""

    def __init__(self, folder: Path, legacy: SqliteLegacy, ledger: Path | None = None, **changed: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.legacy = legacy
        self.source: SourceSection = legacy.section(**({"rows_per_chunk_max": 3} | changed))
        self.clock = FixedClock()
        path = folder / "ledger.db"
        if ledger is not None:
            shutil.copy(ledger, path)
        engine = open_engine(f"sqlite:{path}")
        upgrade(engine)
        self.ledger = SqlLedger(engine, self.clock, holder="worker:1")
        self.folder = folder / "store"
        self.store = FileStore(self.folder)
        self.after_put: Callable[[str], None] = lambda _: None

    def extract(self, fate: Fate | None = None, config_hash: str = CONFIG_HASH) -> Run | None:
        """One extraction; with a fate it may die on the way."""
        fate = fate or Fate()
        ports = ExtractPorts(MortalLedger(self.ledger, fate), MortalStore(self.store, fate, self.after_put), self.clock)
        return extract(ports, self.source, lambda: self._open(fate), config_hash=config_hash)

    @contextmanager
    def _open(self, fate: Fate) -> Iterator[Source]:
        opened: AbstractContextManager[Source] = self.legacy.open(rows_per_chunk_max=self.source.rows_per_chunk_max)
        with opened as session:
            yield MortalSource(session, fate)

    def restart(self) -> None:
        """What the service does first after a kill: leases of dead processes end."""
        with closing(sqlite3.connect(self.folder.parent / "ledger.db")) as database, database:
            database.execute("UPDATE leases SET expires_ms = 0")

    def records(self) -> tuple[list[Run], list[Chunk], list[Watermark]]:
        with self.ledger.begin() as tx:
            return tx.runs.find(), tx.chunks.find(), tx.watermarks.find()

    def objects(self) -> dict[str, bytes]:
        return {key: self.store.get(key) for key in self.store.keys("")}

    def curate(self, key: str) -> None:
        """What curate does with a raw chunk, as far as the ledger sees it: everything is valid."""
        if not key.endswith(".parquet"):
            return
        name = ChunkKey.parse(key)
        with self.ledger.begin() as tx:
            run, chunk = tx.runs.get(name.source, name.run), tx.chunks.get(name.source, name.run, name.chunk)
        assert run is not None
        assert chunk is not None
        total = read_raw(self.folder / key, self.source, plan_of(run, chunk), key).total
        with self.ledger.begin() as tx:
            fresh = tx.chunks.get(name.source, name.run, name.chunk)
            assert fresh is not None
            tx.chunks.change(fresh, state="curated", curated=total)
            run = tx.runs.get(name.source, name.run)
            assert run is not None
            settle_run(tx, tx.runs.change(run, chunks_open=run.chunks_open - 1))
