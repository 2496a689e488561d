"""Totals of Arrow columns: exact sums per currency and direction, rows that cannot be read, and the multiset hash."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from payments.books import NO_DIGEST, Total

LOW_WORD = 0xFFFFFFFF


def total_of_columns(
    amount_minor: pa.Array | pa.ChunkedArray,
    currency: pa.Array | pa.ChunkedArray,
    direction: pa.Array | pa.ChunkedArray,
    row_hash: pa.Array | pa.ChunkedArray,
) -> Total:
    """The total of n rows: int64, string, string and binary(32). A row with a null in the first three is unreadable."""
    readable = pc.and_(pc.is_valid(amount_minor), pc.and_(pc.is_valid(currency), pc.is_valid(direction)))
    rows = pa.table({"amount": amount_minor, "currency": currency, "direction": direction})
    unreadable = len(rows) - (pc.sum(readable).as_py() or 0)
    kept = rows if unreadable == 0 else rows.filter(readable)
    return Total(count=len(rows), amount_minor=_sums(kept), unreadable=unreadable, digest=digest_of(row_hash))


def _sums(rows: pa.Table) -> dict[str, int]:
    """Sums beyond int64 stay exact: the low 32 bits and the rest are added apart, which holds for 2**31 rows."""
    amount = rows["amount"]
    halves = pa.table(
        {
            "currency": rows["currency"],
            "direction": rows["direction"],
            "low": pc.bit_wise_and(amount, LOW_WORD),
            "high": pc.shift_right(amount, 32),
        }
    )
    sums = halves.group_by(["currency", "direction"], use_threads=False).aggregate([("low", "sum"), ("high", "sum")])
    found = {
        f"{each['currency']}/{each['direction']}": (each["high_sum"] << 32) + each["low_sum"]
        for each in sums.to_pylist()
    }
    return {key: value for key, value in sorted(found.items()) if value}


def digest_of(row_hash: pa.Array | pa.ChunkedArray) -> tuple[int, int, int, int]:
    """The multiset hash of n row hashes (binary(32), never null): four little-endian words, each summed modulo 2**64."""
    hashes = row_hash.combine_chunks() if isinstance(row_hash, pa.ChunkedArray) else row_hash
    if len(hashes) == 0:
        return NO_DIGEST
    words = np.frombuffer(hashes.buffers()[1], dtype="<u8").reshape(-1, 4)
    sums = words[hashes.offset : hashes.offset + len(hashes)].sum(axis=0, dtype=np.uint64)
    a, b, c, d = (int(word) for word in sums)
    return a, b, c, d
