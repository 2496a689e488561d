"""Shows values to people: money in major units, totals, and text from anywhere without what could mislead a reader."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from payments.books import Total
from payments.currencies import MINOR_UNITS, text_of_minor

HASH = re.compile("[0-9a-f]{64}")
POSITIONS = frozenset({"lower", "upper"})


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


def amounts(total: Total) -> str:
    """The sums of a total, and how many of its rows are in none of them because their amount cannot be read."""
    unreadable = f"{total.unreadable:,} unreadable" if total.unreadable else ""
    return " · ".join(part for part in (sums(total.amount_minor), unreadable) if part)


def duration(seconds: int) -> str:
    """`3 d 04:05:06`, without the days where there are none."""
    days, rest = divmod(abs(seconds), 86_400)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{'-' if seconds < 0 else ''}{f'{days:,} d ' if days else ''}{clock}"


def words(name: object) -> str:
    """`amount_differs` as people read it: amount differs."""
    return str(name).replace("_", " ")


def told(body: str) -> str:
    """The body of an audit record (JSON) in few words: totals without their digests, hashes by their beginning.

    Positions in a source are left out: they hold its primary keys, and nobody reads them here.
    """
    found = json.loads(body)
    return ", ".join(f"{words(name)} {_short(found[name])}" for name in found if name not in POSITIONS and found[name])


def _short(value: Any) -> str:
    match value:
        case {"count": _, "amount_minor": _}:
            total = Total.from_json(value)
            return f"{total.count:,} ({amounts(total)})" if amounts(total) else f"{total.count:,}"
        case dict():
            return ", ".join(f"{words(name)} {_short(each)}" for name, each in value.items())
        case str() if HASH.fullmatch(value):
            return value[:12]
        case _:
            return str(value)
