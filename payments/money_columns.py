"""Amount, currency and direction of raw rows as the source's configuration reads them.

The extractors use it for the control totals of what was extracted, curation for what it passes on and what it refuses: the
two sums are made apart, from the same reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from payments.amounts import AmountProblem, Amounts, minor_from_text
from payments.config import SourceSection
from payments.currencies import MINOR_UNITS
from payments.errors import WrongConfiguration
from payments.source_columns import canonical_text, code_from, given_text, source_column, translated

DIRECTIONS = frozenset({"CRDT", "DBIT"})
OTHER_DIRECTION = {"CRDT": "DBIT", "DBIT": "CRDT"}


@dataclass(frozen=True, slots=True)
class MoneyColumns:
    """One entry per row; null where it cannot be read exactly. `amount_minor` is never negative.

    `amount_minor` is int64, the others are string. `amount_problem` holds AmountProblem values, `minor_unit` is -1 where the
    currency is null. `direction_given` is false where the source gave nothing that a direction could be read from.
    """

    amount_minor: pa.Array
    currency: pa.Array
    direction: pa.Array
    amount_text: pa.Array
    minor_unit: npt.NDArray[np.int8]
    amount_problem: npt.NDArray[np.uint8]
    direction_given: npt.NDArray[np.bool_]


def read_money(raw: pa.Table, source: SourceSection) -> MoneyColumns:
    """Read the money of n raw rows. Raises WrongConfiguration when amount, currency or direction are not mapped.

    Currency: translated by `values.currency`, without outer blanks, in upper case, of ISO 4217, else null. Direction: see
    `_directions`. Amount: outer blanks are dropped; a negative one is unreadable unless `sign` says what it means.
    """
    currency = _currencies(raw, source)
    minor_unit = _minor_units(currency)
    amount_text = _amount_texts(raw, source)
    exponent = minor_unit if source.amount_in == "major" else np.zeros(len(raw), dtype=np.int8)
    amounts = minor_from_text(pc.utf8_trim_whitespace(amount_text), exponent)
    problem = amounts.problem.copy()
    if source.sign == "none":
        problem[amounts.negative] = AmountProblem.NEGATIVE
    direction, given = _directions(raw, source, amounts)
    readable = problem == AmountProblem.NONE
    amount_minor = pa.array(np.abs(amounts.minor), pa.int64(), mask=~readable)
    return MoneyColumns(amount_minor, currency, direction, amount_text, minor_unit, problem, given)


def _required(raw: pa.Table, source: SourceSection, name: str) -> pa.Array:
    given = given_text(raw, source, name)
    if given is None:
        raise WrongConfiguration(f"source {source.name}: neither columns.{name} nor constants.{name} is set")
    return given


def _amount_texts(raw: pa.Table, source: SourceSection) -> pa.Array:
    column = source_column(raw, source, "amount")
    if column is not None and pa.types.is_floating(column.type):
        raise WrongConfiguration(
            f"source {source.name}: columns.amount names a column of type {column.type}, which is not exact",
            next_step="Give the source a view in which the amount is DECIMAL, an integer or text.",
        )
    return canonical_text(column) if column is not None else _required(raw, source, "amount")


def _currencies(raw: pa.Table, source: SourceSection) -> pa.Array:
    codes = source.values.get("currency", {})

    def iso_code(given: str) -> str | None:
        code = code_from(codes, given)
        return code if code in MINOR_UNITS else None

    return translated(_required(raw, source, "currency"), iso_code)


def _minor_units(currency: pa.Array) -> npt.NDArray[np.int8]:
    coded = currency.dictionary_encode()
    units = np.array([MINOR_UNITS.get(code, -1) for code in coded.dictionary.to_pylist()] + [-1], dtype=np.int8)
    # A null has no index: it takes the last entry.
    indices = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    found: npt.NDArray[np.int8] = units[indices]
    return found


def _directions(raw: pa.Table, source: SourceSection, amounts: Amounts) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """CRDT or DBIT by `values.direction`, by the sign of the amount, or by both: then they must agree, else null.

    Where only the sign speaks, a zero counts as positive.
    """
    given = given_text(raw, source, "direction")
    codes = source.values.get("direction", {})

    def of_code(text: str) -> str | None:
        direction = code_from(codes, text)
        return direction if direction in DIRECTIONS else None

    stated = None if given is None else translated(given, of_code)
    blank = np.zeros(len(raw), dtype=bool)
    if given is not None:
        blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(given), ""), True).to_numpy(zero_copy_only=False)
    if source.sign == "none":
        return (stated if stated is not None else _required(raw, source, "direction")), ~blank
    negative_means = "DBIT" if source.sign == "negative_is_debit" else "CRDT"
    by_sign = pc.if_else(pa.array(amounts.negative), negative_means, OTHER_DIRECTION[negative_means])
    by_sign = pc.if_else(pa.array(amounts.valid), by_sign, pa.scalar(None, pa.string()))
    if stated is None:
        return by_sign, amounts.valid
    agrees = pc.or_kleene(pc.equal(stated, by_sign), pa.array(amounts.minor == 0))
    return pc.if_else(agrees, stated, pa.scalar(None, pa.string())), ~blank
