"""Writes mismatches as CSV (RFC 4180, UTF-8) that no spreadsheet takes for formulas.

Money is in major units with a point, without grouping; times are UTC. Accounts and names are in no mismatch, so in no cell.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from payments.currencies import MINOR_UNITS, text_of_minor
from payments.records import Mismatch

COLUMNS = (
    "id",
    "kind",
    "state",
    "acquirer",
    "business_date",
    "file",
    "result_file",
    "reference",
    "payment_id",
    "direction",
    "expected",
    "expected_currency",
    "reported",
    "reported_currency",
    "reason_code",
    "opened_at",
    "updated_at",
    "closed_at",
    "assignee",
)
BEGINS_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001  (spreadsheets in Japanese take the wide signs as well)
"""A cell that begins so is calculated by spreadsheets, whether quoted or not."""
BEGINS_LATER = re.compile('(?:^(?=[ "]+[=+\\-@＝＋－＠])|(?<=[;\t\r\n])(?=[ "]*[=+\\-@＝＋－＠]))')  # noqa: RUF001
"""Where a cell begins for those that skip blanks, or that separate by semicolons: for these our quotes mean nothing."""


def header() -> bytes:
    return _written([COLUMNS])


def lines(rows: Iterable[tuple[Mismatch, str]]) -> bytes:
    """One line per mismatch and the name of its outbound file."""
    return _written(_cells(mismatch, file) for mismatch, file in rows)


def neutral(text: str) -> str:
    """With an apostrophe wherever a spreadsheet would begin to calculate: what stands behind it is then text."""
    text = BEGINS_LATER.sub("'", text)
    return f"'{text}" if text[:1] in BEGINS_FORMULA else text


def _cells(mismatch: Mismatch, file: str) -> Iterator[str]:
    detail = mismatch.detail
    reported_currency = str(detail.get("reported_currency") or mismatch.currency)
    yield from (neutral(text) for text in (mismatch.id, mismatch.kind, mismatch.state, mismatch.acquirer))
    yield mismatch.business_date.isoformat()
    yield from (
        neutral(text)
        for text in (file, _result_file(mismatch), mismatch.reference, mismatch.payment_id, mismatch.direction)
    )
    yield from _amount(mismatch.expected_minor, mismatch.currency)
    yield from _amount(mismatch.reported_minor, reported_currency)
    yield neutral(str(detail.get("reason_code") or ""))
    yield from (_time(at) for at in (mismatch.opened_at, mismatch.updated_at, mismatch.closed_at))
    yield neutral(mismatch.assignee)


def _result_file(mismatch: Mismatch) -> str:
    """The name in what is known of it: with an outbound file it is the name of that one."""
    return "" if mismatch.file_id else str(mismatch.detail.get("name") or "")


def _amount(minor: int | None, currency: str) -> tuple[str, str]:
    """Two cells. The amount is written by us: a minus that it begins with is one."""
    if minor is None:
        return "", ""
    return text_of_minor(minor, MINOR_UNITS.get(currency, 0)), neutral(currency)


def _time(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="seconds")


def _written(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")
