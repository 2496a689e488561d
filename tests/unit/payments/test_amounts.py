"""Amounts as text and as minor units: exact in both directions."""

from __future__ import annotations

import re
from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.amounts import (
    INT64_MAX,
    AmountProblem,
    minor_from_text,
    minor_of_text,
    text_from_minor,
    text_of_minor,
)

EXACT = Context(prec=200)
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
P = AmountProblem

digits = st.text("0123456789", max_size=25)
numbers = st.builds(
    lambda sign, whole, fraction: f"{sign}{whole}{fraction}",
    st.sampled_from(["", "", "+", "-"]),
    digits,
    st.one_of(st.just(""), digits.map(lambda fraction: f".{fraction}")),
)
texts = st.one_of(numbers, st.none(), st.text(max_size=8), st.text("0123456789.,+-eE xNan٣", max_size=8))
exponents = st.integers(0, 4)


def oracle(text: str | None, exponent: int) -> tuple[int, AmountProblem]:
    """The same by Decimal, one at a time."""
    if text is None or not text.strip():
        return 0, P.MISSING
    if not NUMBER.fullmatch(text):
        return 0, P.NOT_A_NUMBER
    scaled = EXACT.scaleb(Decimal(text), exponent)
    if scaled != scaled.to_integral_value():
        return 0, P.TOO_MANY_DECIMALS
    return (int(scaled), P.NONE) if abs(scaled) <= INT64_MAX else (0, P.OVERFLOW)


@given(st.lists(st.tuples(texts, exponents), max_size=30))
def test_reading_equals_decimal(rows: list[tuple[str | None, int]]) -> None:
    """Whatever the texts, the minor units and the problems are those that Decimal gives one by one."""
    amounts = minor_from_text(
        pa.array([text for text, _ in rows], pa.string()), np.array([exponent for _, exponent in rows], dtype=np.int8)
    )
    expected = [oracle(text, exponent) for text, exponent in rows]
    assert list(zip(amounts.minor.tolist(), amounts.problem.tolist(), strict=True)) == expected
    assert amounts.valid.tolist() == [problem == P.NONE for _, problem in expected]
    assert amounts.negative.tolist() == [minor < 0 for minor, _ in expected]


@given(st.lists(st.tuples(st.integers(-(1 << 63), INT64_MAX) | st.none(), exponents), max_size=30))
def test_writing_and_reading_give_the_same(rows: list[tuple[int | None, int]]) -> None:
    """Any int64 and any scale: the text is what Decimal writes, null stays null, and it reads back to the same number."""
    minor = pa.array([value for value, _ in rows], pa.int64())
    scale = np.array([exponent for _, exponent in rows], dtype=np.int8)
    text = text_from_minor(minor, scale).to_pylist()
    for (value, exponent), written in zip(rows, text, strict=True):
        if value is None:
            assert written is None
            continue
        assert written == f"{EXACT.scaleb(Decimal(value), -exponent):f}" == text_of_minor(value, exponent)
        if value != -(1 << 63):
            assert minor_of_text(written, exponent) == value


@pytest.mark.parametrize(
    "text", ["1e3", "12,34", ".5", "5.", "1 2", " 5", "5 ", "NaN", "0x1F", "--5", "1.2.3", "٣", "-", "1_000"]
)
def test_other_notations_are_no_numbers(text: str) -> None:
    """Exponents, commas, blanks, hexadecimal, other digits: unreadable, never guessed."""
    assert minor_from_text(pa.array([text]), np.array([2], np.int8)).problem.tolist() == [P.NOT_A_NUMBER]


@pytest.mark.parametrize(
    ("text", "exponent", "minor"),
    [
        ("5.0400", 2, 504),
        ("72.5400", 2, 7254),
        ("100.000", 0, 100),
        ("-0.00", 2, 0),
        ("92233720368547758.07", 2, INT64_MAX),
        ("000000000000000000000000012.5", 3, 12500),
        ("1." + "0" * 5000, 2, 100),
    ],
)
def test_zeros_change_nothing(text: str, exponent: int, minor: int) -> None:
    """Zeros beyond the currency's decimals, leading zeros and very long texts are the same amount."""
    assert minor_of_text(text, exponent) == minor


@pytest.mark.parametrize(
    ("text", "exponent", "problem"),
    [
        ("100.5", 0, P.TOO_MANY_DECIMALS),
        ("1.2345", 3, P.TOO_MANY_DECIMALS),
        ("0.00000000000000000000001", 2, P.TOO_MANY_DECIMALS),
        ("92233720368547758.08", 2, P.OVERFLOW),
        ("999999999999999999", 2, P.OVERFLOW),
        ("9" * 5000, 2, P.OVERFLOW),
        ("5", -1, P.UNKNOWN_UNIT),
        ("5x", -1, P.NOT_A_NUMBER),
        ("  ", 2, P.MISSING),
    ],
)
def test_what_does_not_fit_is_said(text: str, exponent: int, problem: AmountProblem) -> None:
    """Too many decimals, more than int64, no known unit: each has its own problem and the value 0."""
    amounts = minor_from_text(pa.array([text]), np.array([exponent], np.int8))
    assert (amounts.problem.tolist(), amounts.minor.tolist(), amounts.valid.tolist()) == ([problem], [0], [False])


def test_chunked_and_sliced_columns_are_read() -> None:
    """Columns of several chunks, slices, and empty columns are read like any other."""
    column = pa.chunked_array([["9", "1.5"], ["2"]])
    assert minor_from_text(column, np.full(3, 2, np.int8)).minor.tolist() == [900, 150, 200]
    assert minor_from_text(pa.array(["x", "3"])[1:], np.full(1, 2, np.int8)).minor.tolist() == [300]
    assert minor_from_text(pa.array([], pa.string()), np.array([], np.int8)).minor.tolist() == []
    assert text_from_minor(pa.array([7, 8, 9])[1:], np.array([0, 2], np.int8)).to_pylist() == ["8", "0.09"]
    assert text_from_minor(pa.array([7, None, 9])[1:], np.array([2, 2], np.int8)).to_pylist() == [None, "0.09"]
    assert text_from_minor(pa.array([], pa.int64()), np.array([], np.int8)).to_pylist() == []


def test_a_scale_beyond_what_arrow_writes_plainly_is_refused() -> None:
    """Seven decimals would be written with an exponent: refused, not written."""
    with pytest.raises(ValueError, match="scale 7"):
        text_from_minor(pa.array([1]), np.array([7], np.int8))
