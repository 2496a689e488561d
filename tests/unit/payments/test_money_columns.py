"""Reading amount, currency and direction of raw rows by the source's configuration."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from payments.amounts import AmountProblem
from payments.config import SourceSection
from payments.errors import WrongConfiguration
from payments.money_columns import MoneyColumns, read_money

P = AmountProblem
COLUMNS = {"amount": "AMT", "currency": "CCY", "direction": "DRCR"}


def source(**changes: Any) -> SourceSection:
    fixed = {"name": "legacy", "url": "sqlite:x", "table": "T", "primary_key": ["ID"], "watermark": "W"}
    return msgspec.convert({**fixed, "columns": COLUMNS, **changes}, SourceSection)


def money(amounts: Any, currencies: Any = "EUR", directions: Any = "CRDT", **changes: Any) -> MoneyColumns:
    amounts = amounts if isinstance(amounts, pa.Array) else pa.array(amounts, pa.string())
    count = len(amounts)
    others = [values if isinstance(values, list) else [values] * count for values in (currencies, directions)]
    raw = pa.table({"AMT": amounts, "CCY": pa.array(others[0], pa.string()), "DRCR": pa.array(others[1], pa.string())})
    return read_money(raw, source(**changes))


def test_currency_is_folded_and_checked() -> None:
    """Outer blanks and case do not matter; what ISO 4217 does not hold is null and its amount unreadable."""
    read = money(["1"] * 6, ["EUR", " eur ", "Jpy", "EUX", "", None])
    assert read.currency.to_pylist() == ["EUR", "EUR", "JPY", None, None, None]
    assert read.amount_minor.to_pylist() == [100, 100, 1, None, None, None]
    assert read.minor_unit.tolist() == [2, 2, 0, -1, -1, -1]
    assert read.amount_problem.tolist() == [0, 0, 0, P.UNKNOWN_UNIT, P.UNKNOWN_UNIT, P.UNKNOWN_UNIT]


def test_codes_of_the_source_are_translated() -> None:
    """`values` is tried exactly, then without blanks and case; what is not in it must be ours already."""
    values = {"currency": {"978": "EUR"}, "direction": {"C": "CRDT", "Dr": "DBIT", "x": "SOON"}}
    read = money(["1"] * 7, ["978"] * 7, ["C", "c ", "DR", "crdt", "X", "?", None], values=values)
    assert read.currency.to_pylist() == ["EUR"] * 7
    assert read.direction.to_pylist() == ["CRDT", "CRDT", "DBIT", "CRDT", None, None, None]
    assert read.direction_given.tolist() == [True] * 6 + [False]


def test_an_exact_code_goes_before_a_folded_one() -> None:
    """Where a source tells `c` from `C`, so do we."""
    read = money(["1", "1"], directions=["c", "C"], values={"direction": {"C": "CRDT", "c": "DBIT"}})
    assert read.direction.to_pylist() == ["DBIT", "CRDT"]


def test_constants_fill_columns_that_are_not_mapped() -> None:
    """A source of one currency and direction names them as constants."""
    raw = pa.table({"AMT": ["1.50"]})
    read = read_money(raw, source(columns={"amount": "AMT"}, constants={"currency": "eur", "direction": "DBIT"}))
    assert (read.amount_minor[0].as_py(), read.currency[0].as_py(), read.direction[0].as_py()) == (150, "EUR", "DBIT")


def test_minor_units_are_taken_as_they_are() -> None:
    """With amount_in = minor the text is minor units, and a fraction of one is refused."""
    read = money(["5200", "5200.0", "52.5"], amount_in="minor")
    assert read.amount_minor.to_pylist() == [5200, 5200, None]
    assert read.amount_problem[2] == P.TOO_MANY_DECIMALS


def test_negative_is_unreadable_without_a_sign_rule() -> None:
    """sign = none: a negative amount is a problem of its own; minus zero is zero."""
    read = money(["-5", "-0.00"])
    assert read.amount_minor.to_pylist() == [None, 0]
    assert read.amount_problem.tolist() == [P.NEGATIVE, P.NONE]


@pytest.mark.parametrize(
    ("sign", "minus", "plus"), [("negative_is_debit", "DBIT", "CRDT"), ("negative_is_credit", "CRDT", "DBIT")]
)
def test_the_sign_gives_the_direction(sign: str, minus: str, plus: str) -> None:
    """Without a direction column the sign says it, zero counts as positive, and the amount loses its sign."""
    raw = pa.table({"AMT": ["-5", "5", "0", "x"]})
    read = read_money(raw, source(columns={"amount": "AMT"}, constants={"currency": "EUR"}, sign=sign))
    assert read.amount_minor.to_pylist() == [500, 500, 0, None]
    assert read.direction.to_pylist() == [minus, plus, plus, None]


def test_sign_and_direction_must_agree() -> None:
    """Where both speak and contradict each other the direction is null; a zero contradicts nothing."""
    read = money(
        ["-5", "5", "-5", "5", "0", "x"],
        directions=["DBIT", "CRDT", "CRDT", "DBIT", "DBIT", "DBIT"],
        sign="negative_is_debit",
    )
    assert read.direction.to_pylist() == ["DBIT", "CRDT", None, None, "DBIT", "DBIT"]


def test_exact_types_are_read_as_they_are() -> None:
    """Integers and decimals of any scale need no text, and blanks around text do not matter."""
    decimals = pa.array([Decimal("12.3400000000"), Decimal("0E-10"), Decimal("0.0000000001")], pa.decimal128(38, 10))
    read = money(decimals)
    assert read.amount_minor.to_pylist() == [1234, 0, None]
    assert read.amount_problem[2] == P.TOO_MANY_DECIMALS
    assert money(pa.array([5, None], pa.int64())).amount_minor.to_pylist() == [500, None]
    assert money([" 5.00 ", "\t"]).amount_minor.to_pylist() == [500, None]


@pytest.mark.parametrize(
    ("raw", "changes", "message"),
    [
        ({"AMT": [1.5]}, {}, "not exact"),
        ({"X": ["1"]}, {}, "columns.amount names 'AMT'"),
        ({"AMT": ["1"]}, {"columns": {"amount": "AMT"}}, "columns.currency nor constants.currency"),
        ({"AMT": ["1"], "CCY": ["EUR"]}, {"columns": {"amount": "AMT", "currency": "CCY"}}, "constants.direction"),
        ({"CCY": ["EUR"]}, {"columns": {"currency": "CCY"}}, "constants.amount"),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(raw: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    """A floating-point amount, a missing column, and money that is not mapped at all are errors of the configuration."""
    raw = {"CCY": ["EUR"], "DRCR": ["CRDT"], **raw} if not changes else raw
    with pytest.raises(WrongConfiguration, match=message):
        read_money(pa.table(raw), source(**changes))
