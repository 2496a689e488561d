"""Says what a stored object belongs to (a run, a file, a result file, the chain itself) and whether that still needs it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from payments.keys import day_chain, file_chain, run_chain
from payments.ports import Transaction
from payments.states import FileState

STORE_CHAIN = "store"
"""The audit chain of objects that belong to no single run, file or day: index, pool and anchors."""
RUN_DONE = frozenset({"assembled", "abandoned"})
NOT_SENT = frozenset({FileState.PLANNED, FileState.SEALED, FileState.DELIVERING, FileState.IN_DOUBT})
ALWAYS = frozenset({"curated", "expected", "reported", "redeliveries", "index", "pool", "heads"})
"""Stores that are read again and again, however old: nothing in them may ever expire (docs/decisions/0024)."""


KEPT_DAYS_MIN = {
    "raw": 60,
    "quarantine": 60,
    "outbound": 400,
    "manifests": 400,
    "results": 400,
    "matched": 400,
    "open": 400,
}
"""For how long each of the others is kept at least: a rule that takes something sooner is none that may be declared."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The audit chain of the owner, and when it began. `unfinished`: the chain of stages has yet to read the object."""

    chain: str
    unfinished: bool
    since: datetime | None = None

    def misses(self, store: str, at: datetime) -> bool:
        """Whether an object of this store, taken by a rule at this time, should still be there."""
        too_soon = self.since is not None and at < self.since + timedelta(days=KEPT_DAYS_MIN.get(store, 0))
        return self.unfinished or store in ALWAYS or too_soon


def owner_of(tx: Transaction, key: str) -> Owner | None:
    """None for an object that the ledger knows nothing of: somebody else put it there."""
    store, *rest = key.split("/")
    match store, rest:
        case (("raw" | "curated" | "quarantine"), [source, _, ordinal, _]) if ordinal.isdigit():
            run = tx.runs.get(source, int(ordinal))
            if run is not None:
                return Owner(run_chain(source, run.ordinal), run.state not in RUN_DONE, run.opened_at)
        case (("expected" | "manifests" | "outbound" | "matched" | "open"), [_, _, name, *_]):
            return _of_file(tx, name.partition(".")[0], sent=store != "outbound")
        case "redeliveries", [_, name, _]:
            return _of_file(tx, name, sent=True)
        case (("results" | "reported"), [acquirer, _, name, *_]):
            result = tx.results.get(acquirer, name.partition(".")[0])
            if result is not None:
                chain = day_chain(acquirer, result.business_date)
                return Owner(chain, result.state == "collected", result.collected_at)
        case (("index" | "pool" | "heads"), _):
            return Owner(STORE_CHAIN, unfinished=True)
    return None


def _of_file(tx: Transaction, file_id: str, *, sent: bool) -> Owner | None:
    """`sent`: the object is not what is sent itself."""
    file = tx.files.get(file_id)
    if file is None:
        return None
    return Owner(file_chain(file_id), not sent and FileState(file.state) in NOT_SENT, file.created_at)
