"""The names of our columns, which a source's mapping, the required fields and the reference table may use. Names only: light."""

from __future__ import annotations

TEXT_COLUMNS = (
    "debtor_name",
    "debtor_account",
    "debtor_agent",
    "creditor_name",
    "creditor_account",
    "creditor_agent",
    "creditor_country",
    "purpose",
    "category_purpose",
    "charge_bearer",
    "remittance_unstructured",
    "remittance_reference",
)
OUR_COLUMNS = frozenset(
    {*TEXT_COLUMNS, "end_to_end_id", "amount", "currency", "direction", "requested_date", "source_version"}
)
"""Every name that `columns`, `values` and `constants` of a source may use."""

MATCHED_COLUMNS = (*TEXT_COLUMNS, "end_to_end_id", "currency", "direction")
"""Every name that `match` of the reference table may use."""
