"""The values that a declared layout may name: of a payment, and of the file around the payments, as text."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from formats.header import FileHeader
from formats.rows import refuse_where, text_bytes
from payments.amounts import text_from_minor

LINE_ENDS = {"lf": "\n", "crlf": "\r\n"}
NONE_HIDDEN = bytes(set(range(32)) | {127})


def detail_text(batch: pa.RecordBatch, name: str, first_line: int, date_format: str) -> pa.Array:
    """One of `formats.layout_names.DETAIL` for each payment of a batch of `formats.rows`; what a payment lacks is empty."""
    match name:
        case "line":
            numbers = np.arange(first_line, first_line + batch.num_rows, dtype=np.int64)
            return pc.cast(pa.array(numbers), pa.string())
        case "amount":
            return text_from_minor(batch["amount_minor"], batch["minor_unit"].to_numpy())
        case "amount_minor":
            return pc.cast(batch["amount_minor"], pa.string())
        case "requested_date":
            return pc.strftime(batch["requested_date"], format=date_format)
        case _:
            return pc.fill_null(batch[name], "")


def around_text(header: FileHeader, date_format: str) -> dict[str, str]:
    """All of `formats.layout_names.AROUND`."""
    return {
        "acquirer": header.acquirer,
        "file_name": header.name,
        "message_id": header.message_id,
        "sequence": str(header.sequence),
        "business_date": date_text(header.business_date, date_format),
        "created_at": header.created_at_text,
        "initiating_party": header.initiating_party,
        "count": str(header.total.count),
        "sum_minor": str(sum(header.total.amount_minor.values())),
    }


def date_text(day: date, date_format: str) -> str:
    """A date as a layout writes it."""
    return day.strftime(date_format)


def refuse_hidden(batch: pa.RecordBatch, name: str, column: pa.Array) -> None:
    """Raise SetAside, naming the payment, where a text holds a control character: it could break a line."""
    data = text_bytes(column)
    if len(data.translate(None, NONE_HIDDEN)) != len(data):
        hidden = pc.match_substring_regex(column, r"[\x00-\x1f\x7f]")
        refuse_where(batch, hidden, f"{name} holds a control character")
