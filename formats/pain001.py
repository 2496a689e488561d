"""Writes payments as ISO 20022 pain.001.001.09 (CustomerCreditTransferInitiation), by template and whole columns at a time.

    GrpHdr      MsgId is the file_id; NbOfTxs and CtrlSum of the whole file, from the plan
    PmtInf      one per run of neighbouring rows with the same debtor, account, agent and date; ends with a batch
    CdtTrfTxInf one per payment

A control sum adds the plain numbers whatever their currency, as ISO 20022 defines it.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from formats.header import FileHeader
from formats.rows import CountedRows, refuse_where, text_bytes
from payments.amounts import text_from_minor, text_of_minor
from payments.books import Total
from payments.currencies import MINOR_UNITS
from payments.errors import SetAside

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
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
GROUPED_BY = ("debtor_account", "requested_date", "debtor_name", "debtor_agent")

IBAN = "^[A-Z]{2}[0-9]{2}[A-Za-z0-9]{11,30}$"
BIC = "^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$"
PURPOSE_CODE = "^[A-Z0-9]{4}$"

ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))  # a bare CR would be read back as LF
CONTROLS = bytes(set(range(32)) - {9, 10, 13})
NONCHARACTERS = ("\ufffe", "\uffff")
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

Ints = npt.NDArray[np.int64]


def write_pain001(header: FileHeader, rows: CountedRows, sink: BinaryIO) -> None:
    """Write the whole message. Raises SetAside, naming the payment, for a row that pain.001 cannot say, and BooksOff."""
    if header.total.count == 0:
        raise SetAside(f"file {header.name}: pain.001 must hold at least one payment")
    sink.write(_head(header).encode())
    groups = 0
    for batch in rows:
        text, found = _payments(_checked(batch), header.message_id, groups)
        sink.write(text)
        groups += found
    rows.check()
    sink.write(b"\n</CstmrCdtTrfInitn>\n</Document>\n")


def _head(header: FileHeader) -> str:
    name = f"<Nm>{_escaped(header.initiating_party)}</Nm>" if header.initiating_party else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{NAMESPACE}">\n<CstmrCdtTrfInitn>\n'
        f"<GrpHdr><MsgId>{_escaped(header.message_id)}</MsgId><CreDtTm>{header.created_at_text}</CreDtTm>"
        f"<NbOfTxs>{header.total.count}</NbOfTxs>{_control_sum(*_sum_of(header.total))}"
        f"<InitgPty>{name}</InitgPty></GrpHdr>"
    )


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


def _checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with blank texts as null and all texts escaped, once every row is known to fit the message."""
    refuse_where(batch, pc.not_equal(batch["direction"], "CRDT"), "a debit cannot be sent as a credit transfer")
    # Amounts of 10**18 minor units and more have 19 digits.
    refuse_where(batch, pc.greater_equal(batch["amount_minor"], 10**DIGITS_MAX), "the amount has more than 18 digits")
    columns = {name: batch[name] for name in batch.schema.names}
    for name, length_max in LENGTH_MAX.items():
        refuse_where(
            batch, pc.greater(pc.utf8_length(columns[name]), length_max), f"{name} is longer than {length_max}"
        )
        _refuse_illegal(batch, name)
        columns[name] = _escaped_column(_blank_to_null(columns[name]))
    for name in ("end_to_end_id", "debtor_account"):
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


def _payments(batch: pa.RecordBatch, message_id: str, groups_before: int) -> tuple[bytes, int]:
    """All PmtInf of one batch, and how many they are."""
    starts = _group_starts(batch)
    heads = _group_heads(batch, starts, message_id, groups_before)
    row_to_head = np.full(batch.num_rows, -1, dtype=np.int64)
    row_to_head[starts] = np.arange(len(starts))
    text = _joined(
        heads.take(pa.array(row_to_head, mask=row_to_head < 0)),
        "\n<CdtTrfTxInf><PmtId><EndToEndId>",
        batch["end_to_end_id"],
        '</EndToEndId></PmtId><Amt><InstdAmt Ccy="',
        batch["currency"],
        '">',
        text_from_minor(batch["amount_minor"], batch["minor_unit"].to_numpy()),
        "</InstdAmt></Amt>",
        _wrapped("<CdtrAgt>", _agent(batch["creditor_agent"]), "</CdtrAgt>"),
        _wrapped("<Cdtr><Nm>", batch["creditor_name"], "</Nm></Cdtr>"),
        _wrapped("<CdtrAcct>", _account(batch["creditor_account"]), "</CdtrAcct>"),
        _wrapped("<Purp>", _purpose(batch["purpose"]), "</Purp>"),
        _wrapped("<RmtInf><Ustrd>", batch["remittance_unstructured"], "</Ustrd></RmtInf>"),
        "</CdtTrfTxInf>",
    )
    return text_bytes(text) + b"\n</PmtInf>", len(starts)


def _group_starts(batch: pa.RecordBatch) -> Ints:
    """Rows, from 0, where one of GROUPED_BY differs from the row before."""
    changes = np.zeros(batch.num_rows, dtype=np.bool_)
    changes[0] = True
    for name in GROUPED_BY:
        codes = batch[name].dictionary_encode(null_encoding="encode").indices.to_numpy()
        changes[1:] |= codes[1:] != codes[:-1]
    return np.flatnonzero(changes)


def _group_heads(batch: pa.RecordBatch, starts: Ints, message_id: str, groups_before: int) -> pa.Array:
    """The opening of each PmtInf up to its first payment; each but the first closes the one before it."""
    first = batch.take(pa.array(starts))
    ordinals = [groups_before + 1 + group for group in range(len(starts))]
    closes = ["", *["\n</PmtInf>"] * (len(starts) - 1)]
    # 24 + 1 + 10 characters: PmtInfId is a Max35Text and only has to be unique within the message.
    identities = [
        f"{close}\n<PmtInf><PmtInfId>{message_id[:24]}-{n}" for close, n in zip(closes, ordinals, strict=True)
    ]
    return _joined(
        pa.array(identities, pa.string()),
        "</PmtInfId><PmtMtd>TRF</PmtMtd>",
        pa.array(_group_sums(batch, starts), pa.string()),
        "<ReqdExctnDt><Dt>",
        pc.cast(first["requested_date"], pa.string()),
        "</Dt></ReqdExctnDt><Dbtr>",
        _wrapped("<Nm>", first["debtor_name"], "</Nm>"),
        "</Dbtr><DbtrAcct>",
        _account(first["debtor_account"]),
        "</DbtrAcct><DbtrAgt>",
        pc.fill_null(_agent(first["debtor_agent"]), "<FinInstnId><Othr><Id>NOTPROVIDED</Id></Othr></FinInstnId>"),
        "</DbtrAgt>",
    )


def _group_sums(batch: pa.RecordBatch, starts: Ints) -> list[str]:
    """NbOfTxs and CtrlSum of each group: Python integers, because a sum may pass int64."""
    unit = batch["minor_unit"].to_numpy().astype(np.int64)
    scales = np.maximum.reduceat(unit, starts)
    ends = np.append(starts, batch.num_rows)
    shift = np.repeat(scales, np.diff(ends)) - unit
    amounts = batch["amount_minor"].to_numpy().astype(object) * (10 ** shift.astype(object))
    sums: list[int] = np.add.reduceat(amounts, starts).tolist()
    counts = [int(end - start) for start, end in pairwise(ends)]
    return [
        f"<NbOfTxs>{count}</NbOfTxs>{_control_sum(minor, int(scale))}"
        for count, minor, scale in zip(counts, sums, scales, strict=True)
    ]


def _account(column: pa.Array) -> pa.Array:
    return _either(column, IBAN, ("<Id><IBAN>", "</IBAN></Id>"), ("<Id><Othr><Id>", "</Id></Othr></Id>"))


def _agent(column: pa.Array) -> pa.Array:
    known = ("<FinInstnId><BICFI>", "</BICFI></FinInstnId>")
    return _either(column, BIC, known, ("<FinInstnId><Othr><Id>", "</Id></Othr></FinInstnId>"))


def _purpose(column: pa.Array) -> pa.Array:
    return _either(column, PURPOSE_CODE, ("<Cd>", "</Cd>"), ("<Prtry>", "</Prtry>"))


def _either(column: pa.Array, pattern: str, known: tuple[str, str], other: tuple[str, str]) -> pa.Array:
    """Values of the pattern between the first pair of tags, all others between the second; null stays null."""
    matches = pc.match_substring_regex(column, pattern)
    if pc.all(matches).as_py() is not False:
        return _wrapped(known[0], column, known[1])
    return pc.if_else(matches, _wrapped(known[0], column, known[1]), _wrapped(other[0], column, other[1]))


def _wrapped(before: str, column: pa.Array, after: str) -> pa.Array:
    return pc.binary_join_element_wise(before, column, after, "")


def _joined(*parts: Any) -> pa.Array:
    """Columns and constants end to end; a null is nothing."""
    return pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="")
