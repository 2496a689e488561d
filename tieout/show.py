"""Prints what commands found: plain tables for people, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from payments.books import Total
from payments.currencies import minor_unit


def print_json(value: Any) -> None:
    """One object, keys as given, dates as text."""
    print(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as their widest cell; numbers to the right. Control characters never reach the terminal."""
    cells = [[clean(str(cell)) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(header)]
    right = [all(_numeric(row[i]) for row in cells) and bool(cells) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        parts = [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)]
        return "  ".join(parts).rstrip()

    return "\n".join([line(header), *(line(row) for row in cells)])


def clean(text: str) -> str:
    """Text for a terminal: what is not printable is shown as its escape."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _numeric(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("-", "").isdigit() or text == ""


def money(minor: int | None, currency: str) -> str:
    """Minor units as people write them: 1234567 EUR -> 12,345.67."""
    if minor is None:
        return ""
    unit = minor_unit(currency) or 0
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(unit + 1, "0")
    whole = f"{int(digits[: len(digits) - unit]):,}"
    return f"{sign}{whole}.{digits[-unit:]}" if unit else f"{sign}{whole}"


def sums(amounts: Mapping[str, int]) -> str:
    """`EUR/CRDT 12,345.67 · USD/DBIT 1.00`."""
    return " · ".join(f"{key} {money(value, key.partition('/')[0])}" for key, value in sorted(amounts.items()))


def total(value: Total) -> str:
    """Count and sums in one line."""
    return f"{value.count:,}  {sums(value.amount_minor)}".rstrip()
