"""A ledger, a store and other things that die at a chosen point; for tests only.

To die before an effect is to die after the one before it: so each effect has one point behind it, and a transaction has
another before its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payments.ports import StoredObject


class Killed(BaseException):
    """The process is gone: no handler of ours may catch it."""


@dataclass
class Fate:
    """Counts the points at which a process may die; dies at the one it is told to, and stays dead."""

    dies_at: int = 0
    passed: int = 0

    def point(self) -> None:
        self.passed += 1
        if self.dies_at and self.passed >= self.dies_at:
            raise Killed


@dataclass
class MortalLedger:
    """Dies inside a transaction that writes, before its commit, or after it."""

    inner: Any
    fate: Fate

    @property
    def leases(self) -> Any:
        return Mortal(self.inner.leases, self.fate)

    def look(self) -> Any:
        return self.inner.look()

    @contextmanager
    def begin(self) -> Iterator[Any]:
        with self.inner.begin() as tx:
            before = _written(tx)
            yield tx
            wrote = _written(tx) != before
            if wrote:
                self.fate.point()
        if wrote:
            self.fate.point()


def _written(tx: Any) -> int:
    """How many rows this SQLite connection has written so far: to die around a mere look leaves nothing to find."""
    changes: int = tx.connection.connection.driver_connection.total_changes
    return changes


@dataclass
class MortalStore:
    """Dies after every put."""

    inner: Any
    fate: Fate

    def put(self, key: str, data: bytes) -> StoredObject:
        return self._effect(self.inner.put, key, data)

    def put_file(self, key: str, path: Path) -> StoredObject:
        return self._effect(self.inner.put_file, key, path)

    def _effect(self, act: Callable[..., StoredObject], *given: Any) -> StoredObject:
        stored = act(*given)
        self.fate.point()
        return stored

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class Mortal:
    """Anything else: dies after every call."""

    inner: Any
    fate: Fate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not callable(found):
            return found

        def call(*given: Any, **named: Any) -> Any:
            answer = found(*given, **named)
            self.fate.point()
            return answer

        return call
