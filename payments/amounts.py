"""Amounts between text in major units and int64 minor units: exact in both directions, many rows at a time, never a float.

A number is an optional sign, digits, and optionally a point followed by digits. Anything else (`1e3`, `12,34`, `.5`, `5.`,
`0x1F`, `NaN`, digits of other scripts, blanks anywhere) is not a number. Zeros beyond the currency's decimals change nothing:
`5.0400` EUR is 504.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from payments.currencies import text_of_minor as text_of_minor  # noqa: PLC0414  (the scalar one, beside its kin)

INT64_MAX = (1 << 63) - 1
FAST_DIGITS_MAX = 18  # any 18 digits fit int64
POWERS = np.array([10**exponent for exponent in range(19)], dtype=np.int64)

Int8s = npt.NDArray[np.int8]
Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class AmountProblem(IntEnum):
    """Why an amount cannot be read exactly; NONE where it can."""

    NONE = 0
    MISSING = 1  # null, empty or blanks only: AM12
    NOT_A_NUMBER = 2  # AM12
    TOO_MANY_DECIMALS = 3  # more than the currency has: CH20
    OVERFLOW = 4  # above int64 in minor units: AM12
    UNKNOWN_UNIT = 5  # a number, but of no known currency: AM11 belongs to the currency
    NEGATIVE = 6  # only where the source's amounts carry no sign: AM12


@dataclass(frozen=True, slots=True)
class Amounts:
    """One entry per row. `minor` is signed and 0 where `valid` is false; `problem` holds AmountProblem values."""

    minor: Int64s
    valid: Bools
    problem: npt.NDArray[np.uint8]

    @property
    def negative(self) -> Bools:
        negative: Bools = self.minor < 0
        return negative


def minor_from_text(text: pa.Array | pa.ChunkedArray, exponent: Int8s) -> Amounts:
    """Read n texts (string) as minor units, with `exponent[i]` decimals in row i; a negative exponent means unknown."""
    given = pc.fill_null(pc.cast(_one_array(text), pa.string()), "")
    signed = pc.or_(pc.starts_with(given, "-"), pc.starts_with(given, "+"))
    unsigned = pc.if_else(signed, pc.utf8_slice_codeunits(given, 1), given) if pc.any(signed).as_py() else given
    digits = pc.replace_substring(unsigned, ".", "", max_replacements=1)
    point = _numpy(pc.find_substring(unsigned, "."))
    length = _numpy(pc.binary_length(unsigned))
    decimals = np.where(point < 0, 0, length - point - 1)
    is_number = _numpy(pc.ascii_is_decimal(digits)) & (point != 0) & (point != length - 1)

    problem = np.zeros(len(length), dtype=np.uint8)
    problem[~is_number] = AmountProblem.NOT_A_NUMBER
    problem[_numpy(pc.equal(pc.utf8_trim_whitespace(given), ""))] = AmountProblem.MISSING
    problem[is_number & (exponent < 0)] = AmountProblem.UNKNOWN_UNIT
    readable = problem == AmountProblem.NONE
    fast = readable & (length <= FAST_DIGITS_MAX)
    minor = _scaled(digits, fast, exponent.astype(np.int64) - decimals, problem)
    for row in np.flatnonzero(readable & ~fast).tolist():
        minor[row], problem[row] = _read_long(unsigned[row].as_py(), int(exponent[row]))
    valid = problem == AmountProblem.NONE
    minus = _numpy(pc.starts_with(given, "-"))
    minor = np.where(valid, np.where(minus, -minor, minor), 0)
    return Amounts(minor, valid, problem)


def _scaled(digits: pa.Array, fast: Bools, shift: Int64s, problem: npt.NDArray[np.uint8]) -> Int64s:
    """`digits` times ten to the power of `shift` where `fast`; marks what does not fit or does not divide."""
    number: Int64s = _numpy(pc.cast(pc.if_else(pa.array(fast), digits, "0"), pa.int64()))
    up = POWERS[np.clip(shift, 0, FAST_DIGITS_MAX)]
    down = POWERS[np.clip(-shift, 0, FAST_DIGITS_MAX)]
    overflows = fast & (number > INT64_MAX // up)
    indivisible = fast & (number % down != 0)
    problem[overflows] = AmountProblem.OVERFLOW
    problem[indivisible] = AmountProblem.TOO_MANY_DECIMALS
    scaled: Int64s = np.where(overflows, 0, number) * up // down
    return scaled


def _read_long(unsigned: str, exponent: int) -> tuple[int, AmountProblem]:
    """The same for one number of more than 18 characters, of any length."""
    whole, _, fraction = unsigned.partition(".")
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    if len(fraction) > exponent:
        return 0, AmountProblem.TOO_MANY_DECIMALS
    if len(whole) > FAST_DIGITS_MAX + 1:
        return 0, AmountProblem.OVERFLOW
    minor = int(f"0{whole}{fraction.ljust(exponent, '0')}")
    return (minor, AmountProblem.NONE) if minor <= INT64_MAX else (0, AmountProblem.OVERFLOW)


def text_from_minor(minor: pa.Array | pa.ChunkedArray, exponent: Int8s) -> pa.Array:
    """Write int64 minor units in major units with exactly `exponent[i]` decimals (`5.04`, `-0.05`); null stays null.

    An exponent is 0 to 6; all known currencies have 0 to 4.
    """
    values = _one_array(minor)
    if len(values) == 0:
        return pa.array([], pa.string())
    present = np.unique(exponent)
    if len(present) == 1:
        return _text_of_scale(values, int(present[0]))
    # One pass per scale, then every row is taken back to its place.
    order = np.argsort(exponent, kind="stable")
    parts = [_text_of_scale(values.take(np.flatnonzero(exponent == scale)), int(scale)) for scale in present]
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return pa.concat_arrays(parts).take(back)


def _text_of_scale(minor: pa.Array, scale: int) -> pa.Array:
    """The int64 values seen as decimal128 of this scale (a low and a high word each), which Arrow writes exactly."""
    if not 0 <= scale <= 6:  # beyond 6 decimals Arrow writes small numbers with an exponent
        raise ValueError(f"scale {scale} is not between 0 and 6")
    low = _numpy(pc.fill_null(minor, 0))
    words = np.stack([low, low >> 63], axis=1)
    mask = None if minor.null_count == 0 else pc.is_valid(minor).buffers()[1]
    kind = pa.decimal128(38, scale)
    decimals = pa.Array.from_buffers(kind, len(minor), [mask, pa.py_buffer(np.ascontiguousarray(words))])
    return pc.cast(decimals, pa.string())


def minor_of_text(text: str, exponent: int) -> int | None:
    """One amount as minor units; None where it cannot be read exactly."""
    amounts = minor_from_text(pa.array([text], pa.string()), np.array([exponent], dtype=np.int8))
    return int(amounts.minor[0]) if amounts.valid[0] else None


def _one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _numpy(array: pa.Array) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return found
