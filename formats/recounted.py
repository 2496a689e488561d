"""What an auditor finds in the bytes of an outbound file: its payments added up again, and what it claims of itself."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from formats.trailer import minor_of_sum
from payments.currencies import MINOR_UNITS
from payments.errors import Unreadable


class Fingerprint:
    """SHA-256 over payments in their order, each by reference, direction, amount, currency and requested date."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, reference: str, direction: str, minor: int, currency: str, requested: str) -> None:
        self._digest.update(f"{reference}\x1f{direction}\x1f{minor}\x1f{currency}\x1f{requested}\n".encode())

    @property
    def value(self) -> str:
        return self._digest.hexdigest()


@dataclass(slots=True)
class Recounted:
    """What the bytes hold: `sums` in minor units by `EUR/CRDT`, `stated` what the file says of itself by its own names.

    `groups_off` counts groups inside the file whose own count or sum is not that of their payments.
    """

    count: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    plain_sum: Decimal = Decimal(0)
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    stated: dict[str, Any] = field(default_factory=dict)
    groups_off: int = 0

    def add(self, reference: str, direction: str, amount: str, currency: str, requested: str) -> None:
        minor = minor_of_sum(amount, MINOR_UNITS.get(currency, -1))
        if minor is None or direction not in {"CRDT", "DBIT"} or not _is_date(requested):
            raise Unreadable(f"payment {self.count + 1} has no exact amount, direction or date")
        self.count += 1
        self.sums[f"{currency}/{direction}"] += minor
        self.plain_sum += Decimal(amount)
        self.fingerprint.add(reference, direction, minor, currency, requested)


def decimal_of(text: str) -> Decimal | None:
    """The number that a text says; None for a text that says none."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def control_sum_holds(found: Recounted) -> bool:
    """Whether the control sum of the whole file is the plain sum of its payments; the element is optional."""
    stated = found.stated.get("control sum")
    return not stated or decimal_of(stated) == found.plain_sum


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
