"""Reads and checks a delimited file as an acquirer would: header, every line, trailer, sequence.

A payment is a list in the layout of a PD line, whatever the format of its file: the pain reader fills the same places.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from itertools import chain, islice
from pathlib import Path

from local.acquirer.money import MINOR_DIGITS_MAX, decimals, is_currency, sums_of

REFERENCE, DIRECTION, AMOUNT, CURRENCY, REQUESTED, ACCOUNT, BATCH = 2, 3, 4, 5, 6, 11, 15
PAYMENT_FIELDS = 15
PAYMENTS_MAX = 5_000_000
REFERENCE_MAX = 35
LINE_CHARACTERS_MAX = 65_536  # a longer line is cut there, and so refused for its shape

Row = list[str]


class Refused(Exception):
    """A file that is not taken: an ISO 20022 code, and a text that names lines but never a value of a payment."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Head:
    """What the file says about itself. `sequence` is None where the format has none or the header cannot be read."""

    message_id: str = ""
    sequence: int | None = None
    business_date: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict on one file; `sums` maps `EUR/CRDT` to minor units, as counted here, never as claimed."""

    head: Head
    verdict: str
    code: str = ""
    text: str = ""
    count: int = 0
    sums: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the next file of a partner must be: its number (None: the format has none), and ids that it must not repeat."""

    partner: str
    sequence: int | None
    message_ids: frozenset[str]


def check(path: Path, name: str, expected: Expected) -> Checked:
    """Everything that can be said of a delimited file without deciding about a payment. Raises nothing for a bad file."""
    head = Head()
    try:
        with _lines(path) as lines:
            head = _header(next(lines, []), name, expected.partner)
            refuse_out_of_turn(head, expected)
            count, sums = _payments(lines, head)
    except Refused as refused:
        return Checked(head, "RJCT", refused.code, refused.text)
    except UnicodeDecodeError:
        return Checked(head, "RJCT", "FF01", "not UTF-8")
    except csv.Error:
        return Checked(head, "RJCT", "FF01", "a field is badly quoted or too long")
    return Checked(head, "ACTC", count=count, sums=sums)


@contextmanager
def payments(path: Path, count: int) -> Iterator[Iterator[Row]]:
    """The payments of a file that was checked, in order."""
    with _lines(path) as lines:
        yield islice(lines, 1, count + 1)


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[Row]]:
    with path.open(encoding="utf-8", newline="\n") as text:
        yield _split(iter(partial(text.readline, LINE_CHARACTERS_MAX), ""))


def _split(lines: Iterator[str]) -> Iterator[Row]:
    """Fields of each line. Most lines have no quotes: splitting those costs half of what a csv reader takes for all."""
    for line in lines:
        if '"' in line:
            yield next(csv.reader(chain((line,), lines), strict=True))
        else:
            yield line.removesuffix("\n").split(",")


def refuse_out_of_turn(head: Head, expected: Expected) -> None:
    """A used message id or number, or a gap. Raises Refused."""
    if head.message_id in expected.message_ids:
        raise Refused("DU01", "the message id was used before")
    if head.sequence is None or expected.sequence is None or head.sequence == expected.sequence:
        return
    if head.sequence < expected.sequence:
        raise Refused("DU01", f"sequence {head.sequence} was used before, {expected.sequence} is next")
    raise Refused("NARR", f"sequence {head.sequence} leaves a gap, {expected.sequence} is next")


def _header(row: Row, name: str, partner: str) -> Head:
    if row[:2] != ["FH", "TIEOUT1"] or len(row) != 8:
        raise Refused("FF01", "the first line is not an FH line of TIEOUT1")
    _, _, acquirer, file, message_id, sequence, business_date, _ = row
    if acquirer != partner or file != name:
        raise Refused("FF01", "the header names another acquirer or another file")
    if not (sequence.isascii() and sequence.isdigit() and len(sequence) <= 15 and 0 < len(message_id) <= REFERENCE_MAX):
        raise Refused("FF01", "the header has no sequence or no message id")
    day_of(business_date, "header")
    return Head(message_id, int(sequence), business_date)


def _payments(lines: Iterable[Row], head: Head) -> tuple[int, dict[str, int]]:
    """Count and sums of all PD lines up to a trailer that agrees. The loop is the acquirer's dearest: it calls little."""
    count = 0
    sums: dict[str, dict[str, int]] = {"CRDT": {}, "DBIT": {}}
    places: dict[str, int] = {}
    days: set[str] = set()
    references: set[str] = set()
    trailer: Row = []
    for row in lines:
        if len(row) != PAYMENT_FIELDS or row[0] != "PD":
            trailer = row
            break
        count += 1
        _, line, reference, direction, amount, currency, day, _, _, _, _, _, _, _, _ = row
        if currency not in places:
            places[currency] = _places(currency, count)
            sums["CRDT"][currency] = sums["DBIT"][currency] = 0
        if day not in days:
            days.add(day_of(day, f"payment {count}"))
        if line != str(count) or not 0 < len(reference) <= REFERENCE_MAX or direction not in sums:
            raise Refused("FF01", f"payment {count}: line number, reference or direction is wrong")
        references.add(reference)
        whole, _, fraction = amount.partition(".")
        digits = whole + fraction
        if not (digits.isdigit() and digits.isascii() and len(amount) - len(digits) == bool(places[currency])):
            raise Refused("AM12", f"payment {count}: the amount cannot be read")
        if len(fraction) != places[currency] or not whole or len(digits) > MINOR_DIGITS_MAX:
            raise Refused("AM12", f"payment {count}: the amount has the wrong decimals or is too large")
        sums[direction][currency] += int(digits)
    counted = {f"{currency}/{way}": minor for way, total in sums.items() for currency, minor in total.items() if minor}
    _trailer(trailer, head, count, counted)
    if next(iter(lines), None) is not None:
        raise Refused("FF01", "there is something behind the trailer")
    if len(references) != count:
        raise Refused("DU04", "a payment reference occurs twice")
    return count, counted


def _places(currency: str, count: int) -> int:
    if not is_currency(currency):
        raise Refused("AM11", f"payment {count}: the currency is not one")
    return decimals(currency)


def day_of(text: str, where: str) -> str:
    """The text itself, when it is a date. Raises Refused."""
    try:
        if date.fromisoformat(text).isoformat() != text:
            raise Refused("DT01", f"{where}: the date is not written year-month-day")
    except ValueError as error:
        raise Refused("DT01", f"{where}: the date is invalid") from error
    return text


def _trailer(row: Row, head: Head, count: int, sums: dict[str, int]) -> None:
    if row[:1] != ["FT"] or len(row) != 5:
        raise Refused("FF01", f"neither a payment nor a trailer follows payment {count}")
    _, claimed, business_date, sequence, totals = row
    if claimed != str(count) or not 0 < count <= PAYMENTS_MAX:
        raise Refused(
            "AM18", f"{count} payments were counted, the trailer says otherwise or this is no size for a file"
        )
    if business_date != head.business_date:
        raise Refused("DT01", "header and trailer name different business dates")
    if sequence != str(head.sequence):
        raise Refused("FF01", "header and trailer name different sequences")
    try:
        agrees = {key: minor for key, minor in sums_of(totals).items() if minor} == sums
    except ValueError:
        agrees = False
    if not agrees:
        raise Refused("AM10", "the sums of the trailer are not the sums that were counted")


def refused_again(checked: Checked) -> Checked:
    """The verdict on a file whose name was used before, whatever is in it; its number is not taken."""
    return replace(
        checked, verdict="RJCT", code="DU01", text="a file of this name was received before", count=0, sums={}
    )
