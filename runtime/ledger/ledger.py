"""The ledger itself: one transaction with all records, the audit log and the leases."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, TextClause, bindparam, text

from payments import records
from payments.companions import Companion
from payments.contacts import Contact
from payments.deletions import Deletion
from payments.delivery_stops import DeliveryStop
from payments.ports import Clock
from payments.redeliveries import Redelivery
from runtime.ledger.audit import SqlAuditLog
from runtime.ledger.engine import reading, writing
from runtime.ledger.leases import SqlLeases, is_held
from runtime.ledger.records import SqlRecords
from runtime.ledger.schema import TABLES

SHARED = text("SELECT pg_advisory_xact_lock_shared(hashtextextended(:name, 7241003))")
EXCLUSIVE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 7241003))")


class SqlTransaction:
    """The port `Transaction` over one connection."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.connection = connection
        self.runs = SqlRecords(connection, records.Run)
        self.chunks = SqlRecords(connection, records.Chunk)
        self.watermarks = SqlRecords(connection, records.Watermark)
        self.assemblies = SqlRecords(connection, records.Assembly)
        self.sequences = SqlRecords(connection, records.Sequence_)
        self.files = SqlRecords(connection, records.OutboundFile)
        self.attempts = SqlRecords(connection, records.Attempt)
        self.receipts = SqlRecords(connection, records.Receipt)
        self.sightings = SqlRecords(connection, records.Sighting)
        self.results = SqlRecords(connection, records.ResultFile)
        self.result_books = SqlRecords(connection, records.ResultBooks)
        self.mismatches = SqlRecords(connection, records.Mismatch)
        self.decisions = SqlRecords(connection, records.Decision)
        self.firings = SqlRecords(connection, records.Firing)
        self.staged_keys = SqlRecords(connection, records.StagedKey)
        self.profiles = SqlRecords(connection, records.AcquirerProfile)
        self.companions = SqlRecords(connection, Companion)
        self.contacts = SqlRecords(connection, Contact)
        self.redeliveries = SqlRecords(connection, Redelivery)
        self.stops = SqlRecords(connection, DeliveryStop)
        self.deletions = SqlRecords(connection, Deletion)
        self.audit = SqlAuditLog(connection, clock)

    def is_leased(self, name: str) -> bool:
        return is_held(self.connection, name)

    def together(self, name: str) -> None:
        self._turn(SHARED, name)

    def alone(self, name: str) -> None:
        self._turn(EXCLUSIVE, name)

    def _turn(self, statement: TextClause, name: str) -> None:
        if self.connection.dialect.name == "postgresql":  # SQLite has one writer at a time
            self.connection.execute(statement, {"name": name})

    def replace_mismatches(self, add: Sequence[records.Mismatch], change: Sequence[records.Mismatch]) -> None:
        self.mismatches.add_many(list(add))
        if not change:
            return
        table = TABLES[records.Mismatch]
        names = [column.name for column in table.c if column.name != "id"]
        statement = (
            table.update().where(table.c.id == bindparam("key")).values({n: bindparam(f"new_{n}") for n in names})
        )
        rows = [{"key": each.id, **{f"new_{name}": getattr(each, name) for name in names}} for each in change]
        self.connection.execute(statement, rows)


class SqlLedger:
    """The port `Ledger`."""

    def __init__(self, engine: Engine, clock: Clock, *, holder: str = "") -> None:
        self.engine = engine
        self._clock = clock
        self.leases = SqlLeases(engine, holder or f"{socket.gethostname()}:{os.getpid()}")

    @contextmanager
    def begin(self) -> Iterator[SqlTransaction]:
        with writing(self.engine) as connection:
            yield SqlTransaction(connection, self._clock)

    @contextmanager
    def look(self) -> Iterator[SqlTransaction]:
        with reading(self.engine) as connection:
            yield SqlTransaction(connection, self._clock)
