"""Names a row as its source does, by the columns of its primary key, so that somebody there can find it and correct it."""

from __future__ import annotations

from payments.config import SourceSection
from payments.masking import MASK, masked_word
from payments.rowhash import key_values

PERSONAL = frozenset(
    {
        "debtor_name",
        "debtor_account",
        "creditor_name",
        "creditor_account",
        "remittance_unstructured",
        "remittance_reference",
    }
)
"""Our columns that may say whose money it is (I7). A key that is made of one of them identifies a person, not only a row."""


def source_key(source: SourceSection | None, text: str) -> dict[str, str | None]:
    """Column of the source -> value; None for one that may be personal. Empty when the configuration does not know the key.

    `text` is `source_pk` as it is stored. What is no plain word, or looks like an account or card number, counts as personal.
    """
    columns = [] if source is None else source.primary_key
    values = key_values(text)
    if source is None or len(values) != len(columns):
        return {}
    personal = {theirs for ours, theirs in source.columns.items() if ours in PERSONAL}
    return {
        name: None if name in personal or value is None or MASK in masked_word(value) else value
        for name, value in zip(columns, values, strict=True)
    }
