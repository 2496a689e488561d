"""Turns what an acquirer states as text into rows of payments.tables.REPORTED: whole columns at a time, nothing guessed.

A row that cannot be read exactly gets the first `error` that applies and keeps every value that could be read. Errors name
the field, never its value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from payments.amounts import AmountProblem, minor_from_text
from payments.currencies import MINOR_UNITS
from payments.states import EventStatus
from payments.tables import REPORTED

FIELDS = (
    "end_to_end_id",
    "status",
    "reason_code",
    "reason_text",
    "amount",
    "currency",
    "direction",
    "requested_date",
    "creditor_account",
    "acquirer_reference",
    "stated_at",
)
STATUSES = frozenset(EventStatus)
GROUP_STATUSES = frozenset({"RCVD", "PDNG", "ACTC", "ACCP", "ACWC", "ACSP", "ACSC", "ACCC", "RJCT", "CANC", "PART"})
"""What may be said of a whole file or group: PART only here, RTRN only of one payment."""

AMOUNT_ERRORS = {
    AmountProblem.NOT_A_NUMBER: "amount is not a number",
    AmountProblem.TOO_MANY_DECIMALS: "amount has more decimals than its currency",
    AmountProblem.OVERFLOW: "amount is too large",
}
# The standard library also takes weeks, days of the year and dates without dashes: no acquirer means those.
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
ISO_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")
NOT_PROVIDED = "NOTPROVIDED"  # ISO 20022 usage for a mandatory reference that the sender does not have
NO_TEXT = pa.nulls(1, pa.string())[0]  # pa.scalar looks for pandas: not while this is imported
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Origin:
    """What holds for all rows of one result file. `required` names the FIELDS without which an event says nothing."""

    required: frozenset[str]
    zone: ZoneInfo
    original_file: str | None = None
    original_msg_id: str | None = None
    original_sequence: int | None = None
    stated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stated:
    """n rows as text: `line` int64, `level` and `error` string, `texts` one string array per name of FIELDS (absent: null)."""

    line: pa.Array
    level: pa.Array
    error: pa.Array
    texts: Mapping[str, pa.Array]

    def text(self, name: str) -> pa.Array:
        return self.texts.get(name, pa.nulls(len(self.line), pa.string()))


class StatedRows:
    """Rows gathered one by one, where a format has to be read one by one."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, line: int, *, level: str = "TX", error: str | None = None, **texts: str | None) -> None:
        """`texts` by the names of FIELDS; an empty one is null."""
        row: dict[str, Any] = {name: text or None for name, text in texts.items()}
        row.update(line=line, level=level, error=error)
        self._rows.append(row)

    def take(self) -> Stated:
        """The rows gathered so far; the next ones start a new list."""
        rows, self._rows = self._rows, []

        def column(name: str, kind: pa.DataType) -> pa.Array:
            return pa.array([row.get(name) for row in rows], kind)

        texts = {name: column(name, pa.string()) for name in FIELDS}
        return Stated(column("line", pa.int64()), column("level", pa.string()), column("error", pa.string()), texts)


def reported(stated: Stated, origin: Origin) -> pa.RecordBatch:
    """The rows as REPORTED. Unreadable ones get level TX, so that neither control nor events can hold them."""
    errors = _Errors(stated)
    status = _status(stated, errors)
    reference = pc.utf8_trim_whitespace(stated.text("end_to_end_id"))
    reference = pc.if_else(pc.is_in(reference, pa.array(["", NOT_PROVIDED])), NO_TEXT, reference)
    errors.where(pc.and_(errors.is_event, pc.is_null(reference)), "payment reference is missing")
    columns = {
        "line": stated.line,
        "status": status,
        "status_text": stated.text("status"),
        "end_to_end_id": reference,
        **_money(stated, errors, origin),
        "requested_date": _parsed(stated.text("requested_date"), date_of, pa.date32(), errors, "requested_date"),
        "stated_at": _stated_at(stated, errors, origin),
        **{
            name: stated.text(name) for name in ("reason_code", "reason_text", "creditor_account", "acquirer_reference")
        },
        **_origin_columns(len(stated.line), origin),
        "error": errors.column,
        "level": pc.if_else(pc.is_null(errors.column), stated.level, "TX"),
    }
    return pa.record_batch([columns[name] for name in REPORTED.names], schema=REPORTED)


class _Errors:
    """The first error of each row; null while it has none."""

    def __init__(self, stated: Stated) -> None:
        self.column = stated.error
        # A row that is unreadable as a whole is asked nothing more.
        self.is_event = pc.and_(pc.equal(stated.level, "TX"), pc.is_null(stated.error))

    def where(self, wrong: pa.Array, text: str) -> None:
        if pc.any(wrong).as_py():
            first = pc.and_(pc.fill_null(wrong, fill_value=False), pc.is_null(self.column))
            self.column = pc.if_else(first, text, self.column)


def _status(stated: Stated, errors: _Errors) -> pa.Array:
    """EventStatus or null; PART stays in the text only. A status we do not know is an error, never an acceptance (I6)."""
    text = stated.text("status")
    of_payment = pc.is_in(text, pa.array(sorted(STATUSES)))
    of_group = pc.or_(pc.is_null(text), pc.is_in(text, pa.array(sorted(GROUP_STATUSES))))
    errors.where(pc.and_(errors.is_event, pc.is_null(text)), "status is missing")
    legal = pc.if_else(pc.equal(stated.level, "TX"), of_payment, of_group)
    errors.where(pc.and_(pc.is_valid(text), pc.invert(legal)), "unknown status")
    return pc.if_else(of_payment, text, NO_TEXT)


def _money(stated: Stated, errors: _Errors, origin: Origin) -> dict[str, pa.Array]:
    """Amount in minor units, currency and direction: each null where it is not stated or cannot be read exactly."""
    for name in ("amount", "currency", "direction"):
        if name in origin.required:
            errors.where(pc.and_(errors.is_event, pc.is_null(stated.text(name))), f"{name} is missing")
    currency, unit = _currencies(stated.text("currency"))
    errors.where(pc.and_(pc.is_valid(stated.text("currency")), pc.is_null(currency)), "currency is not in ISO 4217")
    directions = stated.text("direction")
    direction = pc.if_else(pc.is_in(directions, pa.array(["CRDT", "DBIT"])), directions, NO_TEXT)
    errors.where(pc.and_(pc.is_valid(directions), pc.is_null(direction)), "direction is neither CRDT nor DBIT")

    amounts = minor_from_text(stated.text("amount"), unit)
    for problem, text in AMOUNT_ERRORS.items():
        errors.where(pa.array(amounts.problem == problem), text)
    unpriced = pc.and_(pc.is_valid(stated.text("amount")), pc.is_null(stated.text("currency")))
    errors.where(unpriced, "amount has no currency")
    errors.where(pa.array(amounts.negative), "amount is negative")
    minor = pa.array(amounts.minor, mask=~amounts.valid | amounts.negative)
    return {"amount_minor": minor, "currency": currency, "direction": direction}


def _currencies(text: pa.Array) -> tuple[pa.Array, np.ndarray[Any, np.dtype[np.int8]]]:
    """Known codes, null for all else, and the decimals of each row (-1: unknown)."""
    codes = pa.array(list(MINOR_UNITS), pa.string())
    index = pc.index_in(text, codes)
    units = pa.array(list(MINOR_UNITS.values()), pa.int8()).take(index)
    return codes.take(index), pc.fill_null(units, -1).to_numpy()


def _stated_at(stated: Stated, errors: _Errors, origin: Origin) -> pa.Array:
    kind = pa.timestamp("us", tz="UTC")
    at = _parsed(stated.text("stated_at"), lambda text: time_of(text, origin.zone), kind, errors, "stated_at")
    return at if origin.stated_at is None else pc.fill_null(at, pa.scalar(origin.stated_at, kind))


def _parsed(
    text: pa.Array, parse: Callable[[str], V | None], kind: pa.DataType, errors: _Errors, name: str
) -> pa.Array:
    """Each distinct text is parsed once: a file repeats a few dates and times many times over."""
    encoded = text.dictionary_encode()
    values = pa.array([parse(each) for each in encoded.dictionary.to_pylist()], kind)
    found = values.take(encoded.indices)
    errors.where(pc.and_(pc.is_valid(text), pc.is_null(found)), f"{name} cannot be read")
    return found


def date_of(text: str) -> date | None:
    """`2026-03-02`; None for anything else."""
    try:
        return date.fromisoformat(text) if ISO_DATE.fullmatch(text) else None
    except ValueError:
        return None


def time_of(text: str, zone: ZoneInfo) -> datetime | None:
    """`2026-03-02T06:00:00Z`, with offset or fractions or without; without offset it is local time in `zone`."""
    try:
        at = datetime.fromisoformat(text) if ISO_TIME.match(text) else None
        return at and (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _origin_columns(rows: int, origin: Origin) -> dict[str, pa.Array]:
    return {
        "original_file": pa.repeat(pa.scalar(origin.original_file, pa.string()), rows),
        "original_msg_id": pa.repeat(pa.scalar(origin.original_msg_id, pa.string()), rows),
        "original_sequence": pa.repeat(pa.scalar(origin.original_sequence, pa.int64()), rows),
    }
