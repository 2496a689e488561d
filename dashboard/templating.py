"""Turns values into pages: templates that escape everything, and show what is not printable as its escape."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from payments.display import clean, duration, money, sums, told, words
from payments.masking import masked

FOLDER = Path(__file__).parent
TEXT_MAX = 1_000

GOOD = frozenset({"reconciled", "assembled", "resolved", "closed_by_late_result", "done", "read", "curated", "reached"})
BAD = frozenset(
    {"in_doubt", "refused", "not_received", "stopped", "abandoned", "unreadable", "failed", "failing", "doubtful"}
)
DOUBTFUL = frozenset({"cancelled", "partially_accepted", "open", "reopened", "written_off", "revoked", "withdrawn"})


def environment() -> Environment:
    """Every value of every template passes through `shown`; markup comes from templates only."""
    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "money": money,
        "sums": sums,
        "words": words,
        "free": free,
        "tone": tone,
        "number": number,
        "told": told,
        "duration": duration,
    }
    return found


def shown(value: Any) -> Any:
    """Text for a page: without control characters or marks that turn the direction of writing, and not without end."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC" if value.second else "%Y-%m-%d %H:%M UTC")
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "" if value is None else str(value)
    return clean(text[:TEXT_MAX]) + ("…" if len(text) > TEXT_MAX else "")


def free(text: object) -> str:
    """Free text, like a note: what looks like an account or card number is masked, as in the log (I7)."""
    return masked(str(text))


def number(value: int) -> str:
    """1234567 -> 1,234,567."""
    return f"{value:,}"


def tone(state: object) -> str:
    """The colour of a state; its word stands beside it, so that nothing is said by colour alone."""
    name = str(state)
    return "good" if name in GOOD else "bad" if name in BAD else "warn" if name in DOUBTFUL else "plain"
