"""The tables of the ledger, made from the records of `payments.records`: same names, same order.

Migrations state the same tables once more, by hand: a test proves that both agree.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import fields
from datetime import date, datetime
from types import NoneType
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Integer, MetaData, Table
from sqlalchemy.types import TypeEngine

from payments import records
from payments.books import Total
from payments.companions import Companion
from payments.contacts import Contact
from payments.deletions import Deletion
from payments.delivery_stops import DeliveryStop
from payments.redeliveries import Redelivery
from runtime.ledger.types import JsonText, TotalText, UtcTime, plain_text

metadata = MetaData()

_TYPES: dict[Any, Callable[[], TypeEngine[Any]]] = {
    str: plain_text,
    int: BigInteger,
    bool: Boolean,
    date: Date,
    datetime: UtcTime,
    Total: TotalText,
    dict: JsonText,
    list: JsonText,
}

KEYS: dict[type, tuple[str, tuple[str, ...]]] = {
    records.Run: ("runs", ("source", "ordinal")),
    records.Chunk: ("chunks", ("source", "run", "ordinal")),
    records.Watermark: ("watermarks", ("source",)),
    records.Assembly: ("assemblies", ("ordinal",)),
    records.Sequence_: ("sequences", ("name",)),
    records.OutboundFile: ("files", ("file_id",)),
    records.Attempt: ("attempts", ("file_id", "attempt")),
    records.Receipt: ("receipts", ("file_id",)),
    records.Sighting: ("sightings", ("acquirer", "name")),
    records.ResultFile: ("results", ("acquirer", "sha256")),
    records.ResultBooks: ("result_books", ("acquirer", "sha256", "file_id")),
    records.Mismatch: ("mismatches", ("id",)),
    records.Decision: ("decisions", ("id",)),
    records.Firing: ("firings", ("name",)),
    records.StagedKey: ("staged_keys", ("acquirer", "fingerprint")),
    records.AcquirerProfile: ("acquirer_profile", ("acquirer",)),
    Companion: ("companions", ("file_id",)),
    Contact: ("contacts", ("subject",)),
    Redelivery: ("redeliveries", ("file_id", "list_sha256")),
    DeliveryStop: ("delivery_stops", ("ordinal",)),
    Deletion: ("deletions", ("key", "version", "kind")),
}
"""Record type -> (table, primary key)."""


def _column(name: str, hint: Any, *, key: bool) -> Column[Any]:
    parts = [part for part in typing.get_args(hint) if part is not NoneType]
    optional = NoneType in typing.get_args(hint)
    kind = parts[0] if optional else hint
    return Column(name, _TYPES[typing.get_origin(kind) or kind](), primary_key=key, nullable=optional and not key)


def _table(record: type, name: str, key: tuple[str, ...]) -> Table:
    hints = typing.get_type_hints(record)
    columns = [_column(each.name, hints[each.name], key=each.name in key) for each in fields(record)]
    return Table(name, metadata, *columns)


TABLES: dict[type, Table] = {record: _table(record, name, key) for record, (name, key) in KEYS.items()}

Index("ix_runs_state", TABLES[records.Run].c.state)
Index("ix_files_acquirer_state", TABLES[records.OutboundFile].c.acquirer, TABLES[records.OutboundFile].c.state)
Index("ix_files_name", TABLES[records.OutboundFile].c.acquirer, TABLES[records.OutboundFile].c.name)
Index("ix_results_state", TABLES[records.ResultFile].c.acquirer, TABLES[records.ResultFile].c.state)
Index("ix_mismatches_state", TABLES[records.Mismatch].c.state, TABLES[records.Mismatch].c.id)
Index("ix_mismatches_kind", TABLES[records.Mismatch].c.kind, TABLES[records.Mismatch].c.id)
Index("ix_mismatches_file", TABLES[records.Mismatch].c.file_id)
Index("ix_companions_state", TABLES[Companion].c.acquirer, TABLES[Companion].c.state)
Index("ix_deletions_open", TABLES[Deletion].c.is_open, TABLES[Deletion].c.deleted_at)
Index("ix_deletions_chain", TABLES[Deletion].c.chain, TABLES[Deletion].c.store, TABLES[Deletion].c.day)

audit = Table(
    "audit",
    metadata,
    Column("chain", plain_text(), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("recorded_at", UtcTime(), nullable=False),
    Column("actor", plain_text(), nullable=False),
    Column("act", plain_text(), nullable=False),
    Column("body", plain_text(), nullable=False),
    Column("previous", plain_text(), nullable=False),
    Column("hash", plain_text(), nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", plain_text(), primary_key=True),
    Column("holder", plain_text(), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),  # by the database's clock, since 1970
)

notices = Table(
    "notices",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("queue", plain_text(), nullable=False),
    Column("body", plain_text(), nullable=False),
    Column("visible_ms", BigInteger, nullable=False),
    Column("receives", Integer, nullable=False),
    Column("receipt", plain_text(), nullable=False),
    Index("ix_notices_queue", "queue", "visible_ms"),
)

clock = Table(
    "clock",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("now_at", UtcTime(), nullable=False),
    Column("tick", BigInteger, nullable=False),
)
