"""The head of an outbound file: the values that every format writes around its payments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from payments.books import Total


@dataclass(frozen=True, slots=True)
class FileHeader:
    """Fixed at planning (design section 5): bytes are a pure function of this value and the rows.

    `message_id` is the file_id; `created_at` is aware; `total` is what the plan claims, by count and by minor units.
    """

    acquirer: str
    name: str
    message_id: str
    sequence: int
    business_date: date
    created_at: datetime
    total: Total
    initiating_party: str

    @property
    def created_at_text(self) -> str:
        """`2026-03-02T06:00:00Z`: whole seconds, always UTC."""
        return self.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
