"""Which host keys of an acquirer are accepted now: those of the configuration, and those two people staged for a window.

A key that is neither closes the door before any credential is sent (transfer/sftp_connect.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from payments.config import AcquirerSection
from payments.ports import Clock, Ledger, Transaction
from payments.records import StagedKey
from transfer.sftp_pins import PinnedKey, fingerprint, pinned_keys, public_key

LATEST = 50
WARN_BEFORE = timedelta(days=7)

Accepted = Literal["now", "not yet", "no longer", "no"]


@dataclass(frozen=True)
class KeyPorts:
    """What the acts on host keys need of the world."""

    ledger: Ledger
    clock: Clock
    acquirer: AcquirerSection


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One key as people see it. `origin` is configuration or ledger; without a window it is accepted always.

    States: pinned, or those of StagedKey.
    """

    fingerprint: str
    algorithm: str
    origin: str
    state: str
    accepted: Accepted
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    staged_by: str = ""
    approved_by: str = ""


@dataclass(frozen=True, slots=True)
class SeenKey:
    """The host key that the server proved when a file was delivered."""

    fingerprint: str
    seen_at: datetime
    file: str


class AcceptedKeys:
    """The keys that are accepted at the moment of asking, the configured ones first. Approvals are read once, when made."""

    def __init__(self, ports: KeyPorts) -> None:
        self._pinned = pinned_keys(ports.acquirer.server)
        self._clock = ports.clock
        with ports.ledger.look() as tx:
            staged = tx.staged_keys.find(acquirer=ports.acquirer.name, state="approved")
        self._staged = [(each, key) for each in staged if (key := public_key(each.line)) is not None]

    def __call__(self) -> Sequence[PinnedKey]:
        if not self._staged:
            return self._pinned
        now = self._clock.now()
        return [*self._pinned, *(key for each, key in self._staged if accepted_at(each, now) == "now")]


def accepted_at(key: StagedKey, now: datetime) -> Accepted:
    """Whether a staged key opens the door at this moment."""
    if key.state != "approved":
        return "no"
    if now < key.valid_from:
        return "not yet"
    return "now" if now < key.valid_until else "no longer"


def known_keys(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> list[KnownKey]:
    """Every key, the configured ones first, then the staged ones by the beginning of their windows."""
    pinned = [
        KnownKey(fingerprint(key.blob), key.kind, "configuration", "pinned", "now")
        for key in pinned_keys(acquirer.server)
    ]
    staged = [
        KnownKey(
            each.fingerprint,
            each.line.partition(" ")[0],
            "ledger",
            each.state,
            accepted_at(each, now),
            each.valid_from,
            each.valid_until,
            each.staged_by,
            each.approved_by,
        )
        for each in tx.staged_keys.find(acquirer=acquirer.name, order="valid_from")
    ]
    return [*pinned, *staged]


def last_seen(tx: Transaction, acquirer: AcquirerSection) -> SeenKey | None:
    """By the newest receipt of the latest files; None when none of them was delivered with a receipt."""
    names = {
        file.file_id: file.name for file in tx.files.find(acquirer=acquirer.name, order="-created_at", limit=LATEST)
    }
    for receipt in tx.receipts.find(file_id=tuple(names), order="-delivered_at", limit=1):
        return SeenKey(receipt.host_key, receipt.delivered_at, names[receipt.file_id])
    return None


def ending(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> str:
    """For people: the key in use is a staged one whose window ends soon or is over; empty when nothing ends."""
    seen = None if acquirer.sftp is None else last_seen(tx, acquirer)
    key = None if seen is None else tx.staged_keys.get(acquirer.name, seen.fingerprint)
    if key is None or key.state != "approved" or key.valid_until - now > WARN_BEFORE:
        return ""
    if any(fingerprint(pinned.blob) == key.fingerprint for pinned in pinned_keys(acquirer.server)):
        return ""
    verb = "ends" if now < key.valid_until else "ended"
    return (
        f"{acquirer.name}: the window of the host key that the last delivery saw {verb} on {key.valid_until:%Y-%m-%d %H:%MZ}:"
        " put the key into `host_keys`, or withdraw it and stage it anew"
    )
