"""Prints what commands found: plain tables for people, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from payments.books import Total
from payments.display import amounts, clean, money, sums

__all__ = ["amounts", "clean", "money", "print_json", "sums", "table", "total"]


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


def _numeric(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("-", "").isdigit() or text == ""


def total(value: Total) -> str:
    """Count, sums and unreadable rows in one line."""
    return f"{value.count:,}  {amounts(value)}".rstrip()
