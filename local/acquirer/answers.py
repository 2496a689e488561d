"""Says what was decided: turns the payments of a file into statements, and statements into the result files and the truth about them."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

from local.acquirer.behaviour import Decision, Invention, Plan
from local.acquirer.money import decimals, minor_of, other_currency, text_of
from local.acquirer.reading import ACCOUNT, AMOUNT, BATCH, CURRENCY, DIRECTION, REFERENCE, REQUESTED, Checked, Row

CONFIRMED_AT_ONCE = 4096

Truth = dict[str, object]


class Said(NamedTuple):
    """One statement about one payment; `about` is the acquirer's own reference."""

    reference: str
    status: str
    code: str
    text: str
    minor: int
    currency: str
    direction: str
    requested: str
    account: str
    about: str
    batch: str


class Sheet(Protocol):
    """A result file while it is written."""

    def say(self, said: Said) -> None: ...

    def confirm(self, rows: Iterable[Row], line: int) -> None:
        """Say ACSC of payments exactly as they were sent, from `line` on. `add_confirmed` adds their money, all at once."""
        ...

    def add_confirmed(self, sums: Mapping[str, int]) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Filed:
    """A file that was taken: what it is, what was counted, what is planned for it, and who sent it."""

    partner: str
    name: str
    checked: Checked
    plan: Plan
    results_list: str
    about_prefix: str

    def about(self, line: int) -> str:
        """The acquirer's reference of the payment on `line`."""
        return f"{self.about_prefix}{line:07d}"


def about_prefix(partner: str, name: str) -> str:
    """What the acquirer's references to the payments of one file begin with."""
    return "AQ" + hashlib.sha256(f"{partner}/{name}".encode()).hexdigest()[:12].upper()


def write(filed: Filed, rows: Iterable[Row], sheets: Mapping[int, Sheet]) -> dict[int, list[Truth]]:
    """Write the result files numbered in `sheets`, in one pass over the payments; returns the truth that each makes known."""
    decisions, inventions = filed.plan.decisions, filed.plan.inventions
    first = sheets.get(1)
    confirming = first if filed.results_list != "exceptions_only" else None
    truth: dict[int, list[Truth]] = {number: [] for number in sheets}
    confirmed = dict(filed.checked.sums)
    pending, at = iter(rows), 1
    for line in sorted(decisions.keys() | inventions.keys()):
        _confirm_up_to(line, at, pending, confirming)
        row, at = next(pending), line + 1
        if line in decisions:
            confirmed[f"{row[CURRENCY]}/{row[DIRECTION]}"] -= _minor(row)
            _carry_out(filed, row, line, decisions[line], sheets, truth)
        elif confirming is not None:
            confirming.confirm((row,), line)
        if line in inventions and first is not None:
            _invent(filed, row, line, inventions[line], first, truth[1])
    _confirm_up_to(filed.checked.count + 1, at, pending, confirming)
    if first is not None:
        left = {key: minor for key, minor in confirmed.items() if minor}
        truth[1].append(_note(filed, "confirmed", answer=1, count=filed.checked.count - len(decisions), sums=left))
    if confirming is not None:
        confirming.add_confirmed(confirmed)
    for sheet in sheets.values():
        sheet.close()
    return truth


def _confirm_up_to(line: int, at: int, rows: Iterator[Row], sheet: Sheet | None) -> None:
    """Confirm, or pass over, the payments from line `at` to before `line`."""
    for start in range(at, line, CONFIRMED_AT_ONCE):
        some = islice(rows, min(CONFIRMED_AT_ONCE, line - start))
        if sheet is None:
            deque(some, maxlen=0)
        else:
            sheet.confirm(some, start)


def file_truth(partner: str, name: str, checked: Checked) -> Truth:
    """What the acquirer thinks of the file as a whole."""
    return {
        "partner": partner,
        "file": name,
        "sequence": checked.head.sequence,
        "kind": "file",
        "answer": "ack",
        "verdict": checked.verdict,
        "code": checked.code,
        "text": checked.text,
        "message_id": checked.head.message_id,
        "business_date": checked.head.business_date,
        "count": checked.count,
        "sums": checked.sums,
    }


def _carry_out(
    filed: Filed, row: Row, line: int, decision: Decision, sheets: Mapping[int, Sheet], truth: dict[int, list[Truth]]
) -> None:
    known_by = {"late": 2, "returned": 3}.get(decision.kind, 1)
    for number, said in statements(filed, row, line, decision):
        if number in sheets and is_listed(said, decision, filed.results_list):
            sheets[number].say(said)
    if known_by in truth:
        truth[known_by].append(_planted(filed, row, line, decision, known_by))


def statements(filed: Filed, row: Row, line: int, decision: Decision) -> list[tuple[int, Said]]:
    """What is said of a payment, each with the number of the result file that says it."""
    yes = said_of(row, "ACSC", filed.about(line))
    no = yes._replace(status="RJCT", code=decision.code, text=decision.text)
    match decision.kind:
        case "rejected":
            return [(1, no)]
        case "amount_changed":
            return [(1, yes._replace(minor=changed_minor(yes.minor, decision.change_minor)))]
        case "currency_changed":
            return [(1, yes._replace(currency=other_currency(yes.currency)))]
        case "repeated":
            return [(1, yes), (1, yes)]
        case "returned":
            return [(1, yes), (3, no._replace(status="RTRN"))]
        case "late":
            return [(2, yes)]
        case "conflicting":
            return [(1, yes), (1, no)]
        case _:  # omitted
            return []


def is_listed(said: Said, decision: Decision, results_list: str) -> bool:
    """Whether a partner with this kind of list is told."""
    if results_list == "exceptions_only":
        return said.status != "ACSC" or decision.kind in {"amount_changed", "currency_changed", "conflicting"}
    return results_list == "all" or said.status != "RJCT"


def changed_minor(minor: int, change: int) -> int:
    """The amount off by `change`, turned round where nothing would be left."""
    return minor + change if minor + change > 0 else minor + abs(change)


def _invent(filed: Filed, row: Row, line: int, invention: Invention, sheet: Sheet, truth: list[Truth]) -> None:
    said = said_of(row, "ACSC", f"{filed.about_prefix}I{line:06d}")._replace(
        reference=invention.reference,
        minor=invention.minor,
        currency="EUR",
        direction="CRDT",
        account=invention.account,
    )
    sheet.say(said)
    truth.append(
        _note(
            filed,
            "invented",
            answer=1,
            end_to_end_id=said.reference,
            amount=text_of(said.minor, 2),
            amount_minor=said.minor,
            currency="EUR",
            direction="CRDT",
            status=said.status,
        )
    )


def _planted(filed: Filed, row: Row, line: int, decision: Decision, answer: int) -> Truth:
    minor, currency = _minor(row), row[CURRENCY]
    note = _note(
        filed,
        decision.kind,
        answer=answer,
        line=line,
        end_to_end_id=row[REFERENCE],
        amount=row[AMOUNT],
        amount_minor=minor,
        currency=currency,
        direction=row[DIRECTION],
    )
    if decision.code:
        note["reason_code"] = decision.code
    if decision.kind == "amount_changed":
        reported = changed_minor(minor, decision.change_minor)
        note |= {"reported_amount": text_of(reported, decimals(currency)), "reported_minor": reported}
    if decision.kind == "currency_changed":
        note["reported_currency"] = other_currency(currency)
    return note


def _note(filed: Filed, kind: str, **more: object) -> Truth:
    return {
        "partner": filed.partner,
        "file": filed.name,
        "sequence": filed.checked.head.sequence,
        "kind": kind,
        **more,
    }


def said_of(row: Row, status: str, about: str) -> Said:
    """A statement that repeats the payment as it was sent."""
    return Said(
        reference=row[REFERENCE],
        status=status,
        code="",
        text="",
        minor=_minor(row),
        currency=row[CURRENCY],
        direction=row[DIRECTION],
        requested=row[REQUESTED],
        account=row[ACCOUNT],
        about=about,
        batch=row[BATCH] if len(row) > BATCH else "",
    )


def _minor(row: Row) -> int:
    return minor_of(row[AMOUNT])
