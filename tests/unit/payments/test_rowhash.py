"""Identity of raw rows: equal rows have equal hashes, and no two different rows do."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.config import SourceSection
from payments.errors import WrongConfiguration
from payments.keys import payment_id
from payments.rowhash import hash_rows, key_values, primary_key_text, row_identity
from payments.source_columns import canonical_text

hostile = st.one_of(st.none(), st.text("\x1d\x1e\x1f012a", max_size=4), st.text(max_size=4))


def source(*primary_key: str, **changes: Any) -> SourceSection:
    fixed = {"name": "legacy", "url": "sqlite:x", "table": "T", "watermark": "W", "columns": {}}
    return msgspec.convert({**fixed, "primary_key": list(primary_key), **changes}, SourceSection)


def table(rows: list[tuple[str | None, ...]], names: str = "abc") -> pa.Table:
    return pa.table({name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(names)})


@given(st.lists(st.tuples(hostile, hostile, hostile), min_size=1, max_size=30))
def test_hashes_are_equal_exactly_where_rows_are(rows: list[tuple[str | None, ...]]) -> None:
    """Nulls, empty texts and the separating characters themselves never make two different rows one."""
    _, hashes = row_identity(table(rows), source("a"))
    by_row = dict(zip(rows, hashes.to_pylist(), strict=True))
    assert len(set(by_row.values())) == len(by_row)
    assert [by_row[row] for row in rows] == hashes.to_pylist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a\x1fb", "c", "d"), ("a", "b\x1fc", "d")),
        ((None, "", ""), ("\x1e2", "", "")),
        (("\x1f", "", ""), ("\x1e1", "", "")),
        (("\x1e", "", ""), ("\x1e0", "", "")),
        ((None, "", ""), ("", None, "")),
    ],
)
def test_rows_that_look_alike_when_joined_differ(one: tuple[str | None, ...], other: tuple[str | None, ...]) -> None:
    """Values that hold the separator, the escape or what null is written as never stand for another row or key."""
    _, hashes = row_identity(table([one, other]), source("a", "b", "c"))
    assert hashes[0] != hashes[1]
    keys = primary_key_text(table([one, other]), source("a", "b", "c"))
    assert keys[0] != keys[1]


@given(st.lists(st.tuples(hostile, hostile, hostile), min_size=1, max_size=30), st.integers(0, 30))
def test_a_hash_does_not_depend_on_the_neighbours(rows: list[tuple[str | None, ...]], cut: int) -> None:
    """A row has the same hash and payment_id in whichever chunk it stands."""
    ids, hashes = row_identity(table(rows), source("a", "b"))
    parts = [row_identity(table(part), source("a", "b")) for part in (rows[:cut], rows[cut:])]
    assert parts[0][0] + parts[1][0] == ids
    assert parts[0][1].to_pylist() + parts[1][1].to_pylist() == hashes.to_pylist()


@given(st.lists(st.tuples(hostile, hostile), min_size=1, max_size=30))
def test_different_keys_are_different_payments(keys: list[tuple[str | None, ...]]) -> None:
    """Composite keys never join to one text: ('a', 'b c') is not ('a b', 'c'), and null is not empty."""
    texts = primary_key_text(table(keys, "ab"), source("a", "b")).to_pylist()
    assert len(set(texts)) == len(set(keys))


@given(
    st.lists(st.tuples(*[st.none() | st.text(st.sampled_from("a\x1e\x1f012"), max_size=4)] * 2), min_size=1, max_size=6)
)
def test_the_values_of_a_key_come_back_from_its_text(rows: list[tuple[str | None, ...]]) -> None:
    """Whatever characters and nulls they hold, also those by which they are joined."""
    texts = primary_key_text(table(rows, "ab"), source("a", "b")).to_pylist()
    assert [tuple(key_values(text)) for text in texts] == rows


def test_payment_ids_are_those_of_keys() -> None:
    """The payment_id is the one of payments.keys over source, table and the key columns joined with U+001F."""
    ids, _ = row_identity(table([("7", "x", None)]), source("a", "b"))
    assert ids == [payment_id("legacy", "T", "7\x1fx")]
    ids, _ = row_identity(table([("7", "x", None)]), source("a"))
    assert ids == [payment_id("legacy", "T", "7")]


def test_the_hash_covers_source_table_and_column_names() -> None:
    """The same values of another source, another table or under other names have another hash."""
    rows = table([("1", "2", "3")])
    variants = [
        row_identity(rows, source("a"))[1],
        row_identity(rows, source("a", name="other"))[1],
        row_identity(rows, source("a", table="U"))[1],
        row_identity(rows.rename_columns(["a", "c", "b"]), source("a"))[1],
    ]
    assert len({each[0].as_py() for each in variants}) == 4


def test_columns_that_extract_adds_are_left_out() -> None:
    """The hash of a stored raw row can be computed again from the stored row."""
    raw = table([("1", "2", "3"), ("4", None, "")])
    ids, hashes = row_identity(raw, source("a"))
    stored = raw.append_column("_payment_id", pa.array(ids)).append_column("_row_hash", hashes)
    assert row_identity(stored, source("a")) == (ids, hashes)


def test_no_rows_and_no_key_column() -> None:
    """An empty table has no hashes; a key column that is not there is an error of the configuration."""
    ids, hashes = row_identity(table([]), source("a"))
    assert (ids, len(hashes)) == ([], 0)
    with pytest.raises(WrongConfiguration, match="primary_key names 'ID'"):
        row_identity(table([("1", "2", "3")]), source("ID"))


def test_sliced_columns_are_hashed_as_such() -> None:
    """A slice of a column gives the hashes of its own rows."""
    values = pa.array(["a", "b", None, "d"])
    assert hash_rows([values[1:3]], meaning=["m"]).to_pylist() == hash_rows([values], meaning=["m"]).to_pylist()[1:3]


@pytest.mark.parametrize(
    ("values", "kind", "text"),
    [
        ([Decimal("0.0000000010"), None], pa.decimal128(38, 10), ["0.0000000010", None]),
        ([Decimal("5.00")], pa.decimal128(10, 2), ["5.00"]),
        ([date(2026, 3, 2)], pa.date32(), ["2026-03-02"]),
        ([datetime(2026, 3, 2, 6, tzinfo=UTC)], pa.timestamp("us", "UTC"), ["2026-03-02 06:00:00.000000Z"]),
        ([datetime(2026, 3, 2, 6)], pa.timestamp("s"), ["2026-03-02 06:00:00.000000"]),  # noqa: DTZ001
        ([7, None], pa.int64(), ["7", None]),
        (["x"], pa.large_string(), ["x"]),
        ([b"\x00\xff"], pa.binary(), ["0x00ff"]),
        ([True], pa.bool_(), ["true"]),
    ],
)
def test_every_type_has_one_plain_text(values: list[Any], kind: pa.DataType, text: list[str | None]) -> None:
    """Numbers are never written with an exponent, times are UTC and say so, null stays null."""
    assert canonical_text(pa.chunked_array([pa.array(values, kind)])).to_pylist() == text
