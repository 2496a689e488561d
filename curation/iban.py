"""Check IBANs, 100,000 in a few milliseconds: country, length, structure of the BBAN, and the check digits (ISO 13616, mod 97).

All values are seen as one matrix of 34 bytes a row, padded with blanks. Structure: the kind of each byte against the kinds
that the country allows at that place. Check digits: the remainder of a number is found character by character; a table holds, for
each pair of characters and each remainder so far, the next remainder. Pairs are walked in the order 2..16, 0, 1: that is
the rotation by four characters which ISO 13616 asks for, without moving a byte.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.iban_countries import BBAN_STRUCTURES, IBAN_LENGTH_MAX, bban_kinds

BLOCK_ROWS = 4096  # one block and both tables stay in the processor's cache
PAD = ord(" ")
MODULUS = 97
PAIR_ORDER = (*range(2, IBAN_LENGTH_MAX // 2), 0, 1)
DIGIT, LETTER, END = 1, 2, 4
ALLOWED = {"n": DIGIT, "a": LETTER, "c": DIGIT | LETTER}

Bytes = npt.NDArray[np.uint8]


class IbanFault(IntEnum):
    """The first thing that is wrong with an IBAN; NONE where nothing is."""

    NONE = 0
    COUNTRY = 1
    LENGTH = 2
    STRUCTURE = 3
    CHECK_DIGITS = 4


def canonical_account(text: pa.Array) -> pa.Array:
    """IBANs as they are stored: without blanks (paper form groups them by four), in capital letters."""
    return pc.ascii_upper(pc.replace_substring(text, " ", ""))


def iban_faults(text: pa.Array) -> Bytes:
    """IbanFault values for n IBANs in canonical form (string); a null has the fault COUNTRY.

    The check digits 00, 01 and 99 are wrong even where the remainder fits: the standard's formula gives 02 to 98.
    """
    lengths = _numpy(pc.fill_null(pc.binary_length(text), 0))
    places = _byte_places(text, lengths)
    country = _countries()[places[:, 0], places[:, 1]]
    expected_lengths, allowed = _formats()
    faults = np.zeros(len(lengths), dtype=np.uint8)
    faults[~_in_blocks(_check_digits_hold, places)] = IbanFault.CHECK_DIGITS
    faults[~_in_blocks(_structure_holds(allowed), places, country)] = IbanFault.STRUCTURE
    faults[lengths != expected_lengths[country]] = IbanFault.LENGTH
    faults[country == len(BBAN_STRUCTURES)] = IbanFault.COUNTRY
    return faults


def mod97_holds(text: pa.Array) -> npt.NDArray[np.bool_]:
    """Whether check digits at places 3 and 4 fit (ISO 7064 mod 97-10), for n texts of capital letters and digits."""
    return _in_blocks(_check_digits_hold, _byte_places(text, _numpy(pc.fill_null(pc.binary_length(text), 0))))


def _byte_places(text: pa.Array, lengths: npt.NDArray[Any]) -> Bytes:
    """(n, 34) bytes; null and what is longer become blanks only."""
    fits = pa.array(lengths <= IBAN_LENGTH_MAX)
    padded = pc.ascii_rpad(pc.if_else(fits, pc.fill_null(text, ""), ""), IBAN_LENGTH_MAX, padding=" ")
    start = np.frombuffer(padded.buffers()[1], dtype=np.int32)[padded.offset] if len(padded) else 0
    flat = np.frombuffer(padded.buffers()[2] or b"", dtype=np.uint8)
    return flat[start : start + len(padded) * IBAN_LENGTH_MAX].reshape(-1, IBAN_LENGTH_MAX)


def _in_blocks(check: Any, *columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    rows = len(columns[0])
    found = np.empty(rows, dtype=bool)
    for start in range(0, rows, BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        found[block] = check(*(column[block] for column in columns))
    return found


def _check_digits_hold(places: Bytes) -> npt.NDArray[np.bool_]:
    classes, steps = _remainder_tables()
    pairs = classes[places.view(np.uint16).T]
    remainder = np.zeros(len(places), dtype=np.int32)
    for pair in PAIR_ORDER:
        remainder = steps[pairs[pair] + remainder]
    tens, ones = places[:, 2] - ord("0"), places[:, 3] - ord("0")  # unsigned: what is below "0" becomes large
    checks = tens * np.int16(10) + ones
    holds: npt.NDArray[np.bool_] = (remainder == 1) & (tens <= 9) & (ones <= 9) & (checks >= 2) & (checks <= 98)
    return holds


def _structure_holds(allowed: Bytes) -> Any:
    kinds = _byte_kinds()

    def holds(places: Bytes, country: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
        matches: npt.NDArray[np.bool_] = ((kinds[places] & allowed[country]) != 0).all(axis=1)
        return matches

    return holds


@cache
def _byte_kinds() -> Bytes:
    kinds = np.zeros(256, dtype=np.uint8)
    kinds[ord("0") : ord("9") + 1] = DIGIT
    kinds[ord("A") : ord("Z") + 1] = LETTER
    kinds[PAD] = END
    return kinds


@cache
def _countries() -> npt.NDArray[np.int16]:
    """(256, 256): two bytes -> number of the country; the last number stands for none."""
    numbers = np.full((256, 256), len(BBAN_STRUCTURES), dtype=np.int16)
    for number, code in enumerate(BBAN_STRUCTURES):
        numbers[ord(code[0]), ord(code[1])] = number
    return numbers


@cache
def _formats() -> tuple[npt.NDArray[np.int64], Bytes]:
    """Per country the length and (34) the kinds allowed at each place; the last row stands for no country."""
    lengths = np.full(len(BBAN_STRUCTURES) + 1, -1, dtype=np.int64)
    allowed = np.full((len(lengths), IBAN_LENGTH_MAX), END, dtype=np.uint8)
    for number, structure in enumerate(BBAN_STRUCTURES.values()):
        kinds = "aann" + bban_kinds(structure)
        lengths[number] = len(kinds)
        allowed[number, : len(kinds)] = [ALLOWED[kind] for kind in kinds]
    return lengths, allowed


@cache
def _remainder_tables() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """classes: two bytes -> 97 * number of (factor, addend); steps: that plus a remainder -> the next remainder."""
    factors, addends = np.ones(256, dtype=np.int64), np.zeros(256, dtype=np.int64)
    for value, character in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        factors[ord(character)], addends[ord(character)] = (10 if value < 10 else 100), value
    first, second = np.arange(1 << 16) & 255, np.arange(1 << 16) >> 8  # as a little-endian machine sees two bytes
    factor = factors[first] * factors[second] % MODULUS
    addend = (addends[first] * factors[second] + addends[second]) % MODULUS
    distinct, number = np.unique(factor * MODULUS + addend, return_inverse=True)
    steps = (distinct[:, None] // MODULUS * np.arange(MODULUS) + distinct[:, None] % MODULUS) % MODULUS
    return (number * MODULUS).astype(np.int32), steps.astype(np.int32).ravel()


def _numpy(array: pa.Array) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return found
