"""Decides where one file ends and the next begins: by rows, by bytes and by amounts per currency.

Bytes are bounded from above before any is written, because the plan is committed first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import pyarrow as pa

from formats.bounds import MEASURED, head_bytes_max, row_bytes_max
from payments.config import AcquirerSection


@dataclass(slots=True)
class Used:
    """How much of its limits a file has used."""

    rows: int = 0
    size: int = 0  # bytes at most, without the head
    amounts: dict[str, int] = field(default_factory=dict)  # minor units by key of the limit


def measured_columns(acquirers: Iterable[AcquirerSection]) -> tuple[str, ...]:
    """The columns that must be read to measure rows, besides money: none where nobody limits bytes."""
    return MEASURED if any(each.split.bytes_per_file_max for each in acquirers) else ()


class Measures:
    """What the rows of a table at `positions` take of the limits of their acquirer, in the order in which they fill files."""

    def __init__(self, acquirer: AcquirerSection, table: pa.Table, positions: np.ndarray) -> None:
        self._rows, self._rows_max = len(positions), acquirer.rows_per_file_max
        split = acquirer.split
        limited = split.bytes_per_file_max or split.amount_per_file_max
        rows = table.take(pa.array(positions)) if limited else table
        self._amounts_max = split.amount_per_file_max
        self._amounts = {key: [0, *accumulate(_amounts(rows, key))] for key in self._amounts_max}
        self._size_max, self._sizes = 0, np.zeros(1, np.int64)
        if split.bytes_per_file_max:
            head = head_bytes_max(acquirer.format, acquirer.layout, acquirer.initiating_party)
            # Below the head there is no room at all: then each payment has its own file, and that is held.
            self._size_max = max(1, split.bytes_per_file_max - head)
            bounds = row_bytes_max(acquirer.format, acquirer.layout, rows)
            self._sizes = np.concatenate([self._sizes, np.cumsum(bounds)])

    def fit(self, at: int, used: Used) -> int:
        """How many rows from row `at` on still go into a file."""
        end = min(self._rows, at + self._rows_max - used.rows)
        if self._size_max:
            room = self._size_max - used.size + int(self._sizes[at])
            end = min(end, int(np.searchsorted(self._sizes, room, side="right")) - 1)
        for key, sums in self._amounts.items():
            room = self._amounts_max[key] - used.amounts.get(key, 0) + sums[at]
            end = min(end, bisect_right(sums, room, lo=at) - 1)
        # A payment larger than a whole file goes alone: it must go somewhere, and the file is held.
        return max(end - at, 0 if used.rows else 1)

    def add(self, at: int, count: int, used: Used) -> None:
        """Put `count` rows from row `at` on into a file."""
        used.rows += count
        if self._size_max:
            used.size += int(self._sizes[at + count] - self._sizes[at])
        for key, sums in self._amounts.items():
            used.amounts[key] = used.amounts.get(key, 0) + sums[at + count] - sums[at]

    def over(self) -> dict[int, str]:
        """Rows that are above a limit of amounts by themselves, and why a person must look at them."""
        found: dict[int, str] = {}
        for key, sums in self._amounts.items():
            most = self._amounts_max[key]
            for row in range(self._rows):
                amount = sums[row + 1] - sums[row]
                if amount > most:
                    found[row] = f"limit: one payment of {amount} minor units of {key}, at most {most} in a file"
        return found


def _amounts(rows: pa.Table, key: str) -> list[int]:
    """Minor units of each row that the key covers (a currency, or currency and direction), else 0; Python integers: exact."""
    currency, _, direction = key.partition("/")
    columns = (rows[name].to_pylist() for name in ("amount_minor", "currency", "direction"))
    return [minor if of == currency and direction in {"", way} else 0 for minor, of, way in zip(*columns, strict=True)]
