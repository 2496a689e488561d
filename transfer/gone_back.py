"""Knows which earlier assignments are over because their rows went back: those of whole files, and of chosen payments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from payments.ports import ObjectStore, Transaction
from payments.redeliveries import ASKED, Redelivery
from payments.states import MismatchKind, MismatchState

RETURN_ASKED = 0
"""Value of `OutboundFile.returned_in` when a person asked for its rows and no assembly took them yet."""
UNSAID = frozenset({MismatchState.CLOSED_BY_LATE_RESULT, MismatchState.CLOSED_BY_WITHDRAWAL})
"""States of an alarm that nothing stands behind any more."""


@dataclass(slots=True)
class GoneBack:
    """`files` are closed files (file_id), `chosen` the lists per file. A list is read when its file is asked about, once."""

    files: frozenset[str] = frozenset()
    chosen: Mapping[str, Sequence[Redelivery]] = field(default_factory=dict)
    _payments: dict[str, frozenset[str]] = field(default_factory=dict)

    def has(self, store: ObjectStore, file_id: str, payment: str) -> bool:
        """Whether the assignment of `payment` in this file is over. Raises what reading a list raises."""
        return file_id in self.files or payment in self.payments(store, file_id)

    def payments(self, store: ObjectStore, file_id: str) -> frozenset[str]:
        """The chosen payments that went back from a file."""
        if file_id not in self.chosen:
            return frozenset()
        if file_id not in self._payments:
            from payments.redelivery_lists import payments_in

            lists = [payments_in(store, each) for each in self.chosen[file_id]]
            self._payments[file_id] = frozenset().union(*lists)
        return self._payments[file_id]


def gone_back(tx: Transaction, before: int) -> GoneBack:
    """What assemblies before this one took back. What this very one takes is among its candidates, planned yet or not."""
    files = frozenset(
        file.file_id for file in tx.files.find() if RETURN_ASKED < (file.returned_in or RETURN_ASKED) < before
    )
    chosen: dict[str, list[Redelivery]] = {}
    for each in tx.redeliveries.find():
        if ASKED < each.returned_in < before:
            chosen.setdefault(each.file_id, []).append(each)
    return GoneBack(files, chosen)


def settled_payments(tx: Transaction, *, but: str = "") -> frozenset[str]:
    """Payments (payment_id) that an acquirer settled under an assignment that was closed: none of them may be sent.

    What is said of the file `but` (file_id) itself is left out.
    """
    found = tx.mismatches.find(kind=str(MismatchKind.SETTLED_AFTER_REDELIVERY))
    return frozenset(each.payment_id for each in found if each.state not in UNSAID and each.file_id != but)
