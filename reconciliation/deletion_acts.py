"""The act of a person on an object that is gone: to say that it was looked at. It is audited, and brings nothing back."""

from __future__ import annotations

from payments.acting import Act, Actor, record
from payments.deletions import Deletion, fate, keep_open, said
from payments.errors import NotAllowed
from payments.owners import STORE_CHAIN
from payments.ports import Clock, Ledger


def settle(ledger: Ledger, clock: Clock, actor: Actor, key: str, why: str) -> Deletion:
    """End the alarm about `key`. Raises NotAllowed without a reason, or where there is no alarm.

    What is settled stays gone: `tieout prove` and `tieout trace` go on saying so.
    """
    if not why.strip():
        raise NotAllowed("that an object is gone is settled for a reason", next_step="Say it with --why TEXT.")
    with ledger.begin() as tx:
        steps = tx.deletions.find(key=key)
        end = fate(steps)
        if end is None or not any(each.is_open for each in steps):
            raise NotAllowed(f"nothing is open about object {key!a}", next_step="`tieout deletions` lists what is.")
        now = clock.now()
        for each in steps:
            if each.is_open:
                tx.deletions.change(each, settled_by=actor.name, settled_at=now)
        keep_open(tx, key)
        record(tx, Act(f"object:{key}", "settle_deletion", len(steps), actor, why, now))
        body = {"object": key, "end": said(end), "verified": actor.verified}
        tx.audit.append(end.chain or STORE_CHAIN, "deletion_settled", body, actor=actor.name)
    return end
