"""The act of sending chosen payments of a file again: those that the acquirer finally rejected, by two people.

    look: what was rejected for good -> the list is stored -> [asked, by one person or, agreed, by two]

Square brackets are one transaction, in which everything is looked at once more. What is agreed on is the list, by its hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from payments.acting import Act, Actor
from payments.books import Total
from payments.errors import Busy, NotAllowed
from payments.keys import expected_key
from payments.ports import Clock, Ledger, ObjectStore, Transaction
from payments.records import OutboundFile
from payments.redeliveries import LATER_STATUS, PAYMENTS_MAX, Redelivery, list_hash, redelivery_key
from payments.redelivery_lists import COLUMNS, list_bytes, listed, payments_in
from payments.states import IN_ACQUIRERS_HANDS, OPEN_MISMATCH_STATES, FileState, MismatchKind
from payments.totals import total_of_columns
from transfer.acts import agreed, audit_act, find_file, refuse_when_under_way, refuse_when_unread, what_next
from transfer.gone_back import settled_payments

_K = MismatchKind
NOT_REJECTED = "not finally rejected"
ACCEPTED_SINCE = "accepted after the rejection"
GONE_BEFORE = "redelivered before"
CHANGED = "changed or stopped at the source since"
DISPUTED = "rejected by a result that is no evidence"
AMBIGUOUS = "in a result that may mean another file"
SETTLED = "settled under an earlier assignment"
NOT_THERE = "not in this file"
LOOK = "`tieout mismatches --kind status_rejected --file NAME` lists what was rejected, `tieout trace` says what became of one."


@dataclass(frozen=True)
class ChosenPorts:
    """What this act needs of the world."""

    ledger: Ledger
    store: ObjectStore
    clock: Clock


@dataclass(frozen=True, slots=True)
class ActedOnPayments:
    """`done` is false for a proposal. `left_out` counts, by reason, rejected payments that cannot go again."""

    file: OutboundFile
    done: bool
    total: Total
    list_sha256: str
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Look:
    """What the ledger says of the payments of a file: `refused` maps the rejected ones that cannot go again to the reason."""

    allowed: frozenset[str]
    refused: Mapping[str, str]


def redeliver_payments(
    ports: ChosenPorts, name: str, references: Collection[str] | None, actor: Actor, why: str = ""
) -> ActedOnPayments:
    """Ask that rejected payments go into a new file: those of the references given, or, with None, all that may.

    Raises NotAllowed with counts and reasons when a given one may not go, or nothing may; Busy when results came meanwhile.
    """
    if references is not None and len(references) > PAYMENTS_MAX:
        raise NotAllowed(f"{len(references):,} payments are more than one act may name: {PAYMENTS_MAX:,}")
    with ports.ledger.begin() as tx:
        file = find_file(tx, name)
        _check(tx, file)
        before = tx.redeliveries.find(file_id=file.file_id)
    gone = frozenset(payment for each in before for payment in payments_in(ports.store, each))
    with ports.ledger.begin() as tx:
        seen = _look(tx, file, gone)
    rows = _rows(ports.store, file, seen) if references is None else _named(ports.store, file, seen, references)
    payments = rows["payment_id"].to_pylist()
    total = total_of_columns(*(rows[each] for each in ("amount_minor", "currency", "direction", "row_hash")))
    digest = list_hash(payments)
    stored = ports.store.put(redelivery_key(file.acquirer, file.file_id, digest), list_bytes(rows))
    redelivery = Redelivery(file.file_id, digest, file.acquirer, stored.sha256, total, ports.clock.now())
    payments_in(ports.store, redelivery)
    with ports.ledger.begin() as tx:
        current = tx.files.get(file.file_id)
        if current is None or current.revision != file.revision or _look(tx, file, gone) != seen:
            raise Busy(f"file {file.name} changed meanwhile", next_step="Give the same command again.")
        _check(tx, current)
        act = Act(file.file_id, f"redeliver {digest[:12]}", file.revision, actor, why, redelivery.decided_at)
        fixed: dict[str, str | int] = {"list_sha256": digest, "payments": total.count}
        done = agreed(tx, current, act, **fixed)
        if done:
            tx.redeliveries.add(redelivery)
            current = tx.files.change(current)
            audit_act(tx, current, "redelivery_of_payments_asked", act, **fixed)
    left_out = Counter(seen.refused.values()) if references is None else {}
    return ActedOnPayments(current, done, total, digest, dict(sorted(left_out.items())))


def _check(tx: Transaction, file: OutboundFile) -> None:
    state = FileState(file.state)
    if state not in IN_ACQUIRERS_HANDS:
        states = " or ".join(sorted(IN_ACQUIRERS_HANDS))
        raise NotAllowed(
            f"file {file.name} is {state}: single payments are sent again of files that are {states}",
            next_step=what_next(file),
        )
    refuse_when_under_way(tx, file)
    refuse_when_unread(tx, file)


def _look(tx: Transaction, file: OutboundFile, gone: Collection[str]) -> _Look:
    """The rejected payments of a file, and which of them cannot go again. From the ledger alone: it is asked twice."""
    mine = [each for each in tx.mismatches.find(file_id=file.file_id) if each.state in OPEN_MISMATCH_STATES]
    touched = {each.payment_id for each in mine if each.kind in {_K.CHANGED_AFTER_SEALED, _K.RECALL_NEEDED}}
    unclear = tx.mismatches.find(acquirer=file.acquirer, kind=str(_K.AMBIGUOUS_MATCH))
    ambiguous = {each.reference.strip() for each in unclear if each.state in OPEN_MISMATCH_STATES}
    disputed = {each.sha256 for each in tx.results.find(acquirer=file.acquirer) if each.disputed}
    settled = settled_payments(tx)
    allowed, refused = set(), {}
    for each in mine:
        if each.kind != _K.STATUS_REJECTED:
            continue
        reasons = {
            GONE_BEFORE: each.payment_id in gone,
            SETTLED: each.payment_id in settled,
            DISPUTED: each.result_sha256 in disputed,
            ACCEPTED_SINCE: LATER_STATUS in each.detail,
            CHANGED: each.payment_id in touched,
            AMBIGUOUS: each.reference in ambiguous,
        }
        reason = next((why for why, applies in reasons.items() if applies), "")
        if reason:
            refused[each.payment_id] = reason
        else:
            allowed.add(each.payment_id)
    return _Look(frozenset(allowed), refused)


def _rows(store: ObjectStore, file: OutboundFile, seen: _Look) -> pa.Table:
    """Everything that may go, as a list."""
    if not seen.allowed:
        raise _refusal(file, Counter(seen.refused.values()), "nothing of it can be sent again")
    if len(seen.allowed) > PAYMENTS_MAX:
        raise NotAllowed(
            f"file {file.name}: {len(seen.allowed):,} rejected payments are more than one act may name: {PAYMENTS_MAX:,}",
            next_step="Name them in parts with --payments-from.",
        )
    return listed(_expected(store, file, "payment_id", seen.allowed))


def _named(store: ObjectStore, file: OutboundFile, seen: _Look, references: Collection[str]) -> pa.Table:
    """The payments of these references, as a list. Raises NotAllowed unless each of them may go."""
    rows = _expected(store, file, "end_to_end_id", set(references))
    counts = Counter({NOT_THERE: len(set(references)) - len(rows)})
    for payment in rows["payment_id"].to_pylist():
        if payment not in seen.allowed:
            counts[seen.refused.get(payment, NOT_REJECTED)] += 1
    bad = counts.total()
    if bad or not len(rows):
        raise _refusal(file, counts, f"{bad} of {len(set(references))} payments cannot be sent again")
    return listed(rows)


def _expected(store: ObjectStore, file: OutboundFile, column: str, values: Collection[str]) -> pa.Table:
    with store.local(expected_key(file.acquirer, file.business_date, file.file_id)) as path:
        return pq.read_table(
            path, columns=[*COLUMNS], filters=pc.field(column).isin(pa.array(sorted(values), pa.string()))
        )


def _refusal(file: OutboundFile, counts: Mapping[str, int], what: str) -> NotAllowed:
    """With how many and why; never which: a refusal is shown and logged."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()) if count) or NOT_REJECTED
    return NotAllowed(f"file {file.name}: {what}: {reasons}", next_step=LOOK)
