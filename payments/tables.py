"""Arrow schemas shared by the stages. A column that is not null is promised to every reader."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1
HASH = pa.binary(32)
UTC = pa.timestamp("us", tz="UTC")
MONEY = pa.int64()  # minor units


def _field(name: str, kind: pa.DataType) -> pa.Field:
    """A trailing `!` promises that the column is never null."""
    return pa.field(name.removesuffix("!"), kind, nullable=not name.endswith("!"))


RAW_EXTRA = pa.schema([_field("_payment_id!", pa.string()), _field("_row_hash!", HASH)])
"""Raw objects hold the source's own columns and these two: the identity and the hash of every value of the row."""

ORIGIN = [
    _field("payment_id!", pa.string()),
    _field("source!", pa.string()),
    _field("source_pk!", pa.string()),
    _field("business_date!", pa.date32()),  # the source's day: part of the raw key
    _field("run!", pa.int32()),
    _field("chunk!", pa.int32()),
    _field("row!", pa.int32()),  # position in the chunk, from 0
    _field("row_hash!", HASH),
]

CURATED = pa.schema(
    [
        *ORIGIN,
        _field("source_version", pa.int64()),
        _field("stopped!", pa.bool_()),  # the source stopped or deleted this payment
        _field("content_hash!", HASH),  # of the payment-relevant values only
        _field("acquirer!", pa.string()),
        _field("end_to_end_id!", pa.string()),
        _field("direction!", pa.string()),  # CRDT | DBIT
        _field("amount_minor!", MONEY),  # never negative
        _field("currency!", pa.string()),
        _field("minor_unit!", pa.int8()),
        _field("amount_text", pa.string()),
        _field("requested_date!", pa.date32()),
        _field("debtor_name", pa.string()),
        _field("debtor_account", pa.string()),
        _field("debtor_agent", pa.string()),
        _field("creditor_name", pa.string()),
        _field("creditor_account", pa.string()),
        _field("creditor_agent", pa.string()),
        _field("creditor_country", pa.string()),
        _field("purpose", pa.string()),
        _field("category_purpose", pa.string()),
        _field("charge_bearer", pa.string()),
        _field("remittance_unstructured", pa.string()),
        _field("remittance_reference", pa.string()),
        _field("enrichment", pa.string()),  # what the reference table says of this payment
        _field("schema_version!", pa.int16()),
    ]
)

REASON = pa.struct(
    [
        _field("rule!", pa.string()),
        _field("code!", pa.string()),  # ISO 20022 external status reason
        _field("field!", pa.string()),
        _field("value_masked", pa.string()),
        _field("message!", pa.string()),
    ]
)

QUARANTINE = pa.schema(
    [
        *ORIGIN,
        _field("end_to_end_id", pa.string()),
        _field("amount_minor", MONEY),  # null where it cannot be read exactly
        _field("currency", pa.string()),
        _field("direction", pa.string()),
        _field("reasons!", pa.list_(REASON)),
        _field("twin", pa.string()),  # payment_id of the row that holds the same reference
        _field("values!", pa.map_(pa.string(), pa.string())),  # every value as the source gave it
        _field("schema_version!", pa.int16()),
    ]
)

LOCATOR = [field for field in ORIGIN if field.name in {"source", "business_date", "run", "chunk", "row"}]

INDEX = pa.schema(
    [
        _field("payment_id!", pa.string()),
        *LOCATOR,
        _field("row_hash!", HASH),
        _field("content_hash!", HASH),
        _field("acquirer!", pa.string()),
        _field("end_to_end_id!", pa.string()),
        _field("direction!", pa.string()),
        _field("amount_minor!", MONEY),
        _field("currency!", pa.string()),
        _field("requested_date!", pa.date32()),
        _field("stopped!", pa.bool_()),
        _field("outcome!", pa.string()),
        _field("reason", pa.string()),  # why unassigned
        _field("twin", pa.string()),  # payment_id of the first holder of the reference
        _field("file_id", pa.string()),
        _field("generation", pa.int32()),
    ]
)
"""One outcome of one curated row in one assembly. The pool has the same columns."""

EXPECTED = pa.schema(
    [
        _field("line!", pa.int64()),  # from 1, in the order of the file
        _field("payment_id!", pa.string()),
        _field("file_id!", pa.string()),
        *LOCATOR,
        _field("row_hash!", HASH),
        _field("end_to_end_id!", pa.string()),
        _field("direction!", pa.string()),
        _field("amount_minor!", MONEY),
        _field("currency!", pa.string()),
        _field("requested_date!", pa.date32()),
        _field("creditor_account", pa.string()),
    ]
)

REPORTED = pa.schema(
    [
        _field("line!", pa.int64()),  # line of the result file, or ordinal of the element, from 1
        _field("level!", pa.string()),  # GRP | PMTINF | TX; below TX it is control
        _field("status", pa.string()),  # as payments.states.EventStatus; null: not readable
        _field("status_text", pa.string()),  # as received
        _field("reason_code", pa.string()),
        _field("reason_text", pa.string()),
        _field("end_to_end_id", pa.string()),
        _field("original_file", pa.string()),  # file name that the event names
        _field("original_msg_id", pa.string()),
        _field("original_sequence", pa.int64()),
        _field("amount_minor", MONEY),
        _field("currency", pa.string()),
        _field("direction", pa.string()),
        _field("requested_date", pa.date32()),
        _field("creditor_account", pa.string()),
        _field("acquirer_reference", pa.string()),
        _field("stated_at", UTC),  # the acquirer's own time of this event
        _field("error", pa.string()),  # why this line is unreadable; null: it is readable
    ]
)

MATCHED = pa.schema(
    [
        _field("line!", pa.int64()),
        _field("payment_id!", pa.string()),
        _field("end_to_end_id!", pa.string()),
        _field("row_hash!", HASH),
        _field("direction!", pa.string()),
        _field("amount_minor!", MONEY),
        _field("currency!", pa.string()),
        _field("outcome!", pa.string()),  # matched | mismatched | awaiting
        _field("how", pa.string()),  # MatchResult, MismatchKind or the stage reached
        _field("status", pa.string()),
        _field("reason_code", pa.string()),
        _field("reported_minor", MONEY),
        _field("reported_currency", pa.string()),
        _field("acquirer_reference", pa.string()),
        _field("events!", pa.int32()),
    ]
)
