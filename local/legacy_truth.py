"""The planted truth: chooses which payments carry which kind, alters their rows, and writes down what must become of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from local.legacy_plants import KINDS, TERM_OF_OUTCOME, Kind
from local.legacy_sample import BEFORE_RUN, DIRECTIONS, Ints, Row, Sample, local_times
from payments.books import Total
from payments.currencies import MINOR_UNITS

EVERY_KIND_FROM = 500
"""From this many payments on, every kind occurs at least once, however small its share."""
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
DIRECTION_OF = {form: direction for direction, forms in DIRECTIONS.items() for form in forms}


@dataclass(frozen=True, slots=True)
class Plant:
    """One planted thing: the payment that carries it, the payment whose reference it takes, and its drawn number."""

    kind: Kind
    payment: int
    number: int
    twin_of: int | None = None
    version_at_s: int = 0


def plan(rng: np.random.Generator, sample: Sample, runs_at: list[datetime]) -> list[Plant]:
    """Choose disjoint payments for all kinds. A kind that needs a later extraction is left out when there is none."""
    free = [iter(rng.permutation(np.flatnonzero(sample.slot == slot)).tolist()) for slot in range(len(runs_at))]
    found = []
    for kind in KINDS:
        count = round(kind.share * len(sample)) or int(len(sample) >= EVERY_KIND_FROM)
        for number in rng.integers(1 << 30, size=count).tolist():
            plant = _placed(rng, kind, number, sample, free, runs_at)
            if plant is not None:
                found.append(plant)
    return found


def _placed(
    rng: np.random.Generator,
    kind: Kind,
    number: int,
    sample: Sample,
    free: list[Iterator[int]],
    runs_at: list[datetime],
) -> Plant | None:
    slots = len(free)
    if kind.later and slots == 1:
        return None
    # What is written later goes behind the first run, where most payments are sealed by then.
    slot = 0 if kind.later else int(sample.slot[int(rng.integers(len(sample)))])
    behind = int(rng.integers(1, slots)) if kind.later else slot
    first = next(free[slot], None)
    if first is None:
        return None
    if kind.shape == "twin":
        other = next(free[behind], None)
        # The earlier of two in the order of entry is the one that is sent.
        return None if other is None else Plant(kind, max(first, other), number, twin_of=min(first, other))
    if kind.shape == "version":
        return Plant(
            kind, first, number, version_at_s=_version_at(rng, kind, int(sample.changed_s[first]), behind, runs_at)
        )
    return Plant(kind, first, number)


def _version_at(rng: np.random.Generator, kind: Kind, first_s: int, slot: int, runs_at: list[datetime]) -> int:
    """A second in the window of `slot`, always after the first revision: two revisions never share an instant."""
    closes = int((runs_at[slot] - BEFORE_RUN).timestamp())
    if not kind.later:
        return min(first_s + int(rng.integers(1, 3600)), closes + 60)
    opens = int((runs_at[slot - 1] + BEFORE_RUN).timestamp())
    return int(rng.integers(opens, closes))


@dataclass(slots=True)
class Truth:
    """Collects the truth while rows are altered; `extracted` is the total of every row that was counted in."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    extracted: Total = field(default_factory=Total)
    by_outcome: dict[str, Total] = field(default_factory=dict)

    def altered(self, plant: Plant, row: Row, original_of: Callable[[int], Row]) -> list[Row]:
        """The rows that the planted payment has in the journal, instead of `row`; what they must become is noted."""
        kind, rows = plant.kind, [row]
        if plant.twin_of is not None:
            first = original_of(plant.twin_of)
            rows = [_twin(row, first, plant.number)]
            self._note(kind.name, kind.outcome, kind.codes, rows[0], twin_pay_no=first.pay_no)
        elif kind.shape == "version":
            version = _revision(kind.alter(row, plant.number), plant.version_at_s)
            rows = [row, version]
            if kind.first_outcome:
                self._note(f"{kind.name}_first" if kind.outcome else kind.name, kind.first_outcome, (), row)
            if kind.outcome:
                self._note(kind.name, kind.outcome, kind.codes, version)
        else:
            rows = [kind.alter(row, plant.number)]
            self._note(kind.name, kind.outcome, kind.codes, rows[0])
        for each in rows:
            self.extracted += total_of_row(each)
        return rows

    def _note(self, kind: str, outcome: str, codes: tuple[str, ...], row: Row, *, twin_pay_no: str = "") -> None:
        line = {
            "kind": kind,
            "pay_no": row.pay_no,
            "end_to_end_id": row.order_ref,
            "rev_no": row.rev_no,
            "chg_at": datetime.fromtimestamp(row.chg_ts // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "amount": row.amt,
            "currency": row.ccy.upper(),
            "direction": DIRECTION_OF.get(row.drcr),
            "expected_outcome": outcome,
            "expected_term": TERM_OF_OUTCOME[outcome],
            "expected_codes": list(codes),
        }
        self.lines.append({**line, "twin_pay_no": twin_pay_no} if twin_pay_no else line)
        self.by_outcome[outcome] = self.by_outcome.get(outcome, Total()) + total_of_row(row)

    def document(self, *, payments: int, rows: int, seed: int) -> Iterator[str]:
        """The lines of source.jsonl: the summary first, then one line per planted row, ordered by payment and revision."""
        summary = {
            "kind": "summary",
            "payments": payments,
            "rows": rows,
            "seed": seed,
            "by_kind": dict(sorted(Counter(line["kind"] for line in self.lines).items())),
            "by_outcome": {outcome: total.to_json() for outcome, total in sorted(self.by_outcome.items())},
            "extracted": self.extracted.to_json(),
        }
        for line in (summary, *sorted(self.lines, key=lambda line: (line["pay_no"], line["rev_no"]))):
            yield json.dumps(line, ensure_ascii=False) + "\n"


def total_of_row(row: Row) -> Total:
    """One row as the books count it: its sum where amount, currency and direction can be read exactly, else one unreadable row."""
    decimals = MINOR_UNITS.get(row.ccy.upper())
    minor = Decimal(row.amt).scaleb(decimals) if decimals is not None and NUMBER.fullmatch(row.amt) else None
    if minor is None or minor < 0 or minor != minor.to_integral_value() or row.drcr not in DIRECTION_OF:
        return Total(count=1, unreadable=1)
    key = f"{row.ccy.upper()}/{DIRECTION_OF[row.drcr]}"
    return Total(count=1, amount_minor={key: int(minor)} if minor else {})


def _twin(row: Row, first: Row, number: int) -> Row:
    """`row` under the reference of `first`, on the same route, or both references would be unique at their acquirers."""
    keeps_amount = number % 2 and row.ccy.upper() == first.ccy.upper()
    row = row._replace(order_ref=first.order_ref, drcr=first.drcr, ccy=first.ccy, payee_nm=first.payee_nm)
    row = row._replace(payee_acct=first.payee_acct, payee_bic=first.payee_bic)
    return row if keeps_amount else row._replace(amt=first.amt)


def _revision(row: Row, at_s: int) -> Row:
    seconds: Ints = np.array([at_s], dtype=np.int64)
    return row._replace(rev_no=row.rev_no + 1, chg_ts=at_s * 1000, entered_at=local_times(seconds)[0])
