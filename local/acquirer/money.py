"""Amounts as the acquirer reads and writes them: decimal text with exactly the currency's decimals, whole minor units inside."""

from __future__ import annotations

from collections.abc import Mapping

DECIMALS_USUAL = 2
DECIMALS_OTHER = {
    currency: places
    for places, currencies in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for currency in currencies.split()
}
"""ISO 4217 currencies whose minor unit is not two decimals."""

SWAPS = {0: ("JPY", "KRW"), 2: ("USD", "EUR"), 3: ("KWD", "BHD"), 4: ("CLF", "UYW")}
MINOR_MAX = 2**63 - 1
MINOR_DIGITS_MAX = 19


def decimals(currency: str) -> int:
    """How many decimals an amount of this currency has."""
    return DECIMALS_OTHER.get(currency, DECIMALS_USUAL)


def is_currency(text: str) -> bool:
    """Three capital letters."""
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


def minor_of(text: str) -> int:
    """Minor units of an amount that was checked, or that we wrote."""
    return int(text.replace(".", "", 1))


def text_of(minor: int, places: int) -> str:
    """The opposite of `minor_of`."""
    if not places:
        return str(minor)
    digits = str(minor).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"


def other_currency(currency: str) -> str:
    """A different currency with as many decimals, so that the amount reads the same in it."""
    first, second = SWAPS[decimals(currency)]
    return second if currency == first else first


def sums_text(sums: Mapping[str, int]) -> str:
    """`EUR/CRDT=123.45|USD/DBIT=1.00`: sorted by key, in major units."""
    return "|".join(f"{key}={text_of(sums[key], decimals(key[:3]))}" for key in sorted(sums))


def sums_of(text: str) -> dict[str, int]:
    """The opposite of `sums_text`. Raises ValueError."""
    found: dict[str, int] = {}
    for part in text.split("|") if text else []:
        key, _, amount = part.partition("=")
        currency, _, direction = key.partition("/")
        if not is_currency(currency) or direction not in {"CRDT", "DBIT"} or key in found:
            raise ValueError("not a sum")
        whole, point, fraction = amount.partition(".")
        digits = whole + fraction
        if len(fraction) != decimals(currency) or bool(point) != bool(fraction) or not (whole and digits.isdigit()):
            raise ValueError("not a sum")
        found[key] = int(digits)
    return found
