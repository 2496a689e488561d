"""Remembers under a name when something happened last, or may happen next: schedules, windows, pauses."""

from __future__ import annotations

from datetime import datetime

from payments.ports import Transaction
from payments.records import Firing


def mark_fired(tx: Transaction, name: str, at: datetime) -> None:
    """Keep the time under this name, in place of an earlier one."""
    known = tx.firings.get(name)
    if known is None:
        tx.firings.add(Firing(name, at))
    else:
        tx.firings.change(known, fired_at=at)


def last_fired(tx: Transaction, name: str) -> datetime | None:
    """The time that is kept under this name; None: there is none."""
    known = tx.firings.get(name)
    return None if known is None else known.fired_at
