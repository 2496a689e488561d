"""The compare against a naive one: random small files full of collisions, duplicates, nulls and odd spellings."""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from decimal import Decimal, InvalidOperation
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.states import MismatchKind as Kind
from reconciliation.compare import compare_files

COLUMNS = ("end_to_end_id", "amount", "currency", "direction", "status", "booking_date", "iban", "note")
Row = tuple[str, ...]
VALUES = {
    "end_to_end_id": ["", "A", " A", "B", "C", "D", "a"],
    "amount": ["1", "1.00", "01.0", "2", "1e0", "", "1.001", "900000000000000000.5"],
    "currency": ["EUR", "JPY", ""],
    "direction": ["CRDT", "DBIT"],
    "status": ["ACSC", "RJCT", ""],
    "booking_date": ["2026-03-02", "20260302", "2 March"],
    "iban": ["X1", "X2"],
    "note": ["x", " x", 'say "y"', "a,b", "two\nlines"],
}
ROWS = st.lists(st.tuples(*(st.sampled_from(VALUES[name]) for name in COLUMNS)), max_size=12)
EXPONENT = {"EUR": 2, "JPY": 0}
KIND_OF = {
    "status": Kind.STATUS_CONFLICT,
    "currency": Kind.CURRENCY_DIFFERS,
    "direction": Kind.DIRECTION_DIFFERS,
    "amount": Kind.AMOUNT_DIFFERS,
    "iban": Kind.ACCOUNT_DIFFERS,
    "booking_date": Kind.DATE_DIFFERS,
    "note": Kind.DATA_DIFFERS,
}


def number(text: str) -> Decimal | None:
    if "e" in text:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def spelled(row: Row) -> dict[str, object]:
    values: dict[str, object] = {name: value.strip(" ") or None for name, value in zip(COLUMNS, row, strict=True)}
    amount = number(str(values["amount"]))
    values["amount"] = values["amount"] if amount is None else amount
    if values["booking_date"] == "20260302":
        values["booking_date"] = "2026-03-02"
    return values


def sums(rows: list[dict[str, object]]) -> tuple[dict[str, int], int]:
    found: Counter[str] = Counter()
    unreadable = 0
    for row in rows:
        amount, currency = row["amount"], row["currency"]
        minor = amount.scaleb(EXPONENT[str(currency)]) if isinstance(amount, Decimal) and currency in EXPONENT else None
        if minor is None or minor != minor.to_integral_value():
            unreadable += 1
        else:
            found[f"{currency}/{row['direction']}"] += int(minor)
    return dict(found), unreadable


def naive(left: list[Row], right: list[Row]) -> tuple[Counter[Kind], list[dict[str, object]]]:
    """The kinds and our rows that match, found row by row."""
    kinds: Counter[Kind] = Counter()
    firsts: list[dict[object, dict[str, object]]] = []
    for rows, duplicate, alone in (
        (left, Kind.DUPLICATE_SENT, Kind.MISSING_AT_ACQUIRER),
        (right, Kind.DUPLICATE_RESULT, Kind.UNKNOWN_TO_US),
    ):
        first: dict[object, dict[str, object]] = {}
        for row in map(spelled, rows):
            key = row["end_to_end_id"]
            if key is None:
                kinds[alone] += 1
            elif key in first:
                kinds[duplicate] += 1
            else:
                first[key] = row
        firsts.append(first)
    ours, theirs = firsts
    kinds[Kind.MISSING_AT_ACQUIRER] += len(ours.keys() - theirs.keys())
    kinds[Kind.UNKNOWN_TO_US] += len(theirs.keys() - ours.keys())
    matched = []
    for key in ours.keys() & theirs.keys():
        differing = [name for name in KIND_OF if ours[key][name] != theirs[key][name]]
        if not differing:
            matched.append(ours[key])
            continue
        kind = KIND_OF[differing[0]]
        if kind is Kind.STATUS_CONFLICT and ours[key]["status"] is None and theirs[key]["status"] == "RJCT":
            kind = Kind.STATUS_REJECTED
        kinds[kind] += 1
    return kinds, matched


@given(left=ROWS, right=ROWS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_the_compare_equals_a_naive_one(left: list[Row], right: list[Row]) -> None:
    """Counts, kinds and sums equal those of a row by row compare, and each side is matched + its kinds."""
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / name for name in ("left.csv", "right.csv")]
        for path, rows in zip(paths, (left, right), strict=True):
            with path.open("w", newline="", encoding="utf-8") as opened:
                csv.writer(opened).writerows([COLUMNS, *rows])
        found = compare_files(*paths, limit=100)
    kinds, matched = naive(left, right)
    assert {kind: count for kind, count in found.mismatches_by_kind.items() if count} == +kinds
    assert found.matched.count == len(matched)
    for side, rows in (("left", [*map(spelled, left)]), ("right", [*map(spelled, right)]), ("matched", matched)):
        expected, unreadable = sums(rows)
        assert getattr(found, side).amount_minor == {name: total for name, total in expected.items() if total}
        assert getattr(found, side).unreadable == unreadable
    on_left = sum(each.left_row is not None for each in found.mismatches)
    on_right = sum(each.right_row is not None for each in found.mismatches)
    assert found.left.count == len(left) == found.matched.count + on_left
    assert found.right.count == len(right) == found.matched.count + on_right
