"""Says who looks at the page, and what their roles let them see; on one machine nobody is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

ROLES = frozenset({"viewer", "operator", "approver", "auditor"})
SEE_AUDIT = frozenset({"operator", "approver", "auditor"})
"""The audit trail names people and their reasons; who only views the books does not need it."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signed in. `subject` is what the sign-in service calls them for ever, `name` is for the page only."""

    subject: str
    name: str
    roles: frozenset[str]


_person: ContextVar[Person | None] = ContextVar("person", default=None)


@contextmanager
def seen_by(person: Person) -> Iterator[None]:
    """Meanwhile this request is theirs."""
    token = _person.set(person)
    try:
        yield
    finally:
        _person.reset(token)


def viewer() -> Person | None:
    """Whose request this is; None where no sign-in is asked for."""
    return _person.get()


def sees_audit() -> bool:
    person = viewer()
    return person is None or bool(person.roles & SEE_AUDIT)
