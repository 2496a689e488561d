"""Writes payments as ISO 20022 pain.001 (CustomerCreditTransferInitiation), by template and whole columns at a time.

    GrpHdr      MsgId is the file_id; NbOfTxs and CtrlSum of the whole file, from the plan
    PmtInf      one per run of neighbouring rows with the same debtor, account, agent and date; ends with a batch
    CdtTrfTxInf one per payment

The versions differ in the element of a BIC and in how the date is wrapped; what we say is the same in all of them.
"""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from formats.header import FileHeader
from formats.pain_text import (
    BIC_2009,
    LENGTH_MAX,
    Dialect,
    Ints,
    account,
    agent,
    agent_or_none,
    at_starts,
    group_ids,
    group_starts,
    group_sums,
    joined,
    purpose,
    wrapped,
    write_message,
)
from formats.rows import CountedRows, text_bytes
from payments.amounts import text_from_minor

__all__ = ["DIALECTS", "LENGTH_MAX", "NAMESPACE", "write_pain001"]


def _dialect(version: str, date: tuple[str, str], bic: tuple[str, ...] = ()) -> Dialect:
    return Dialect(
        f"pain.001.001.{version}",
        "CstmrCdtTrfInitn",
        "CRDT",
        "a debit cannot be sent as a credit transfer",
        ("end_to_end_id", "debtor_account"),
        ("debtor_account", "requested_date", "debtor_name", "debtor_agent"),
        date,
        *bic,
    )


DATE_CHOICE = ("<ReqdExctnDt><Dt>", "</Dt></ReqdExctnDt>")
DIALECTS = {
    each.format: each
    for each in (
        _dialect("03", ("<ReqdExctnDt>", "</ReqdExctnDt>"), ("BIC", BIC_2009)),
        _dialect("09", DATE_CHOICE),
        _dialect("11", DATE_CHOICE),
    )
}
NAMESPACE = DIALECTS["pain.001.001.09"].namespace


def write_pain001(header: FileHeader, rows: CountedRows, sink: BinaryIO, version: str = "pain.001.001.09") -> None:
    """Write the whole message. Raises SetAside, naming the payment, for a row that pain.001 cannot say, and BooksOff."""
    write_message(header, rows, sink, DIALECTS[version], _payments)


def _payments(batch: pa.RecordBatch, dialect: Dialect, message_id: str, groups_before: int) -> tuple[bytes, int]:
    """All PmtInf of one batch, and how many they are."""
    starts = group_starts(batch, dialect.grouped_by)
    heads = _group_heads(batch, dialect, starts, message_id, groups_before)
    text = joined(
        at_starts(heads, starts, batch.num_rows),
        "\n<CdtTrfTxInf><PmtId><EndToEndId>",
        batch["end_to_end_id"],
        '</EndToEndId></PmtId><Amt><InstdAmt Ccy="',
        batch["currency"],
        '">',
        text_from_minor(batch["amount_minor"], batch["minor_unit"].to_numpy()),
        "</InstdAmt></Amt>",
        wrapped("<CdtrAgt>", agent(batch["creditor_agent"], dialect), "</CdtrAgt>"),
        wrapped("<Cdtr><Nm>", batch["creditor_name"], "</Nm></Cdtr>"),
        wrapped("<CdtrAcct>", account(batch["creditor_account"]), "</CdtrAcct>"),
        wrapped("<Purp>", purpose(batch["purpose"]), "</Purp>"),
        wrapped("<RmtInf><Ustrd>", batch["remittance_unstructured"], "</Ustrd></RmtInf>"),
        "</CdtTrfTxInf>",
    )
    return text_bytes(text) + b"\n</PmtInf>", len(starts)


def _group_heads(
    batch: pa.RecordBatch, dialect: Dialect, starts: Ints, message_id: str, groups_before: int
) -> pa.Array:
    """The opening of each PmtInf up to its first payment."""
    first = batch.take(pa.array(starts))
    before, after = dialect.date
    return joined(
        group_ids(len(starts), message_id, groups_before),
        "</PmtInfId><PmtMtd>TRF</PmtMtd>",
        group_sums(batch, starts),
        before,
        pc.cast(first["requested_date"], pa.string()),
        f"{after}<Dbtr>",
        wrapped("<Nm>", first["debtor_name"], "</Nm>"),
        "</Dbtr><DbtrAcct>",
        account(first["debtor_account"]),
        "</DbtrAcct><DbtrAgt>",
        agent_or_none(first["debtor_agent"], dialect),
        "</DbtrAgt>",
    )
