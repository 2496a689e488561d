"""What the store told of objects that are gone: which, when, and whether a lifecycle rule or somebody took them away.

In a bucket with versions an object goes in steps, which are told one by one, in any order and more than once:

    a marker is put over it (MARKER)     it cannot be read any more, its version is kept
    its version is removed (VERSION)     nothing is left of it
    the marker is removed (VERSION, with the marker's own version)
        by a person: the object can be read again; by the lifecycle: nothing was left under it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from payments.ports import Records, Transaction

MARKER, VERSION = "marker", "version"
LIFECYCLE, REQUEST = "lifecycle", "request"
"""Causes: a rule of the bucket, or a request of whoever may delete."""
CONCERNS_MAX = 100


@dataclass(frozen=True, slots=True)
class Deletion:
    """One step, by key, version and kind. `store` is the first part of the key, `day` that of `deleted_at` in UTC.

    `chain` is the audit chain of what the object belongs to, empty where the ledger knows nothing of it. `needed`: it was
    needed at that time. `is_open`: so a person must look at it, until the object is back or somebody settled it.
    """

    key: str
    version: str
    kind: str
    cause: str
    deleted_at: datetime
    store: str
    day: date
    chain: str = ""
    needed: bool = False
    is_open: bool = False
    settled_by: str = ""
    settled_at: datetime | None = None
    revision: int = 0


class DeletionLedger(Protocol):
    """What is gone from the store."""

    @property
    def deletions(self) -> Records[Deletion]: ...


def fate(steps: Sequence[Deletion]) -> Deletion | None:
    """The step by which one key's object went: the earliest that was not taken back; None: it should be there.

    A pure function of the set of steps: their order and repetition decide nothing.
    """
    markers = {each.version for each in steps if each.kind == MARKER}
    lifted = {each.version for each in steps if _lifts(each, markers)}
    left = [each for each in steps if each.version not in lifted]
    return min(left, key=lambda each: (each.deleted_at, each.kind, each.version), default=None)


def _lifts(step: Deletion, markers: set[str]) -> bool:
    """Whether a person removed a marker. Without versions a bucket has no markers."""
    return step.kind == VERSION and step.cause == REQUEST and step.version in markers


def fate_of(tx: Transaction, key: str) -> Deletion | None:
    """What the ledger knows of this key's end."""
    return fate(tx.deletions.find(key=key))


def unsettled(tx: Transaction) -> list[Deletion]:
    """The end of every object that is gone although it was needed, oldest first, at most 100: until it is back or settled."""
    steps = tx.deletions.find(is_open=True, order="deleted_at", limit=CONCERNS_MAX)
    ends = [fate_of(tx, key) for key in dict.fromkeys(each.key for each in steps)]
    return sorted((each for each in ends if each is not None), key=lambda each: (each.deleted_at, each.key))


def keep_open(tx: Transaction, key: str) -> None:
    """Say of each of one key's steps whether it is open: once more from the whole set, after every change of it.

    Kept, because whoever asks for all that is open must not meet everything that ever was.
    """
    steps = tx.deletions.find(key=key)
    end = fate(steps)
    # What a rule had taken as declared is missed by nobody, whatever became of its old version.
    missed = end is not None and end.needed
    for each in steps:
        is_open = missed and each.needed and each.settled_at is None
        if each.is_open != is_open:
            tx.deletions.change(each, is_open=is_open)


def gone(tx: Transaction, chain: str) -> list[dict[str, Any]]:
    """What of one owner is gone, counted by store, day and cause: JSON values."""
    steps: dict[str, list[Deletion]] = {}
    for each in tx.deletions.find(chain=chain):
        steps.setdefault(each.key, []).append(each)
    ends = [end for of_key in steps.values() if (end := fate(of_key)) is not None]
    counts = Counter((end.store, end.day, end.cause) for end in ends)
    return [
        {"store": store, "day": day, "cause": cause, "objects": count}
        for (store, day, cause), count in sorted(counts.items())
    ]


def said(end: Deletion) -> str:
    """For people, and in errors: by what it went, and when."""
    how = "expired by a lifecycle rule" if end.cause == LIFECYCLE else "was deleted, not by a lifecycle rule,"
    return f"{how} on {end.deleted_at:%Y-%m-%d %H:%M:%S} UTC"
