"""The one oracle of the scenarios T1 to T16; for tests only.

Exactly one complete remote file per delivered ledger entry with equal hash, nothing called delivered without positive
evidence, the source object kept, and a reason in the ledger for everything that waits or is in doubt.
"""

from __future__ import annotations

from local.hostile_acquirer import HostileAcquirer
from local.rehearsal_oracle import contradictions
from payments.ports import ObjectStore, Transaction


def agree(tx: Transaction, store: ObjectStore, acquirer: str, server: HostileAcquirer) -> None:
    """The ledger says of every file what the acquirer's hands say; the comparison is the one that `tieout rehearse` ships."""
    assert contradictions(tx, store, acquirer, server) == []
