"""The names that a declared layout may use: of a value of a payment, and of a value of the file around the payments."""

from __future__ import annotations

DETAIL = (
    "line",
    "payment_id",
    "end_to_end_id",
    "direction",
    "amount",
    "amount_minor",
    "currency",
    "requested_date",
    "debtor_name",
    "debtor_account",
    "debtor_agent",
    "creditor_name",
    "creditor_account",
    "creditor_agent",
    "purpose",
    "remittance_unstructured",
)
"""Of a payment. `line` counts from 1; `amount` has the decimals of its currency, `amount_minor` is a whole number."""

COUNTED = ("end_to_end_id", "direction", "currency", "requested_date")
"""Without these, and one of the two amounts, nobody could count a file again from its bytes."""

AROUND = (
    "acquirer",
    "file_name",
    "message_id",
    "sequence",
    "business_date",
    "created_at",
    "initiating_party",
    "count",
    "sum_minor",
)
"""Of the file. `sum_minor` adds the minor units of all payments, whatever their currency and direction."""
