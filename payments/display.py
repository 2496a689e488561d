"""Shows values to people: money in major units, totals, and text from anywhere without what could mislead a reader."""

from __future__ import annotations

from collections.abc import Mapping

from payments.amounts import text_of_minor
from payments.currencies import MINOR_UNITS


def clean(text: str) -> str:
    """What is not printable is shown as its escape: control characters, and marks that turn the direction of writing."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def money(minor: int | None, currency: str) -> str:
    """Minor units as people write them: 1234567 EUR -> 12,345.67; an unknown currency has no decimals."""
    if minor is None:
        return ""
    whole, point, fraction = text_of_minor(abs(minor), MINOR_UNITS.get(currency, 0)).partition(".")
    return f"{'-' if minor < 0 else ''}{int(whole):,}{point}{fraction}"


def sums(amounts: Mapping[str, int]) -> str:
    """`EUR/CRDT 12,345.67 · USD/DBIT 1.00`."""
    return " · ".join(f"{key} {money(value, key.partition('/')[0])}" for key, value in sorted(amounts.items()))
