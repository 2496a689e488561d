"""Totals of Arrow columns against sums in Python integers."""

from __future__ import annotations

import hashlib

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from payments.books import NO_DIGEST, WORD, Total, total_of
from payments.tables import HASH
from payments.totals import digest_of, total_of_columns

rows_of_any_kind = st.lists(
    st.tuples(
        st.integers(-(1 << 63), (1 << 63) - 1) | st.none(),
        st.sampled_from(["EUR", "JPY", "KWD", None]),
        st.sampled_from(["CRDT", "DBIT", None]),
        st.integers(0, 1000).map(lambda n: hashlib.sha256(str(n).encode()).digest()),
    ),
    max_size=40,
)
Row = tuple[int | None, str | None, str | None, bytes]


def columns(rows: list[Row]) -> tuple[pa.Array, pa.Array, pa.Array, pa.Array]:
    kinds = (pa.int64(), pa.string(), pa.string(), HASH)
    amount, currency, direction, row_hash = (pa.array([row[i] for row in rows], kind) for i, kind in enumerate(kinds))
    return amount, currency, direction, row_hash


@given(rows_of_any_kind)
def test_total_equals_python_sums(rows: list[Row]) -> None:
    """Sums beyond int64 are exact, rows with a null are unreadable, and every row counts once."""
    sums: dict[str, int] = {}
    for amount, currency, direction, _ in rows:
        if amount is not None and currency and direction:
            sums[f"{currency}/{direction}"] = sums.get(f"{currency}/{direction}", 0) + amount
    digest = [sum(int.from_bytes(row[3][8 * i : 8 * i + 8], "little") for row in rows) % WORD for i in range(4)]
    total = total_of_columns(*columns(rows))
    assert total.count == len(rows)
    assert total.unreadable == sum(None in row for row in rows)
    assert dict(total.amount_minor) == {key: value for key, value in sums.items() if value}
    assert list(total.digest) == digest


@given(rows_of_any_kind, st.integers(0, 40), st.randoms(use_true_random=False))
def test_total_does_not_depend_on_order_or_cuts(rows: list[Row], cut: int, random: object) -> None:
    """The totals of two parts, in another order, add up to the total of all."""
    whole = total_of_columns(*columns(rows))
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    parts = [total_of_columns(*columns(part)) for part in (shuffled[:cut], shuffled[cut:])]
    assert total_of(parts) == whole


def test_sums_beyond_64_bits_are_exact() -> None:
    """Four times the greatest int64 is not wrapped."""
    most = (1 << 63) - 1
    total = total_of_columns(*columns([(most, "EUR", "CRDT", bytes(32))] * 4))
    assert total.amount_minor == {"EUR/CRDT": 4 * most}


def test_a_doubled_row_does_not_hide_a_lost_one() -> None:
    """Rows a, a and a, b have equal counts and sums, and different digests."""
    a, b = ((5, "EUR", "CRDT", hashlib.sha256(name).digest()) for name in (b"a", b"b"))
    first, second = total_of_columns(*columns([a, a])), total_of_columns(*columns([a, b]))
    assert first.same_money(second)
    assert first != second


def test_slices_chunks_and_nothing() -> None:
    """A sliced or chunked column of hashes gives the digest of its own rows, no row the empty digest."""
    hashes = pa.array([hashlib.sha256(bytes([n])).digest() for n in range(5)], HASH)
    assert digest_of(hashes[2:4]) == digest_of(pa.chunked_array([hashes[2:3], hashes[3:4]]))
    assert digest_of(hashes[:0]) == NO_DIGEST
    assert total_of_columns(*columns([])) == Total()
