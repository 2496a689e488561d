"""The content hash: of the payment-relevant values of a row only, so that a change that changes no payment is seen as such."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from payments.rowhash import hash_rows

RELEVANT = (
    "end_to_end_id",
    "direction",
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
    "category_purpose",
    "charge_bearer",
    "remittance_unstructured",
    "remittance_reference",
)
"""Every column that may be written to a file. The acquirer is not one: a changed route makes no new payment."""


def content_hashes(columns: dict[str, pa.Array]) -> pa.Array:
    """binary(32) for n rows; `columns` holds at least RELEVANT. Equal payment, equal hash, whatever row it came from."""
    texts = [pc.cast(columns[name], pa.string()) for name in RELEVANT]
    return hash_rows(texts, meaning=("content", *RELEVANT))
