"""The tie-out certificate: every check with what was expected and what was found, and one verdict over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from payments.books import Total
from payments.errors import Expired, Gone, TieoutError, Unreadable
from payments.hashing import sha256_of
from payments.ports import ObjectStore

MISSING = "missing in the store"
DELETED = "deleted, not by a lifecycle rule,"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was computed again. `expected` is what was recorded; both are JSON values.

    Two kinds neither hold nor fail, and `found` says why. `expired`: what it would be computed from expired. `in_flight`: it
    cannot hold before work that is under way is done.
    """

    subject: str
    what: str
    expected: Any
    found: Any
    expired: bool = False
    in_flight: bool = False

    @property
    def proven(self) -> bool:
        return not (self.expired or self.in_flight)

    @property
    def holds(self) -> bool:
        return self.proven and bool(self.expected == self.found)

    def to_json(self) -> dict[str, Any]:
        shown = {"subject": self.subject, "check": self.what, "expected": self.expected, "found": self.found}
        return {**shown, "holds": self.holds, "expired": self.expired, "in_flight": self.in_flight}


@dataclass(slots=True)
class Certificate:
    """The evidence for one or more runs, files or days. `configs` maps each subject to its configuration's hash."""

    subject: str
    checks: list[Check] = field(default_factory=list)
    configs: dict[str, str] = field(default_factory=dict)
    objects: int = 0
    size: int = 0
    expired: dict[str, datetime] = field(default_factory=dict)  # key -> when a lifecycle rule removed it

    @property
    def ties(self) -> bool:
        """All checks hold, and there was at least one. What expired or is in flight cannot be certified."""
        return bool(self.checks) and all(check.holds for check in self.checks)

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if check.proven and not check.holds]

    @property
    def unproven(self) -> list[Check]:
        """What cannot be computed any more because it expired, or not yet because it is in flight."""
        return [check for check in self.checks if not check.proven]

    def same(self, subject: str, what: str, expected: Any, found: Any, *, needs: Iterable[str] = ()) -> None:
        """Add a check of two JSON values or two totals; totals are compared with their multiset hashes.

        `needs` are the keys that `found` was computed from: where one of them expired, nothing was.
        """
        gone = [self.expired[key] for key in needs if key in self.expired]
        if gone:
            text = f"not computed: what it needs expired, the last on {_day(max(gone))}"
            self.checks.append(Check(subject, what, _json(expected), text, expired=True))
        else:
            self.checks.append(Check(subject, what, _json(expected), _json(found)))

    def waits(self, subject: str, what: str, expected: Any, found: str) -> None:
        """Add a check that cannot hold yet: `found` says what is under way."""
        self.checks.append(Check(subject, what, expected, found, in_flight=True))

    def to_json(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "ties": self.ties,
            "checked": len(self.checks),
            "failed": len(self.failed),
            "unproven": len(self.unproven),
            "expired": {key: at.isoformat() for key, at in sorted(self.expired.items())},
            "objects": self.objects,
            "bytes": self.size,
            "configurations": self.configs,
            "checks": [check.to_json() for check in self.checks],
        }

    @contextmanager
    def stored(self, store: ObjectStore, key: str, sha256: str | None) -> Iterator[Path | None]:
        """The object under `key`, after its SHA-256 was checked (None: none was recorded); None where there is none.

        What the body of the context cannot read is a check that does not hold, never an end of the others.
        """
        with ExitStack() as stack:
            try:
                path = stack.enter_context(store.local(key))
            except Unreadable as error:
                self._absent(key, sha256 or "an object", error)
                yield None
                return
            self.objects += 1
            self.size += path.stat().st_size
            if sha256 is not None:
                self.same(key, "SHA-256", sha256, sha256_of(path))
            try:
                yield path
            except TieoutError as error:
                self.same(key, "can be read", "yes", str(error))

    def _absent(self, key: str, expected: str, error: Unreadable) -> None:
        """Three different things: a rule removed it, somebody deleted it, nobody knows."""
        if isinstance(error, Expired):
            self.expired[key] = error.at
            self.checks.append(Check(key, "SHA-256", expected, f"expired on {_day(error.at)}", expired=True))
        elif isinstance(error, Gone):
            self.same(key, "SHA-256", expected, f"{DELETED} on {_day(error.at)}")
        else:
            self.same(key, "SHA-256", expected, MISSING)


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _json(value: Any) -> Any:
    if not isinstance(value, Total):
        return value
    # A sum of zero equals an absent one.
    shown = value.to_json(digest=True)
    return {**shown, "amount_minor": {key: minor for key, minor in shown["amount_minor"].items() if minor}}
