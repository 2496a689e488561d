"""Writes payments as ISO 20022 pain.008 (CustomerDirectDebitInitiation), by template and whole columns at a time.

    GrpHdr       MsgId is the file_id; NbOfTxs and CtrlSum of the whole file, from the plan
    PmtInf       one per run of neighbouring rows with the same creditor, account, agent and date; ends with a batch
    DrctDbtTxInf one per payment

Mandates and creditor scheme identities are not in our payments: the message is valid without them, a scheme may ask for more.
"""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from formats.header import FileHeader
from formats.pain_text import (
    Dialect,
    Ints,
    account,
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

DIALECT = Dialect(
    format="pain.008.001.08",
    root="CstmrDrctDbtInitn",
    direction="DBIT",
    wrong_direction="a credit cannot be sent as a direct debit",
    required=("end_to_end_id", "creditor_account", "debtor_account"),
    grouped_by=("creditor_account", "requested_date", "creditor_name", "creditor_agent"),
    date=("<ReqdColltnDt>", "</ReqdColltnDt>"),
)


def write_pain008(header: FileHeader, rows: CountedRows, sink: BinaryIO) -> None:
    """Write the whole message. Raises SetAside, naming the payment, for a row that pain.008 cannot say, and BooksOff."""
    write_message(header, rows, sink, DIALECT, _payments)


def _payments(batch: pa.RecordBatch, dialect: Dialect, message_id: str, groups_before: int) -> tuple[bytes, int]:
    """All PmtInf of one batch, and how many they are."""
    starts = group_starts(batch, dialect.grouped_by)
    heads = _group_heads(batch, dialect, starts, message_id, groups_before)
    text = joined(
        at_starts(heads, starts, batch.num_rows),
        "\n<DrctDbtTxInf><PmtId><EndToEndId>",
        batch["end_to_end_id"],
        '</EndToEndId></PmtId><InstdAmt Ccy="',
        batch["currency"],
        '">',
        text_from_minor(batch["amount_minor"], batch["minor_unit"].to_numpy()),
        "</InstdAmt><DbtrAgt>",
        agent_or_none(batch["debtor_agent"], dialect),
        "</DbtrAgt><Dbtr>",
        wrapped("<Nm>", batch["debtor_name"], "</Nm>"),
        "</Dbtr><DbtrAcct>",
        account(batch["debtor_account"]),
        "</DbtrAcct>",
        wrapped("<Purp>", purpose(batch["purpose"]), "</Purp>"),
        wrapped("<RmtInf><Ustrd>", batch["remittance_unstructured"], "</Ustrd></RmtInf>"),
        "</DrctDbtTxInf>",
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
        "</PmtInfId><PmtMtd>DD</PmtMtd>",
        group_sums(batch, starts),
        before,
        pc.cast(first["requested_date"], pa.string()),
        f"{after}<Cdtr>",
        wrapped("<Nm>", first["creditor_name"], "</Nm>"),
        "</Cdtr><CdtrAcct>",
        account(first["creditor_account"]),
        "</CdtrAcct><CdtrAgt>",
        agent_or_none(first["creditor_agent"], dialect),
        "</CdtrAgt>",
    )
