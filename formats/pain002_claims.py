"""Compares the numbers that a pain.002 claims per status (NbOfTxsPerSts) with the payments that it lists.

A report need not list all payments of a status: an acquirer that lists exceptions only counts the others. But a status that is
listed at all is listed whole, and a rejection that is counted is listed as soon as any payment is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from formats.reported import Problem
from formats.stated import STATUSES
from formats.trailer import COUNT, minor_of_sum
from payments.amounts import text_of_minor
from payments.states import MismatchKind

PREFIX = "NbOfTxsPerSts/"
SCALE = 10  # decimals kept: amounts have at most 5, a control sum of more than 10 is not compared


@dataclass(frozen=True, slots=True)
class Claim:
    """`total`, times 10**SCALE, adds plain numbers whatever their currency, as ISO 20022 defines it; None: not stated."""

    status: str
    count: int
    total: int | None


def claims_of(leaves: Iterable[tuple[str, str]]) -> list[Claim]:
    """The claims among (path, text) of one element; one that cannot be read claims nothing."""
    groups: list[dict[str, str]] = []
    for path, text in leaves:
        if path == f"{PREFIX}DtldNbOfTxs":
            groups.append({})
        if path.startswith(PREFIX) and groups:
            groups[-1][path.removeprefix(PREFIX)] = text
    return [
        Claim(group["DtldSts"], int(group["DtldNbOfTxs"]), minor_of_sum(group.get("DtldCtrlSum", ""), SCALE))
        for group in groups
        if group.get("DtldSts") in STATUSES and COUNT.fullmatch(group["DtldNbOfTxs"])
    ]


@dataclass(slots=True)
class Listed:
    """The payments listed so far, by status; those of an unknown status are counted only as listed."""

    count: int = 0
    _counts: Counter[str] = field(default_factory=Counter)
    _totals: Counter[str] = field(default_factory=Counter)
    _unpriced: Counter[str] = field(default_factory=Counter)

    def add(self, status: str, amount: str | None) -> None:
        self.count += 1
        if status not in STATUSES:
            return
        self._counts[status] += 1
        number = minor_of_sum(amount or "", SCALE)
        if number is None:
            self._unpriced[status] += 1
        else:
            self._totals[status] += number

    def problems(self, claims: Iterable[Claim], where: str) -> list[Problem]:
        """What contradicts the claims made at `where`."""
        found = []
        for claim in claims:
            listed = self._counts[claim.status]
            if listed != claim.count and (listed or (self.count and claim.status == "RJCT")):
                detail = f"{where} counts {claim.count} payments of one status and lists {listed}"
                found.append(Problem(MismatchKind.COUNT_DIFFERS, detail))
            elif listed and not self._unpriced[claim.status] and claim.total not in {None, self._totals[claim.status]}:
                detail = f"{where} states another sum than {text_of_minor(self._totals[claim.status], SCALE)}"
                found.append(Problem(MismatchKind.SUM_DIFFERS, detail))
        return found
