"""The part of `tieout status` about sources: when each was read last, how old its newest row is, and when it is read next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from payments.counterparts import Counterpart
from payments.display import duration


def source_table(sources: Sequence[Counterpart], now: datetime) -> str:
    """One line per source; empty when none is configured."""
    from tieout.show import table

    rows = [
        (
            each.name,
            f"{each.last_run} {each.last_run_state}".strip() or "none",
            _at(each.last_success_at) or "never",
            "" if each.watermark_age_s is None else f"{duration(each.watermark_age_s)} ago",
            _due(each, now),
        )
        for each in sources
    ]
    return table(("SOURCE", "LAST RUN", "READ LAST", "NEWEST ROW", "NEXT DUE"), rows) if rows else ""


def _due(source: Counterpart, now: datetime) -> str:
    if source.next_due_at is None:
        return "by command"
    return "now" if source.next_due_at <= now else _at(source.next_due_at)


def _at(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
