"""Compares what a result file claims about itself with what was read: the only check that also catches a loss of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from formats.reported import Problem
from payments.amounts import text_of_minor
from payments.books import Total
from payments.currencies import MINOR_UNITS
from payments.states import MismatchKind

COUNT = re.compile("[0-9]{1,15}")
SUM = re.compile("([0-9]{1,30})(?:[.]([0-9]{1,10}))?")
KEYS_SHOWN_MAX = 10


def count_problems(stated: str, found: int) -> list[Problem]:
    """Nothing when the text `stated` is the number `found`."""
    if COUNT.fullmatch(stated) and int(stated) == found:
        return []
    return [Problem(MismatchKind.COUNT_DIFFERS, f"the trailer does not count the {found} records that are there")]


def sum_problems(stated: str, found: Total) -> list[Problem]:
    """Nothing when the text `stated` holds the sums of `found`; an absent sum is zero."""
    claimed = sums_of(stated)
    if claimed is None:
        return [Problem(MismatchKind.SUM_DIFFERS, "the sums of the trailer cannot be read")]
    sums = found.amount_minor
    keys = sorted(key for key in {*claimed, *sums} if claimed.get(key, 0) != sums.get(key, 0))
    if not keys:
        return []
    shown = ", ".join(
        f"{key} is {_major(key, sums)}, the trailer says {_major(key, claimed)}" for key in keys[:KEYS_SHOWN_MAX]
    )
    unreadable = f"; {found.unreadable} lines have no readable amount" if found.unreadable else ""
    return [Problem(MismatchKind.SUM_DIFFERS, f"{shown}{unreadable}")]


def sums_of(text: str) -> dict[str, int] | None:
    """`EUR/CRDT=123.45|USD/DBIT=1.00` as minor units by key; None when any part of it cannot be read exactly."""
    found: dict[str, int] = {}
    for part in text.split("|") if text else ():
        key, _, amount = part.partition("=")
        currency, _, direction = key.partition("/")
        minor = minor_of_sum(amount, MINOR_UNITS.get(currency, -1))
        if minor is None or direction not in {"CRDT", "DBIT"} or key in found:
            return None
        found[key] = minor
    return found


def minor_of_sum(text: str, unit: int) -> int | None:
    """A sum of up to 30 digits in units of `unit` decimals, None where it is not exactly that; zeros beyond the decimals of its currency change nothing (`72.5400`)."""
    match = SUM.fullmatch(text)
    if unit < 0 or match is None:
        return None
    fraction = (match[2] or "").rstrip("0")
    return None if len(fraction) > unit else int(match[1] + fraction.ljust(unit, "0"))


def _major(key: str, sums: Mapping[str, int]) -> str:
    return text_of_minor(sums.get(key, 0), MINOR_UNITS[key.partition("/")[0]])
