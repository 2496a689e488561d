"""The tie-out certificate: every check with what was expected and what was found, and one verdict over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from payments.books import Total
from payments.errors import TieoutError, Unreadable
from payments.hashing import sha256_of
from payments.ports import ObjectStore

MISSING = "missing in the store"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was computed again. `expected` is what was recorded; both are JSON values."""

    subject: str
    what: str
    expected: Any
    found: Any

    @property
    def holds(self) -> bool:
        return bool(self.expected == self.found)

    def to_json(self) -> dict[str, Any]:
        shown = {"subject": self.subject, "check": self.what, "expected": self.expected, "found": self.found}
        return {**shown, "holds": self.holds}


@dataclass(slots=True)
class Certificate:
    """The evidence for one or more runs, files or days. `configs` maps each subject to its configuration's hash."""

    subject: str
    checks: list[Check] = field(default_factory=list)
    configs: dict[str, str] = field(default_factory=dict)
    objects: int = 0
    size: int = 0

    @property
    def ties(self) -> bool:
        """All checks hold, and there was at least one."""
        return bool(self.checks) and not self.failed

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if not check.holds]

    def same(self, subject: str, what: str, expected: Any, found: Any) -> None:
        """Add a check of two JSON values or two totals; totals are compared with their multiset hashes."""
        self.checks.append(Check(subject, what, _json(expected), _json(found)))

    def to_json(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "ties": self.ties,
            "checked": len(self.checks),
            "failed": len(self.failed),
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
            except Unreadable:
                self.same(key, "SHA-256", sha256 or "an object", MISSING)
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


def _json(value: Any) -> Any:
    if not isinstance(value, Total):
        return value
    # A sum of zero equals an absent one.
    shown = value.to_json(digest=True)
    return {**shown, "amount_minor": {key: minor for key, minor in shown["amount_minor"].items() if minor}}
