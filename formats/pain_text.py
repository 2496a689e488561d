"""What pain.001 and pain.008 have in common: the group header, texts that XML can hold, groups of payments and their sums.

A control sum adds the plain numbers whatever their currency, as ISO 20022 defines it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from formats.header import FileHeader
from formats.rows import CountedRows, refuse_where, text_bytes
from payments.amounts import text_of_minor
from payments.books import Total
from payments.currencies import MINOR_UNITS
from payments.errors import SetAside

DIGITS_MAX = 18  # totalDigits of ActiveOrHistoricCurrencyAndAmount and of DecimalNumber
LENGTH_MAX = {
    "end_to_end_id": 35,
    "debtor_name": 140,
    "debtor_account": 34,
    "debtor_agent": 35,
    "creditor_name": 140,
    "creditor_account": 34,
    "creditor_agent": 35,
    "purpose": 35,
    "remittance_unstructured": 140,
}

IBAN = "^[A-Z]{2}[0-9]{2}[A-Za-z0-9]{11,30}$"
BIC = "^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$"
PURPOSE_CODE = "^[A-Z0-9]{4}$"
BIC_2009 = "^[A-Z]{6}[A-Z2-9][A-NP-Z0-9]([A-Z0-9]{3})?$"  # of the versions before BICFI

ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))  # a bare CR would be read back as LF
CONTROLS = bytes(set(range(32)) - {9, 10, 13})
NONCHARACTERS = ("\ufffe", "\uffff")
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version of a message. `date` stands around the date of a group, `bic` names the element of an agent's BIC."""

    format: str
    root: str
    direction: str
    wrong_direction: str
    required: tuple[str, ...]
    grouped_by: tuple[str, ...]
    date: tuple[str, str]
    bic: str = "BICFI"
    bic_pattern: str = BIC

    @property
    def namespace(self) -> str:
        return f"urn:iso:std:iso:20022:tech:xsd:{self.format}"


def head(header: FileHeader, dialect: Dialect) -> bytes:
    """Everything up to the first group. Raises SetAside for a file without payments: the message must hold one."""
    if header.total.count == 0:
        raise SetAside(f"file {header.name}: {dialect.format} must hold at least one payment")
    name = f"<Nm>{_escaped(header.initiating_party)}</Nm>" if header.initiating_party else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{dialect.namespace}">\n<{dialect.root}>\n'
        f"<GrpHdr><MsgId>{_escaped(header.message_id)}</MsgId><CreDtTm>{header.created_at_text}</CreDtTm>"
        f"<NbOfTxs>{header.total.count}</NbOfTxs>{_control_sum(*_sum_of(header.total))}"
        f"<InitgPty>{name}</InitgPty></GrpHdr>"
    ).encode()


def foot(dialect: Dialect) -> bytes:
    """Everything behind the last group."""
    return f"\n</{dialect.root}>\n</Document>\n".encode()


Payments = Callable[[pa.RecordBatch, Dialect, str, int], tuple[bytes, int]]
"""(checked batch, dialect, message id, groups before it) -> its PmtInf as bytes, and how many they are."""


def write_message(header: FileHeader, rows: CountedRows, sink: BinaryIO, dialect: Dialect, payments: Payments) -> None:
    """Write the whole message. Raises SetAside, naming the payment, for a row that the dialect cannot say, and BooksOff."""
    sink.write(head(header, dialect))
    groups = 0
    for batch in rows:
        text, found = payments(checked(batch, dialect), dialect, header.message_id, groups)
        sink.write(text)
        groups += found
    rows.check()
    sink.write(foot(dialect))


def _sum_of(total: Total) -> tuple[int, int]:
    """The sum over all currencies in units of the finest of them, and how many decimals that has."""
    sums = [(minor, MINOR_UNITS[key.partition("/")[0]]) for key, minor in total.amount_minor.items()]
    scale = max((unit for _, unit in sums), default=0)
    return sum(minor * 10 ** (scale - unit) for minor, unit in sums), scale


def _control_sum(minor: int, scale: int) -> str:
    # The element is optional, and a sum of more digits than the schema allows cannot be said at all.
    return "" if len(str(minor)) > DIGITS_MAX else f"<CtrlSum>{text_of_minor(minor, scale)}</CtrlSum>"


def _escaped(text: str) -> str:
    if ILLEGAL.search(text):
        raise SetAside("initiating_party or message id holds a character that XML cannot hold")
    for character, entity in ESCAPES:
        text = text.replace(character, entity)
    return text


def checked(batch: pa.RecordBatch, dialect: Dialect) -> pa.RecordBatch:
    """The batch with blank texts as null and all texts escaped, once every row is known to fit the message."""
    refuse_where(batch, pc.not_equal(batch["direction"], dialect.direction), dialect.wrong_direction)
    # Amounts of 10**18 minor units and more have 19 digits.
    refuse_where(batch, pc.greater_equal(batch["amount_minor"], 10**DIGITS_MAX), "the amount has more than 18 digits")
    columns = {name: batch[name] for name in batch.schema.names}
    for name, length_max in LENGTH_MAX.items():
        refuse_where(
            batch, pc.greater(pc.utf8_length(columns[name]), length_max), f"{name} is longer than {length_max}"
        )
        _refuse_illegal(batch, name)
        columns[name] = _escaped_column(_blank_to_null(columns[name]))
    for name in dialect.required:
        if columns[name].null_count:
            refuse_where(batch, pc.is_null(columns[name]), f"{name} is missing")
    return pa.record_batch(columns)


def _refuse_illegal(batch: pa.RecordBatch, name: str) -> None:
    data = text_bytes(batch[name])
    if len(data.translate(None, CONTROLS)) == len(data) and not any(each.encode() in data for each in NONCHARACTERS):
        return
    illegal = pa.array([text is not None and bool(ILLEGAL.search(text)) for text in batch[name].to_pylist()])
    refuse_where(batch, illegal, f"{name} holds a character that XML cannot hold")


def _blank_to_null(column: pa.Array) -> pa.Array:
    # The schema asks for at least one character: an empty element would be invalid, an absent one is not.
    shortest = pc.min(pc.binary_length(column)).as_py()
    return column if shortest != 0 else pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _escaped_column(column: pa.Array) -> pa.Array:
    data = text_bytes(column)
    for character, entity in ESCAPES:
        if character.encode() in data:
            column = pc.replace_substring(column, character, entity)
    return column


def group_starts(batch: pa.RecordBatch, grouped_by: tuple[str, ...]) -> Ints:
    """Rows, from 0, where one of `grouped_by` differs from the row before."""
    changes = np.zeros(batch.num_rows, dtype=np.bool_)
    changes[0] = True
    for name in grouped_by:
        codes = batch[name].dictionary_encode(null_encoding="encode").indices.to_numpy()
        changes[1:] |= codes[1:] != codes[:-1]
    return np.flatnonzero(changes)


def group_ids(groups: int, message_id: str, groups_before: int) -> pa.Array:
    """The opening of each PmtInf up to its identity; each but the first closes the one before it."""
    closes = ["", *["\n</PmtInf>"] * (groups - 1)]
    # 24 + 1 + 10 characters: PmtInfId is a Max35Text and only has to be unique within the message.
    return pa.array(
        [
            f"{close}\n<PmtInf><PmtInfId>{message_id[:24]}-{groups_before + 1 + group}"
            for group, close in enumerate(closes)
        ],
        pa.string(),
    )


def at_starts(heads: pa.Array, starts: Ints, rows: int) -> pa.Array:
    """One entry per row: the head of a group where the group starts, null elsewhere."""
    row_to_head = np.full(rows, -1, dtype=np.int64)
    row_to_head[starts] = np.arange(len(starts))
    return heads.take(pa.array(row_to_head, mask=row_to_head < 0))


def group_sums(batch: pa.RecordBatch, starts: Ints) -> pa.Array:
    """NbOfTxs and CtrlSum of each group: Python integers, because a sum may pass int64."""
    unit = batch["minor_unit"].to_numpy().astype(np.int64)
    scales = np.maximum.reduceat(unit, starts)
    ends = np.append(starts, batch.num_rows)
    shift = np.repeat(scales, np.diff(ends)) - unit
    amounts = batch["amount_minor"].to_numpy().astype(object) * (10 ** shift.astype(object))
    sums: list[int] = np.add.reduceat(amounts, starts).tolist()
    counts = [int(end - start) for start, end in pairwise(ends)]
    texts = [
        f"<NbOfTxs>{count}</NbOfTxs>{_control_sum(minor, int(scale))}"
        for count, minor, scale in zip(counts, sums, scales, strict=True)
    ]
    return pa.array(texts, pa.string())


def account(column: pa.Array) -> pa.Array:
    """An account; null where there is none."""
    return _either(column, IBAN, ("<Id><IBAN>", "</IBAN></Id>"), ("<Id><Othr><Id>", "</Id></Othr></Id>"))


def agent(column: pa.Array, dialect: Dialect) -> pa.Array:
    """An agent; null where there is none."""
    known = (f"<FinInstnId><{dialect.bic}>", f"</{dialect.bic}></FinInstnId>")
    return _either(column, dialect.bic_pattern, known, ("<FinInstnId><Othr><Id>", "</Id></Othr></FinInstnId>"))


def purpose(column: pa.Array) -> pa.Array:
    """A purpose; null where there is none."""
    return _either(column, PURPOSE_CODE, ("<Cd>", "</Cd>"), ("<Prtry>", "</Prtry>"))


def _either(column: pa.Array, pattern: str, known: tuple[str, str], other: tuple[str, str]) -> pa.Array:
    """Values of the pattern between the first pair of tags, all others between the second; null stays null."""
    matches = pc.match_substring_regex(column, pattern)
    if pc.all(matches).as_py() is not False:
        return wrapped(known[0], column, known[1])
    return pc.if_else(matches, wrapped(known[0], column, known[1]), wrapped(other[0], column, other[1]))


def wrapped(before: str, column: pa.Array, after: str) -> pa.Array:
    """Each value between two texts; null stays null."""
    return pc.binary_join_element_wise(before, column, after, "")


def joined(*parts: Any) -> pa.Array:
    """Columns and constants end to end; a null is nothing."""
    return pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="")


def agent_or_none(column: pa.Array, dialect: Dialect) -> pa.Array:
    """An agent, where the schema wants one: NOTPROVIDED where there is none, as ISO 20022 practice has it."""
    nobody = "<FinInstnId><Othr><Id>NOTPROVIDED</Id></Othr></FinInstnId>"
    return pc.fill_null(agent(column, dialect), nobody)
