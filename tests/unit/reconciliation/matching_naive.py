"""Matching told again, naively: one payment and one event at a time, in plain Python; the oracle of the matching tests."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from reconciliation.matching import Terms

NAMES = ("ours.csv", "id-ours", 5)
STAGE = {"RCVD": 1, "PDNG": 2, "ACTC": 3, "ACCP": 4, "ACWC": 4, "ACSP": 5, "ACSC": 6, "ACCC": 7}
FINAL = ("ACTC", "ACCP", "ACSP", "ACSC", "ACCC")
DAYS = (date(2026, 3, 2), date(2026, 3, 3))
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Payment(NamedTuple):
    reference: str
    minor: int
    currency: str
    direction: str
    requested: date
    account: str | None


class Event(NamedTuple):
    """One line of a result file; `message`, `name` and `sequence` are the file that it names."""

    reference: str | None
    status: str
    minor: int | None
    currency: str | None
    direction: str | None
    requested: date | None
    account: str | None
    stated_at: datetime | None
    message: str | None
    name: str | None
    sequence: int | None
    level: str
    error: str | None
    reason: str | None
    about: str | None


class Line(NamedTuple):
    """An event at its place: the result file's hash and its line."""

    sha: str
    line: int
    event: Event


def expected_rows(payments: list[Payment]) -> list[dict[str, Any]]:
    return [
        {
            "line": line,
            "payment_id": f"p-{each.reference}",
            "file_id": "id-ours",
            "source": "legacy",
            "business_date": DAYS[0],
            "run": 1,
            "chunk": 1,
            "row": line - 1,
            "row_hash": bytes([line]) * 32,
            "end_to_end_id": each.reference,
            "direction": each.direction,
            "amount_minor": each.minor,
            "currency": each.currency,
            "requested_date": each.requested,
            "creditor_account": each.account,
        }
        for line, each in enumerate(payments, 1)
    ]


def reported_row(line: int, event: Event) -> dict[str, Any]:
    return {
        "line": line,
        "level": event.level,
        "status": event.status,
        "status_text": event.status,
        "reason_code": event.reason,
        "end_to_end_id": event.reference,
        "original_file": event.name,
        "original_msg_id": event.message,
        "original_sequence": event.sequence,
        "amount_minor": event.minor,
        "currency": event.currency,
        "direction": event.direction,
        "requested_date": event.requested,
        "creditor_account": event.account,
        "acquirer_reference": event.about,
        "stated_at": event.stated_at,
        "error": event.error,
    }


def is_ours(event: Event, elsewhere: set[str]) -> bool:
    """The strongest name decides; without any the reference does, unless it could mean another file just as well."""
    if event.message is not None:
        return event.message == "id-ours"
    if event.name is not None:
        return event.name == "ours.csv"
    if event.sequence is not None:
        return event.sequence == 5
    return (event.reference or "").strip(" ") not in elsewhere


def time_order(line: Line) -> tuple[Any, ...]:
    event = line.event
    stage = STAGE.get(event.status, 99)
    return (event.stated_at is not None, event.stated_at or LONG_AGO, stage, line.sha, line.line)


def copy_order(line: Line) -> tuple[Any, ...]:
    return (line.event.stated_at is not None, line.event.stated_at or LONG_AGO, line.sha, line.line)


def last(lines: list[Line], field: str) -> Any:
    """What was stated last, skipping those who did not state it."""
    stated = [value for each in lines if (value := getattr(each.event, field)) is not None]
    return stated[-1] if stated else None


def kinds_of(payment: Payment, lines: list[Line], terms: Terms) -> list[str]:
    said = [each.event.status for each in lines]
    settled = any(STAGE.get(status, 0) >= STAGE[terms.final_status] for status in said)
    rejected = any(status in {"RJCT", "CANC"} for status in said)

    def differs(field: str) -> bool:
        value = last(lines, field)
        return value is not None and getattr(payment, field) is not None and value != getattr(payment, field)

    minor = last(lines, "minor")
    found = [
        ("missing_at_acquirer", not lines and terms.overdue and not terms.implicit),
        ("status_conflict", rejected and settled),
        ("returned", "RTRN" in said),
        ("status_rejected", rejected),
        ("currency_differs", differs("currency")),
        ("direction_differs", differs("direction")),
        ("amount_differs", minor is not None and abs(minor - payment.minor) > terms.tolerance_minor),
        ("account_differs", differs("account")),
        ("date_differs", differs("requested")),
    ]
    return [kind for kind, applies in found if applies]


def outcome_of(payment: Payment, lines: list[Line], terms: Terms) -> tuple[str, str | None]:
    kinds = kinds_of(payment, lines, terms)
    if kinds:
        return "mismatched", kinds[0]
    if not lines:
        return ("matched", "matched_implicitly") if terms.implicit else ("awaiting", None)
    if any(STAGE.get(each.event.status, 0) >= STAGE[terms.final_status] for each in lines):
        exact = last(lines, "minor") in {None, payment.minor}
        return "matched", "matched" if exact else "matched_within_tolerance"
    return "awaiting", lines[-1].event.status


def naive(
    payments: list[Payment], files: dict[str, list[Event]], elsewhere: dict[str, set[str]], terms: Terms
) -> tuple[dict[str, Any], dict[tuple[str, int], str]]:
    """(reference -> what is known of it, (result file, line) -> use)."""
    uses: dict[tuple[str, int], str] = {}
    lines: dict[str, list[Line]] = {each.reference: [] for each in payments}
    for sha, events in files.items():
        for number, event in enumerate(events, 1):
            if event.level != "TX" or event.error is not None or not is_ours(event, elsewhere[sha]):
                continue
            reference = (event.reference or "").strip(" ")
            if reference in lines:
                lines[reference].append(Line(sha, number, event))
            elif (event.message, event.name, event.sequence) != (None, None, None):
                uses[sha, number] = "unknown"
    found: dict[str, Any] = {}
    for payment in payments:
        seen: set[tuple[Any, ...]] = set()
        applied = []
        for each in sorted(lines[payment.reference], key=copy_order):
            same = (each.event.status, each.event.minor, each.event.currency, each.event.direction)
            uses[each.sha, each.line] = "duplicate" if same in seen else "applied"
            if same not in seen:
                applied.append(each)
            seen.add(same)
        applied.sort(key=time_order)
        against = [each.event.status for each in applied if each.event.status not in STAGE]
        found[payment.reference] = {
            "outcome": outcome_of(payment, applied, terms),
            "events": len(applied),
            "status": against[-1] if against else applied[-1].event.status if applied else None,
            "reason_code": last(applied, "reason"),
            "reported_minor": last(applied, "minor"),
            "reported_currency": last(applied, "currency"),
            "acquirer_reference": last(applied, "about"),
            "differing": set(kinds_of(payment, applied, terms)),
            "result_sha256": applied[-1].sha if applied else None,
            "settled": any(STAGE.get(each.event.status, 0) >= STAGE[terms.final_status] for each in applied),
        }
    return found, uses
