"""The books: totals by count, by sum per currency and direction, and by multiset hash; and the equations they must obey (I1).

A total is added and subtracted like a number. The multiset hash is the sum of the row hashes, each taken as four unsigned
64-bit words, every word modulo 2**64: it does not depend on the order of rows, and a lost row cannot hide behind a doubled one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

WORD = 1 << 64
NO_DIGEST = (0, 0, 0, 0)

EQUATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("extracted", ("curated", "quarantined")),
    ("curated", ("assigned", "unassigned", "duplicate", "superseded", "unchanged", "withdrawn")),
    ("assigned", ("planned", "sealed", "in_doubt", "refused", "delivered", "cancelled")),
    ("delivered", ("matched", "mismatched", "awaiting")),
)
TERMS = tuple(dict.fromkeys(term for left, right in EQUATIONS for term in (left, *right)))

INCOMING_EQUATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lines", ("control", "events", "unreadable")),
    ("events", ("applied", "unknown", "duplicate", "ambiguous", "withdrawn")),
)
INCOMING_TERMS = tuple(dict.fromkeys(term for left, right in INCOMING_EQUATIONS for term in (left, *right)))


@dataclass(frozen=True, slots=True)
class Total:
    """Rows counted once: `amount_minor` maps `EUR/CRDT` to minor units, `unreadable` counts rows beside that sum."""

    count: int = 0
    amount_minor: Mapping[str, int] = field(default_factory=dict)
    unreadable: int = 0
    digest: tuple[int, int, int, int] = NO_DIGEST

    def __add__(self, other: Total) -> Total:
        return self._combined(other, 1)

    def __sub__(self, other: Total) -> Total:
        return self._combined(other, -1)

    def _combined(self, other: Total, sign: int) -> Total:
        keys = sorted({*self.amount_minor, *other.amount_minor})
        sums = {key: self.amount_minor.get(key, 0) + sign * other.amount_minor.get(key, 0) for key in keys}
        a, b, c, d = ((x + sign * y) % WORD for x, y in zip(self.digest, other.digest, strict=True))
        return Total(
            count=self.count + sign * other.count,
            amount_minor={key: value for key, value in sums.items() if value},
            unreadable=self.unreadable + sign * other.unreadable,
            digest=(a, b, c, d),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Total):
            return NotImplemented
        return self.digest == other.digest and self.same_money(other)

    __hash__ = None  # type: ignore[assignment]

    def same_money(self, other: Total) -> bool:
        """Equal counts, unreadable rows and sums (a sum of zero equals an absent one), whatever the digests."""
        mine = {key: value for key, value in self.amount_minor.items() if value}
        theirs = {key: value for key, value in other.amount_minor.items() if value}
        return self.count == other.count and self.unreadable == other.unreadable and mine == theirs

    def to_json(self, *, digest: bool = False) -> dict[str, Any]:
        shown: dict[str, Any] = {"count": self.count, "amount_minor": dict(sorted(self.amount_minor.items()))}
        if self.unreadable or digest:
            shown["unreadable"] = self.unreadable
        if digest:
            shown["digest"] = [f"{word:016x}" for word in self.digest]
        return shown

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Total:
        words = [int(word, 16) for word in value.get("digest", ("0",) * 4)]
        return cls(
            count=int(value["count"]),
            amount_minor={str(key): int(amount) for key, amount in value["amount_minor"].items()},
            unreadable=int(value.get("unreadable", 0)),
            digest=(words[0], words[1], words[2], words[3]),
        )


def total_of(totals: Iterable[Total]) -> Total:
    """The sum of any number of totals."""
    result = Total()
    for each in totals:
        result += each
    return result


@dataclass(frozen=True, slots=True)
class Imbalance:
    """One equation that does not hold: `difference` is left minus right."""

    left: str
    right: tuple[str, ...]
    difference: Total


def imbalances(terms: Mapping[str, Total]) -> list[Imbalance]:
    """The equations of I1 that do not hold; an empty list means that the books tie."""
    found = []
    for left, right in EQUATIONS:
        total = total_of(terms.get(term, Total()) for term in right)
        if terms.get(left, Total()) != total:
            found.append(Imbalance(left, right, terms.get(left, Total()) - total))
    return found


def incoming_imbalances(terms: Mapping[str, int]) -> list[str]:
    """The left sides of those equations of I1b that do not hold."""
    return [left for left, right in INCOMING_EQUATIONS if terms.get(left, 0) != sum(terms.get(t, 0) for t in right)]
