"""Proves what was taken out of a file payment by payment: the stored lists, by their hashes, against what the file holds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import pyarrow.compute as pc

from payments.books import Total
from payments.errors import Unreadable
from payments.keys import expected_key
from payments.ports import ObjectStore
from payments.records import OutboundFile
from payments.redeliveries import Redelivery, key_of, list_hash
from reconciliation import recount
from reconciliation.certificate import Certificate

IDENTITY = ("payment_id", "row_hash")


def prove_redeliveries(
    certificate: Certificate, store: ObjectStore, file: OutboundFile, redeliveries: Sequence[Redelivery]
) -> None:
    """Each list is what two people agreed on, its payments are rejected payments of the file, and none is in two lists."""
    if not redeliveries:
        return
    listed: list[str] = []
    found = Total()
    for each in redeliveries:
        key = key_of(each)
        with certificate.stored(store, key, each.object_sha256) as path:
            if path is None:
                continue
            payments = [
                payment for table in recount.batches(path, IDENTITY) for payment in table["payment_id"].to_pylist()
            ]
            certificate.same(key, "hash of the list that was agreed on", each.list_sha256, list_hash(payments))
            total = recount.total(path)
            certificate.same(key, "payments", each.total, total)
            listed, found = listed + payments, found + total
    name = f"file {file.name}"
    certificate.same(name, "payments that were redelivered twice", 0, len(listed) - len(set(listed)))
    held, needs = _held(store, file, listed), [expected_key(file.acquirer, file.business_date, file.file_id)]
    certificate.same(name, "redelivered payments as the file holds them", found, held, needs=needs)
    agreeing, needs = _agreeing(store, file, listed), [file.matched_key]
    certificate.same(name, "redelivered payments that are not mismatched in it", 0, agreeing, needs=needs)


def _held(store: ObjectStore, file: OutboundFile, payments: Sequence[str]) -> Total | str:
    """The total of these payments among what was sent."""
    with ExitStack() as stack:
        try:
            path = stack.enter_context(store.local(expected_key(file.acquirer, file.business_date, file.file_id)))
            return recount.total_where(path, pc.field("payment_id").isin(sorted(payments)))
        except Unreadable as error:
            return str(error)


def _agreeing(store: ObjectStore, file: OutboundFile, payments: Sequence[str]) -> int | str:
    """How many of these the newest fold does not show as mismatched."""
    condition = pc.field("payment_id").isin(sorted(payments)) & (pc.field("outcome") == "mismatched")
    with ExitStack() as stack:
        try:
            path = stack.enter_context(store.local(file.matched_key))
            return len(payments) - len(recount.rows_where(path, ("payment_id",), condition))
        except Unreadable as error:
            return str(error)
