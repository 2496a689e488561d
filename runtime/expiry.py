"""Tells the ledger what is gone from the store: once per step, in whatever order and however often it is told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from payments.deletions import LIFECYCLE, Deletion, keep_open
from payments.owners import owner_of
from runtime.deletion_notices import Told, deletion_told
from runtime.tell import in_our_bucket, our_key

if TYPE_CHECKING:
    from payments.config import Stores
    from payments.ports import Ledger, Transaction

log = logging.getLogger(__name__)

TURN = "deletions"
"""Before its name: the turn that transactions about one chain take."""


def record_deletion(ledger: Ledger, stores: Stores, body: str) -> None:
    """Keep the step that a notice tells. Raises SetAside for a message that is none, and for a bucket that is not the key's."""
    told = deletion_told(body)
    key = in_our_bucket(stores, told.bucket, our_key(stores, told.bucket, told.name))
    store = key.partition("/")[0]
    with ledger.begin() as tx:
        owner = owner_of(tx, key)
        chain = "" if owner is None else owner.chain
        # Whoever records for the same chain waits: of two neighbours exactly one is the first of its day.
        tx.alone(f"{TURN}:{chain}")
        if tx.deletions.get(key, told.version, told.kind) is not None:
            return
        step = Deletion(
            key=key,
            version=told.version,
            kind=told.kind,
            cause=told.cause,
            deleted_at=told.at,
            store=store,
            day=told.at.date(),
            chain=chain,
            needed=owner is not None and (told.cause != LIFECYCLE or owner.misses(store, told.at)),
        )
        _audit(tx, step)
        tx.deletions.add(step)
        keep_open(tx, key)
    if step.needed:
        log.error("object %s is gone and was needed (%s). `tieout deletions` shows it.", key, _what(told))


def _audit(tx: Transaction, step: Deletion) -> None:
    """What a rule takes is one record per owner, store and day: a day of a large run is thousands of objects. The rest is said one by one."""
    if not step.chain:
        return
    if step.cause != LIFECYCLE:
        body = {"object": step.key, "version": step.version, "kind": step.kind, "at": step.deleted_at.isoformat()}
        tx.audit.append(step.chain, "object_deleted", body)
    elif not tx.deletions.count(chain=step.chain, store=step.store, day=step.day, cause=LIFECYCLE):
        tx.audit.append(step.chain, "objects_expired", {"store": step.store, "day": step.day.isoformat()})


def _what(told: Told) -> str:
    return "by a lifecycle rule" if told.cause == LIFECYCLE else "not by a lifecycle rule"
