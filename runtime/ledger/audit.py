"""The audit log: append-only records, each holding the hash of the one before it in its chain (I8)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, text

from payments.ports import Clock
from runtime.ledger.schema import audit
from runtime.ledger.types import canonical_json

GENESIS = "0" * 64
TURN = text("SELECT pg_advisory_xact_lock(hashtextextended(:chain, 7241002))")


def record_hash(chain: str, seq: int, recorded_at: datetime, actor: str, act: str, body: str, previous: str) -> str:
    """SHA-256 over every field of a record and the hash before it."""
    parts = (chain, str(seq), recorded_at.isoformat(timespec="microseconds"), actor, act, body, previous)
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


class SqlAuditLog:
    """The port `AuditLog` over one connection that is inside a transaction."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def append(self, chain: str, act: str, body: Mapping[str, Any], *, actor: str = "tieout") -> str:
        if self._connection.dialect.name == "postgresql":
            # Writers of one chain take turns until they commit: each follows the record before it. SQLite has one writer.
            self._connection.execute(TURN, {"chain": chain})
        last = self._connection.execute(
            select(audit.c.seq, audit.c.hash).where(audit.c.chain == chain).order_by(audit.c.seq.desc()).limit(1)
        ).one_or_none()
        seq, previous = (1, GENESIS) if last is None else (int(last.seq) + 1, str(last.hash))
        now, text = self._clock.now(), canonical_json(dict(body))
        head = record_hash(chain, seq, now, actor, act, text, previous)
        self._connection.execute(
            audit.insert().values(
                chain=chain, seq=seq, recorded_at=now, actor=actor, act=act, body=text, previous=previous, hash=head
            )
        )
        return head


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One record as stored."""

    chain: str
    seq: int
    recorded_at: datetime
    actor: str
    act: str
    body: str
    previous: str
    hash: str


def audit_records(connection: Connection, chain: str = "") -> Iterator[AuditRecord]:
    """All records, chain by chain in order; streamed."""
    statement = select(audit).order_by(audit.c.chain, audit.c.seq)
    if chain:
        statement = statement.where(audit.c.chain == chain)
    for row in connection.execute(statement, execution_options={"yield_per": 1000}):
        yield AuditRecord(*row)


def heads(connection: Connection) -> list[tuple[str, int, str]]:
    """(chain, number, hash) of the newest record of every chain."""
    newest = select(audit.c.chain, func.max(audit.c.seq).label("seq")).group_by(audit.c.chain).subquery()
    is_newest = (audit.c.chain == newest.c.chain) & (audit.c.seq == newest.c.seq)
    statement = select(audit.c.chain, audit.c.seq, audit.c.hash).join(newest, is_newest).order_by(audit.c.chain)
    return [(str(row.chain), int(row.seq), str(row.hash)) for row in connection.execute(statement)]


def faults(records: Iterator[AuditRecord]) -> Iterator[str]:
    """What is wrong with the chains: changed, missing and reordered records, each named by chain and number."""
    chain, seq, head = "", 0, GENESIS
    for record in records:
        if record.chain != chain:
            chain, seq, head = record.chain, 0, GENESIS
        seq += 1
        if record.seq != seq:
            yield f"{chain}: record {seq} is missing"
            seq = record.seq
        elif record.previous != head:
            yield f"{chain}: record {record.seq} does not follow the one before it"
        computed = record_hash(
            chain, record.seq, record.recorded_at, record.actor, record.act, record.body, record.previous
        )
        if computed != record.hash:
            yield f"{chain}: record {record.seq} was changed"
        head = record.hash
