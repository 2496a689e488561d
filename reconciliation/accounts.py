"""The two accounts of a mismatch, masked, for the person who looks at this one mismatch; they are kept nowhere (I7)."""

from __future__ import annotations

import pyarrow.compute as pc

from payments.keys import expected_key, reported_key
from payments.masking import masked_account
from payments.ports import ObjectStore
from payments.records import Mismatch, OutboundFile, ResultFile
from payments.states import MismatchKind
from reconciliation.trace_rows import Search

ACCOUNT = ("creditor_account",)


def differs_by_account(mismatch: Mismatch) -> bool:
    """Whether the accounts are what differs, alone or among others."""
    return MismatchKind.ACCOUNT_DIFFERS in {mismatch.kind, *mismatch.detail.get("differing", ())}


def compared_accounts(
    store: ObjectStore, mismatch: Mismatch, file: OutboundFile, result: ResultFile
) -> tuple[str, str]:
    """(expected, reported), each by its last four characters and its length; several of one payment are all told.

    Raises nothing: what cannot be read is said in its place.
    """
    reference = pc.utf8_trim_whitespace(pc.field("end_to_end_id")) == mismatch.reference
    ours = expected_key(file.acquirer, file.business_date, file.file_id)
    theirs = reported_key(result.acquirer, result.business_date, result.sha256)
    return (
        _told(store, ours, pc.field("payment_id") == mismatch.payment_id),
        _told(store, theirs, (pc.field("level") == "TX") & reference),
    )


def _told(store: ObjectStore, key: str, condition: pc.Expression) -> str:
    search = Search(store, "")
    found = dict.fromkeys(row["creditor_account"] for row in search.rows(key, ACCOUNT, condition))
    if search.problems:
        return "not readable: `tieout prove` says what is wrong with the stored file"
    return ", ".join(masked_account(each) for each in found if each) or "none"
