"""Adds up stored Parquet objects again, batch after batch: totals, identities and counts, in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from payments.books import Total
from payments.config import SourceSection
from payments.errors import Unreadable
from payments.money_columns import read_money
from payments.rowhash import row_identity
from payments.tables import HASH, RAW_EXTRA
from payments.totals import total_of_columns

ROWS_PER_BATCH = 50_000
MONEY = ("amount_minor", "currency", "direction", "row_hash")


def batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Tables of at most 50,000 rows. Raises Unreadable when it is not Parquet or lacks a column."""
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in columns or () if name not in file.schema_arrow.names]
            if missing:
                raise Unreadable(f"it has no column {missing[0]}")
            for batch in file.iter_batches(ROWS_PER_BATCH, columns=None if columns is None else [*columns]):
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as error:
        raise Unreadable("it is not the Parquet that was written") from error


def total(path: Path) -> Total:
    """The total of a curated, quarantine, expected, pool or index object."""
    found = Total()
    for table in batches(path, MONEY):
        found += _total(table)
    return found


def total_where(path: Path, condition: pc.Expression) -> Total:
    """The total of the rows that satisfy a condition; only they are held. Raises Unreadable."""
    try:
        return _total(pq.read_table(path, columns=[*MONEY], filters=condition))
    except (pa.ArrowException, OSError) as error:
        raise Unreadable("it is not the Parquet that was written") from error


def totals_by(path: Path, column: str, values: Sequence[str], **where: str) -> Mapping[str, Total]:
    """The total of the rows of each value of a column, among those in which each column of `where` holds its value."""
    found = dict.fromkeys(values, Total())
    for whole in batches(path, (*MONEY, column, *where)):
        table = whole
        for name, wanted in where.items():
            table = table.filter(pc.equal(table[name], wanted))
        for value in values:
            found[value] += _total(table.filter(pc.equal(table[column], value)))
    return found


def raw(path: Path, source: SourceSection) -> tuple[Total, int]:
    """The total of a raw object from the source's own values, and how many rows bear another identity or hash than these give."""
    found, strangers = Total(), 0
    for table in batches(path):
        absent = [name for name in RAW_EXTRA.names if name not in table.column_names]
        if absent:
            raise Unreadable(f"it has no column {absent[0]}")
        identities, hashes = row_identity(table, source)
        same = pc.and_(
            pc.equal(table["_payment_id"], pa.array(identities, pa.string())),
            pc.equal(pc.cast(table["_row_hash"], HASH), hashes),
        )
        strangers += len(table) - (pc.sum(pc.fill_null(same, False)).as_py() or 0)
        money = read_money(table, source)
        found += total_of_columns(money.amount_minor, money.currency, money.direction, hashes)
    return found, strangers


def rows_where(path: Path, columns: Sequence[str], condition: pc.Expression) -> list[dict[str, Any]]:
    """The few rows of a Parquet object that satisfy a condition; only they are held. Raises Unreadable."""
    try:
        found: list[dict[str, Any]] = pq.read_table(path, columns=[*columns], filters=condition).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise Unreadable("it is not the Parquet that was written") from error
    return found


def reported(path: Path) -> Mapping[str, int]:
    """Lines, control, events and unreadable of a reported object (I1b)."""
    found: Counter[str] = Counter()
    for table in batches(path, ("level", "error")):
        bad = len(table) - table["error"].null_count
        control = pc.sum(pc.and_(pc.is_null(table["error"]), pc.not_equal(table["level"], "TX"))).as_py() or 0
        found.update(lines=len(table), control=control, unreadable=bad, events=len(table) - bad - control)
    return found


def _total(table: pa.Table) -> Total:
    return total_of_columns(*(table[name] for name in MONEY))
