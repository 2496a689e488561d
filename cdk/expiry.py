"""Says which stores may expire, after how many days at the earliest, and why the others never do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cdk.buckets import BUCKETS, LOCKED, bucket_of
from cdk.environment import Environment, WrongContext

GONE_DAYS = 30
"""How long what expired is kept as an old version, from which a person can bring it back."""
DAYS_MAX = 36_500

ONCE_READ = (
    "until then a run may be stopped for a person, its messages may be dead letters (14 days), and a ledger restored "
    "from its backups (35 days at most) reads again what was stored since"
)
SPOKEN_OF = "until then an acquirer may come back to a payment, and what was sent or answered must be shown"


@dataclass(frozen=True, kw_only=True)
class MayExpire:
    """One key of `expire_days`: the stores that go together, and the fewest days that are allowed."""

    stores: tuple[str, ...]
    days_min: int
    why: str


MAY_EXPIRE: dict[str, MayExpire] = {
    "raw": MayExpire(stores=("raw",), days_min=60, why=ONCE_READ),
    "quarantine": MayExpire(stores=("quarantine",), days_min=60, why=ONCE_READ),
    "outbound": MayExpire(stores=("outbound", "manifests"), days_min=400, why=SPOKEN_OF),
    "results": MayExpire(stores=("results",), days_min=400, why=SPOKEN_OF),
    "matched": MayExpire(stores=("matched", "open"), days_min=400, why=SPOKEN_OF),
}
"""docs/decisions/0024 says why in full."""

NEVER: dict[str, str] = {
    "curated": "payments that wait are read from it at every assembly, however long they wait",
    "expected": "results are matched against it without an age limit",
    "reported": "a late result is folded together with all earlier ones",
    "redeliveries": "what was sent again is known by it for ever",
    "index": "that no payment is sent twice is known by it",
    "pool": "every assembly begins with it",
    "heads": "the audit log is proven by it",
}
"""Store -> why nothing in it may expire."""


def check_expiry(environment: Environment) -> None:
    """Raises WrongContext for what may not expire, not so soon, or not while it is locked."""
    for fault in _faults(environment.expire_days, environment.locked_days):
        raise WrongContext(f"environments.{environment.name}.{fault}")


def _faults(expire_days: Mapping[str, int], locked_days: int) -> Iterator[str]:
    for name, days in expire_days.items():
        if name in NEVER:
            yield f"expire_days.{name}: nothing in {name} may expire: {NEVER[name]}"
        elif name not in MAY_EXPIRE:
            yield f"expire_days.{name}: found {name!r}, allowed are {', '.join(MAY_EXPIRE)}"
        elif not isinstance(days, int) or isinstance(days, bool) or days > DAYS_MAX:
            yield f"expire_days.{name}: found {days!r}, allowed is a whole number of days up to {DAYS_MAX}"
        elif days < MAY_EXPIRE[name].days_min:
            allowed = MAY_EXPIRE[name]
            yield f"expire_days.{name}: found {days}, allowed are {allowed.days_min} and more: {allowed.why}"
        elif bucket_of(name) in LOCKED and days < locked_days:
            yield f"expire_days.{name}: found {days}, and its objects are locked for {locked_days} (locked_days)"


def days_of(bucket: str, expire_days: Mapping[str, int]) -> dict[str, int]:
    """Store -> days, for the stores of one bucket that expire."""
    found = {store: days for name, days in expire_days.items() for store in MAY_EXPIRE[name].stores}
    return {store: found[store] for store in BUCKETS[bucket] if store in found}
