"""Chosen payments of one file that two people send again: their record, the list that fixes them, and where it is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from payments.books import Total

if TYPE_CHECKING:
    from payments.ports import Records, Transaction

ASKED = 0
"""Value of `Redelivery.returned_in` as long as no assembly took the payments."""
PAYMENTS_MAX = 50_000
"""How many payments one act may name: a chunk's worth."""

REDELIVERED_IN, SUCCESSOR = "redelivered_in", "successor"
"""In the detail of a mismatch: name and file_id of the file into which its payment went next."""
LATER_STATUS = "later_status"
"""In the detail of a rejection: a status that the acquirer stated after it."""
MATCHED_IN = "matched_in"
"""In the detail of a mismatch that was closed: file_id of the file in which its payment matched in the end."""


@dataclass(frozen=True, slots=True)
class Redelivery:
    """Payments of `file_id` that are taken out of it one by one. `list_sha256` fixes which, `object_sha256` the stored list.

    `returned_in` names the assembly that took them: from then on they count under their newest assignment, no longer in
    the share of this file.
    """

    file_id: str
    list_sha256: str
    acquirer: str
    object_sha256: str
    total: Total
    decided_at: datetime
    returned_in: int = ASKED
    revision: int = 0


class RedeliveryLedger(Protocol):
    """Which payments were sent again."""

    @property
    def redeliveries(self) -> Records[Redelivery]: ...


def list_hash(payment_ids: Iterable[str]) -> str:
    """Hex SHA-256 of a list of payments, in whatever order it is given."""
    return hashlib.sha256("\n".join(sorted(payment_ids)).encode()).hexdigest()


def redelivery_key(acquirer: str, file: str, list_sha256: str) -> str:
    return f"redeliveries/{acquirer}/{file}/{list_sha256}.parquet"


def key_of(redelivery: Redelivery) -> str:
    return redelivery_key(redelivery.acquirer, redelivery.file_id, redelivery.list_sha256)


def taken_back(tx: Transaction) -> Mapping[str, Total]:
    """file_id -> what assemblies took out of that file, payment by payment."""
    found: dict[str, Total] = {}
    for each in tx.redeliveries.find():
        if each.returned_in != ASKED:
            found[each.file_id] = found.get(each.file_id, Total()) + each.total
    return found
