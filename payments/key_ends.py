"""Keeps when the OpenPGP keys of an acquirer end, by their references, so that whoever looks at the ledger can warn of it.

Somebody who has the secrets looks once a day (runtime/key_watch.py). A reference that is configured no more is never asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from payments.config import AcquirerSection
from payments.firings import last_fired, mark_fired
from payments.ports import Transaction

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
RECIPIENT = "files are encrypted to it"


@dataclass(frozen=True, slots=True)
class KeyEnd:
    """A key that ends soon or has ended. `needed`: no other key of its kind does its work."""

    acquirer: str
    use: str
    reference: str
    ends_at: datetime
    needed: bool

    def text(self, now: datetime) -> str:
        """For people, naming the key by its reference."""
        verb = "ended" if self.ends_at <= now else "ends"
        return f"{self.acquirer}: the OpenPGP key {self.reference} ({self.use}) {verb} on {self.ends_at:%Y-%m-%d}"


def uses(acquirer: AcquirerSection) -> dict[str, list[str]]:
    """What each key is for, and the references of the keys for it. All recipients are needed; of the others one is enough."""
    out, back = acquirer.encode.pgp, acquirer.results.pgp
    return {
        RECIPIENT: [] if out is None else out.recipients,
        "files are signed with it": [out.sign_key] if out and out.sign_key else [],
        "results are encrypted to it": [] if back is None else back.keys,
        "results are signed with it": [] if back is None else [each.key for each in back.signer],
    }


def keep_end(tx: Transaction, acquirer: str, reference: str, ends_at: datetime | None) -> None:
    """Keep the end of a key that was looked at just now; None: it has none."""
    mark_fired(tx, _name(acquirer, reference), ends_at or NEVER)


def key_ends(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> list[KeyEnd]:
    """The keys that end within `keys_warn_days`, the earliest first. One that nobody looked at yet is not known to end."""
    warn_until = now + timedelta(days=acquirer.keys_warn_days)
    found = []
    for use, references in uses(acquirer).items():
        ends = {each: last_fired(tx, _name(acquirer.name, each)) or NEVER for each in references}
        needed = use == RECIPIENT or all(end <= now for end in ends.values())
        found += [KeyEnd(acquirer.name, use, each, end, needed) for each, end in ends.items() if end <= warn_until]
    return sorted(found, key=lambda each: (each.ends_at, each.reference))


def _name(acquirer: str, reference: str) -> str:
    return f"key-end:{acquirer}:{reference}"
