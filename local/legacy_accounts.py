"""The sample's banks and accounts: invented banks with test BICs, and account numbers that are valid IBANs (ISO 13616).

Each bank holds the fixed start of its national account number; the rest is digits, so that many IBANs are made at once with
integer arithmetic. National check digits inside the account number are not kept up: only length, structure and mod 97 are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MODULUS = 97


@dataclass(frozen=True, slots=True)
class Bank:
    """One bank: `start` opens every account number at it, `digits` more follow."""

    country: str
    start: str
    digits: int
    bic: str
    name: str


STRUCTURES: dict[str, tuple[str, int]] = {
    "DE": ("50{number:06d}", 10),
    "AT": ("{number:05d}", 11),
    "BE": ("{number:03d}", 9),
    "ES": ("21{number:06d}", 12),
    "FI": ("5{number:05d}", 8),
    "FR": ("30{number:08d}", 13),
    "GB": ("TQ{letter}X{number:06d}", 8),
    "IE": ("TQ{letter}X{number:06d}", 8),
    "IT": ("X{number:010d}", 12),
    "LU": ("{number:03d}", 13),
    "NL": ("TQ{letter}X", 10),
    "PT": ("00{number:06d}", 13),
}
"""Country -> the bank's part of the account number and how many digits follow: structures of the IBAN registry."""

WEIGHTS = {"DE": 6, "FR": 3, "NL": 3, "ES": 2, "IT": 2, "AT": 2, "GB": 2}
"""How often a country appears among the parties; the others once."""


def _banks() -> Iterator[Bank]:
    for country, (pattern, digits) in STRUCTURES.items():
        for ordinal, letter in enumerate("ABC"):
            start = pattern.format(letter=letter, number=107 * (ordinal + 1))
            # ISO 9362: a zero as the eighth character marks a BIC that is for tests only.
            bic = f"TQ{letter}X{country}{ordinal + 2}0" + ("" if ordinal else "XXX")
            yield Bank(country, start, digits, bic, f"Sample Bank {letter} {country}")


BANKS: tuple[Bank, ...] = tuple(_banks())


def bank_of(iban: str) -> Bank:
    """The sample's bank that an IBAN of the sample belongs to."""
    return next(bank for bank in BANKS if iban[:2] == bank.country and iban[4:].startswith(bank.start))


def ibans(bank: Bank, numbers: Iterable[int]) -> list[str]:
    """IBANs at a bank; each number must be below 10 to the power of the bank's `digits`."""
    serial: NDArray[np.int64] = np.fromiter(numbers, dtype=np.int64)
    head = int(_as_digits(bank.start) or "0") % MODULUS
    # account number, then country and "00" as digits: six more places
    account = head * pow(10, bank.digits, MODULUS) + serial % MODULUS
    tail = int(_as_digits(bank.country) + "00")
    check = 98 - (account * pow(10, 6, MODULUS) + tail) % MODULUS
    body = f"{bank.start}{{:0{bank.digits}d}}"
    pairs = zip(check.tolist(), serial.tolist(), strict=True)
    return [f"{bank.country}{digits:02d}" + body.format(number) for digits, number in pairs]


def with_wrong_check(iban: str) -> str:
    """The same account with check digits that cannot be right: exactly one pair from 02 to 98 is."""
    check = int(iban[2:4])
    return f"{iban[:2]}{check + 1 if check < 98 else 2:02d}{iban[4:]}"


def _as_digits(text: str) -> str:
    """Letters as ISO 13616 counts them: A is 10, Z is 35."""
    return "".join(str(int(character, 36)) for character in text)
