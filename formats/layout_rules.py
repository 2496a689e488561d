"""Finds what is wrong with the declared layout of an acquirer before a file is written by it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date

from formats.layout_names import AROUND, COUNTED, DETAIL
from payments.config import AcquirerSection
from payments.config_files import DelimitedColumns, FixedField, FixedWidth

Problem = tuple[str, object, str]
"""(the key's path below the acquirer, what was found, what is allowed)."""

MONEY_KEY = re.compile(r"[A-Z]{3}(/(CRDT|DBIT))?")
CODED = ("direction", "currency")


def layout_problems(acquirer: AcquirerSection) -> Iterator[Problem]:
    """Everything found, in the order of the keys; nothing when files can be written by it and counted again."""
    for name in ("fixed_width", "delimited_columns"):
        if acquirer.format == name and getattr(acquirer, name) is None:
            yield name, "nothing", f"a table: format {name} is declared by it"
        if acquirer.format != name and getattr(acquirer, name) is not None:
            yield name, "a table", f"only format {name} has it"
    match acquirer.layout:
        case FixedWidth() as layout:
            yield from _fixed_width(layout)
        case DelimitedColumns() as layout:
            yield from _columns(layout)
        case _:
            pass
    for key in acquirer.split.amount_per_file_max:
        if not MONEY_KEY.fullmatch(key):
            yield "split.amount_per_file_max", key, "a currency, or currency and direction: EUR, EUR/CRDT, EUR/DBIT"


def _columns(layout: DelimitedColumns) -> Iterator[Problem]:
    for name in layout.columns:
        if name not in DETAIL:
            yield "delimited_columns.columns", name, ", ".join(DETAIL)
    yield from _counted("delimited_columns.columns", layout.columns)
    if layout.titles and len(layout.titles) != len(layout.columns):
        yield "delimited_columns.titles", len(layout.titles), f"as many titles as columns: {len(layout.columns)}"


def _fixed_width(layout: FixedWidth) -> Iterator[Problem]:
    for number, each in enumerate(layout.field):
        for key, found, allowed in _field(each, layout.date_format):
            yield f"fixed_width.field[{number}].{key}", found, allowed
    for record in ("header", "detail", "trailer"):
        known = DETAIL if record == "detail" else AROUND
        names = [each.name for each in layout.field if each.record == record and each.name in known]
        if record == "detail":
            yield from _counted("fixed_width.field", names)
        else:
            yield from _twice("fixed_width.field", names)


def _field(field: FixedField, date_format: str) -> Iterator[Problem]:
    known = DETAIL if field.record == "detail" else AROUND
    if field.constant is None and field.name not in known:
        yield "name", field.name, f"with a constant any name; else {', '.join(known)}"
    if field.constant is not None and field.record != "detail" and field.name in AROUND:
        yield "name", field.name, "for a constant a name that is no value of the file"
    if field.constant is not None and not _fits(field, field.constant):
        yield "constant", f"{len(field.constant)} characters", f"at most {field.width} printable characters"
    if field.pad == "0" and field.align == "left":
        yield "pad", "0 behind the value", "a blank: zeros behind a value would change it"
    if field.name in {"requested_date", "business_date"} and field.width < len(date(2026, 3, 2).strftime(date_format)):
        yield "width", field.width, "room for a date of date_format"
    if not field.values:
        return
    if field.record != "detail" or field.name not in CODED or field.constant is not None:
        yield "values", field.name, f"codes for {' and '.join(CODED)} of a detail record, without constant"
    if len(set(field.values.values())) != len(field.values):
        yield "values", "one code for two values", "a code of its own for each value"
    if not all(text == text.strip(field.pad) and _fits(field, text) and text for text in field.values.values()):
        yield "values", "a code that its field cannot hold", f"1 to {field.width} characters, none of them the padding"


def _fits(field: FixedField, text: str) -> bool:
    return len(text) <= field.width and text.isprintable()


def _counted(key: str, names: Sequence[str]) -> Iterator[Problem]:
    """What a file must hold so that it can be counted again from its bytes."""
    yield from _twice(key, names)
    missing = [name for name in COUNTED if name not in names]
    if not {"amount", "amount_minor"} & {*names}:
        missing.append("amount or amount_minor")
    if missing:
        yield key, "a layout that cannot be counted again", f"also {', '.join(missing)}"


def _twice(key: str, names: Sequence[str]) -> Iterator[Problem]:
    for name, times in Counter(names).items():
        if times > 1:
            yield key, name, "each value of ours once per record"
