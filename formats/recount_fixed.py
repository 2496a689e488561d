"""Counts the payments of a fixed-width file again, from its bytes and the layout that it was written by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from formats.recounted import Recounted
from payments.config_files import FixedField, FixedWidth
from payments.currencies import MINOR_UNITS, text_of_minor
from payments.errors import Unreadable

NUMBERS = {"line", "amount", "amount_minor", "sequence", "count", "sum_minor"}
STATED = {
    "file_name": "file name",
    "message_id": "message id",
    "sequence": "sequence",
    "business_date": "business date",
    "count": "count",
    "sum_minor": "sum of minor units",
}


def recount_fixed(path: Path, layout: FixedWidth) -> Recounted:
    """Stream the file in constant memory. Raises Unreadable where a record has not exactly the width of its fields."""
    found = Recounted()
    parts = {name: [each for each in layout.field if each.record == name] for name in ("header", "detail", "trailer")}
    records = _records(path, layout)
    last = ""
    if parts["header"]:
        found.stated |= _stated(_values(next(records, ""), parts["header"], "header"), layout, "")
    for record in records:
        # A line is known to be the trailer only when no other follows it.
        if parts["trailer"]:
            record, last = last, record  # noqa: PLW2901
            if not record:
                continue
        add_payment(found, _values(record, parts["detail"], f"payment {found.count + 1}"), layout.date_format)
    if parts["trailer"]:
        found.stated |= _stated(_values(last, parts["trailer"], "trailer"), layout, "trailer ")
    return found


def _records(path: Path, layout: FixedWidth) -> Iterator[str]:
    end = b"\r\n" if layout.line_end == "crlf" else b"\n"
    width_max = sum(each.width for each in layout.field) + len(end)
    with path.open("rb") as file:
        while line := file.readline(width_max + 1):
            if not line.endswith(end):
                raise Unreadable("a record is too long, or the file ends within it")
            try:
                yield line.removesuffix(end).decode(layout.encoding)
            except UnicodeDecodeError:
                raise Unreadable(f"the file is not {layout.encoding}") from None


def _values(record: str, fields: list[FixedField], where: str) -> dict[str, str]:
    if len(record) != sum(each.width for each in fields):
        raise Unreadable(f"{where}: the record has not the width of its fields")
    values, at = {}, 0
    for each in fields:
        whole = record[at : at + each.width]
        at += each.width
        text = whole.lstrip(each.pad) if each.align == "right" else whole.rstrip(each.pad)
        if each.constant is not None:
            text = each.constant
            if whole != (
                text.rjust(each.width, each.pad) if each.align == "right" else text.ljust(each.width, each.pad)
            ):
                raise Unreadable(f"{where}: field {each.name} is not the constant that it must be")
        if each.values:
            text = next((ours for ours, theirs in each.values.items() if theirs == text), "")
        values[each.name] = text or ("0" if each.name in NUMBERS else "")
    return values


def add_payment(found: Recounted, values: dict[str, str], date_format: str) -> None:
    """Count one payment from the texts of its fields by our names. Raises Unreadable when one cannot be read exactly."""
    if values.get("line", str(found.count + 1)) != str(found.count + 1):
        raise Unreadable(f"payment {found.count + 1} bears another number")
    currency = values["currency"]
    amount = values["amount"] if "amount" in values else _major(values["amount_minor"], currency)
    requested = day_of(values["requested_date"], date_format)
    found.add(values["end_to_end_id"], values["direction"], amount, currency, requested)
    if "amount" in values and "amount_minor" in values and _major(values["amount_minor"], currency) != amount:
        raise Unreadable(f"payment {found.count}: its two amounts differ")


def _major(digits: str, currency: str) -> str:
    unit = MINOR_UNITS.get(currency)
    readable = unit is not None and digits.isascii() and digits.isdigit() and len(digits) <= 19
    return text_of_minor(int(digits), unit or 0) if readable else ""


def day_of(text: str, date_format: str) -> str:
    """The ISO date that a text says in exactly this format; empty for any other text."""
    try:
        day = datetime.strptime(text, date_format).date()  # noqa: DTZ007  (a date has no zone)
    except ValueError:
        return ""
    return day.isoformat() if day.strftime(date_format) == text else ""


def _stated(values: dict[str, str], layout: FixedWidth, prefix: str) -> dict[str, str]:
    """By the names that a proof compares."""
    stated = {prefix + STATED[name]: text for name, text in values.items() if name in STATED}
    if prefix + "business date" in stated:
        stated[prefix + "business date"] = day_of(values["business_date"], layout.date_format)
    return stated
