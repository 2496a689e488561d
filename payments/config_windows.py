"""The part of the configuration that says when an acquirer takes files: its banking days and its windows."""

from __future__ import annotations

from datetime import date
from typing import Literal

from msgspec import field

from payments.config_base import Name, Section, TimeOfDay

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Calendar(Section, frozen=True, kw_only=True):
    """The acquirer's banking days. `open` days are banking days whatever else is said; `closed` days never are."""

    holidays: str = ""
    weekend: list[Weekday] = field(default_factory=lambda: ["sat", "sun"])
    closed: list[date] = field(default_factory=list)
    open: list[date] = field(default_factory=list)


class Window(Section, frozen=True, kw_only=True):
    """When files may leave on a banking day, in the acquirer's zone. `closes`: by when they must be there."""

    name: Name
    opens: TimeOfDay
    cutoff: TimeOfDay
    closes: TimeOfDay | None = None
    weekdays: list[Weekday] = field(default_factory=list)
    send: Literal["when_complete", "at_cutoff"] = "when_complete"
    late: Literal["late", "next", "hold"] = "hold"
