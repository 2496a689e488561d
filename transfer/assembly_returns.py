"""What an assembly does with payments that come back: their promise, their generations, and where each of them went next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from payments.books import Total
from payments.errors import Busy
from payments.keys import file_chain, mismatch_id
from payments.ports import Ledger, ObjectStore, Transaction
from payments.records import OutboundFile
from payments.redeliveries import REDELIVERED_IN, SUCCESSOR, taken_back
from payments.redelivery_lists import payments_in
from payments.states import OPEN_MISMATCH_STATES
from transfer.after_sealing import close_of_payments
from transfer.assembly_inputs import Inputs
from transfer.candidates import Slice
from transfer.gone_back import settled_payments
from transfer.planning import NO_FILE, Division, Lineage, lineage


def promised_back(ledger: Ledger, inputs: Inputs) -> dict[str, Total]:
    """By label of the slice what must be read of each file of which rows come back."""
    promised = {file_id: Total() for file_id in inputs.predecessors}
    with ledger.begin() as tx:
        gone = taken_back(tx)
    for each in inputs.chosen:
        promised[each.file.file_id] += each.redelivery.total
    for file in inputs.returned:
        # All that is left: what went before, and what goes now as a chosen payment, is not among the rest.
        promised[file.file_id] = file.total - gone.get(file.file_id, Total())
    return {f"file:{file_id}": total for file_id, total in promised.items()}


def newest_generations(tx: Transaction, files: Iterable[OutboundFile]) -> Mapping[Lineage, int]:
    """The highest generation of each lineage."""
    found = {}
    for acquirer, window, split in {lineage(file) for file in files}:
        family = tx.files.find(acquirer=acquirer, window=window, split=split)
        found[(acquirer, window, split)] = max(file.generation for file in family)
    return found


def check_settled(tx: Transaction, inputs: Inputs) -> None:
    """Raises Busy when an acquirer said meanwhile that it settled a payment after all: the next look leaves that one out."""
    if settled_payments(tx) != inputs.settled:
        raise Busy(f"assembly {inputs.ordinal}: an acquirer settled a payment of a closed assignment meanwhile")


def where_they_went(
    store: ObjectStore, inputs: Inputs, slices: Sequence[Slice], division: Division
) -> dict[str, dict[str, int]]:
    """Per redelivery (its list) the payments that are sent now, and the number of the draft of each."""
    wanted = {each.redelivery.list_sha256: set(payments_in(store, each.redelivery)) for each in inputs.chosen}
    every = set().union(*wanted.values())
    if not every:
        return {}
    found: dict[str, int] = {}
    for slice_, place in zip(slices, division.file_of, strict=True):
        sent = np.flatnonzero(place != NO_FILE)
        if not len(sent):
            continue
        payments = slice_.read(store, ("payment_id",)).take(pa.array(sent))["payment_id"].to_pylist()
        drafts = place[sent].tolist()
        found |= {payment: draft for payment, draft in zip(payments, drafts, strict=True) if payment in every}
    return {each: {payment: found[payment] for payment in mine if payment in found} for each, mine in wanted.items()}


def take_chosen(
    tx: Transaction,
    store: ObjectStore,
    inputs: Inputs,
    files: Sequence[OutboundFile],
    went: Mapping[str, Mapping[str, int]],
) -> None:
    """Record that this assembly took the chosen payments, and on the mismatch of each into which file it goes."""
    for each in inputs.chosen:
        redelivery, file = each.redelivery, each.file
        tx.redeliveries.change(redelivery, returned_in=inputs.ordinal)
        why = "its payment went back; the newest version was folded"
        close_of_payments(tx, file, payments_in(store, redelivery), inputs.created_at, why)
        _link(tx, file, files, went[redelivery.list_sha256], inputs)
        body = {"assembly": inputs.ordinal, "list_sha256": redelivery.list_sha256, "payments": redelivery.total.count}
        tx.audit.append(file_chain(file.file_id), "payments_returned", body)


def _link(
    tx: Transaction, file: OutboundFile, files: Sequence[OutboundFile], went: Mapping[str, int], inputs: Inputs
) -> None:
    known = {each.id: each for each in tx.mismatches.find(file_id=file.file_id)}
    change = []
    for payment, draft in sorted(went.items()):
        mismatch = known.get(mismatch_id("payment", file.file_id, payment))
        if mismatch is None or mismatch.state not in OPEN_MISMATCH_STATES:
            continue
        link = {REDELIVERED_IN: files[draft].name, SUCCESSOR: files[draft].file_id}
        change.append(
            replace(
                mismatch,
                detail={**mismatch.detail, **link},
                updated_at=inputs.created_at,
                revision=mismatch.revision + 1,
            )
        )
    tx.replace_mismatches([], change)
