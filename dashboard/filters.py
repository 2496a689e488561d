"""The filters of the list of mismatches: read from the address, refused when they mean nothing, kept from page to page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from payments.states import MismatchKind, MismatchState
from reconciliation.statement import OPEN_STATES

PAGE_ROWS = 50
TEXT_MAX = 200
ALL = "all"
KINDS = tuple(str(each) for each in MismatchKind)
STATES = tuple(str(each) for each in MismatchState)


class WrongFilter(ValueError):
    """A filter that names nothing we know; the text says which."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What to list. An empty text filters nothing; without `state` only open mismatches are listed, `all` means all."""

    kind: str = ""
    state: str = ""
    acquirer: str = ""
    date: str = ""
    file: str = ""
    after: str = ""

    def __post_init__(self) -> None:
        if not all(getattr(self, name).isprintable() for name in self.__slots__):
            raise WrongFilter("a filter holds a character that cannot be shown")
        if self.kind and self.kind not in KINDS:
            raise WrongFilter("kind: there is no such kind of mismatch")
        if self.state and self.state not in {*STATES, ALL}:
            raise WrongFilter("state: there is no such state")
        try:
            date.fromisoformat(self.date or "2000-01-01")
        except ValueError:
            raise WrongFilter("date: a business date is written like 2026-03-02") from None

    @property
    def where(self) -> dict[str, Any]:
        """For `Records.find` and `count`."""
        states = {} if self.state == ALL else {"state": self.state or OPEN_STATES}
        given = {"kind": self.kind, "acquirer": self.acquirer, "file_id": self.file}
        day = {"business_date": date.fromisoformat(self.date)} if self.date else {}
        return {**{name: value for name, value in given.items() if value}, **states, **day}

    def behind(self, last: str) -> str:
        """The address of the page that begins behind the mismatch `last`; without it, of the first page."""
        return self._address("/mismatches", last)

    @property
    def export(self) -> str:
        """The address of the whole list as CSV."""
        return self._address("/exports/mismatches.csv", "")

    def _address(self, path: str, last: str) -> str:
        given = {"kind": self.kind, "state": self.state, "acquirer": self.acquirer, "date": self.date}
        query = {**given, "file": self.file, "after": last}
        text = urlencode({name: value for name, value in query.items() if value})
        return f"{path}?{text}" if text else path


def filters_of(asked: Mapping[str, str]) -> Filters:
    """From the query of an address. Raises WrongFilter."""
    return Filters(**{name: asked.get(name, "")[:TEXT_MAX] for name in Filters.__slots__})
