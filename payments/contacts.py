"""Keeps how it went to reach each source and each acquirer's outbox: the last try, the last success, and what fails since when.

One record per counterpart, changed after every try; a success ends what failed. Nobody's work depends on it but people's, and
the next try of a source that could not be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from payments.errors import Busy, TieoutError, TryAgain
from payments.masking import masked

if TYPE_CHECKING:
    from payments.ports import Clock, Ledger, Records, Transaction

REASON_LENGTH_MAX = 500
RETRY_FIRST, RETRY_LONGEST = timedelta(seconds=60), timedelta(hours=1)
DOUBLINGS_MAX = 10
UNKNOWN_REASON = "a failure that is not known here; the service log names its place"


@dataclass(frozen=True, slots=True)
class Contact:
    """How reaching one counterpart goes. `failures` are those in a row, `error` is their last kind and `reason` its text."""

    subject: str
    tried_at: datetime
    succeeded_at: datetime | None = None
    failing_since: datetime | None = None
    failures: int = 0
    error: str = ""
    reason: str = ""
    revision: int = 0


class ContactLedger(Protocol):
    """Whom we reached, and whom not."""

    @property
    def contacts(self) -> Records[Contact]: ...


def of_source(name: str) -> str:
    """Under which subject the readings of a source are kept."""
    return f"source:{name}"


def of_strays(name: str) -> str:
    """Under which subject is kept that rows of a source may never be read: only from the first extraction that saw some."""
    return f"strays:{name}"


def of_outbox(name: str) -> str:
    """Under which subject the polls of an acquirer's outbox are kept."""
    return f"outbox:{name}"


def of_inbox(name: str) -> str:
    """Under which subject the sessions that deliver to an acquirer are kept: only from the first that failed on."""
    return f"inbox:{name}"


def retry_at(contact: Contact | None) -> datetime | None:
    """When a failing source is tried again: a minute after the first failure, twice as long after each, at most an hour."""
    if contact is None or contact.failing_since is None:
        return None
    doublings = min(contact.failures - 1, DOUBLINGS_MAX)
    return contact.tried_at + min(RETRY_FIRST * (1 << doublings), RETRY_LONGEST)


@contextmanager
def noted(ledger: Ledger, clock: Clock, subject: str) -> Iterator[None]:
    """Keep how the body ended, and let its error pass. Busy is no answer: somebody else is at it, and will say."""
    try:
        yield
    except Busy:
        raise
    except Exception as error:  # kept, and let through
        # A text that is not ours may hold anything (I7).
        reason = masked(str(error))[:REASON_LENGTH_MAX] if isinstance(error, TieoutError) else UNKNOWN_REASON
        with suppress(TieoutError), ledger.begin() as tx:  # it may be the ledger that failed
            failed(tx, subject, clock.now(), type(error).__name__, reason)
        raise
    with suppress(TryAgain), ledger.begin() as tx:  # the work is done: the next success says so as well
        _succeeded(tx, subject, clock.now())


def failed(tx: Transaction, subject: str, now: datetime, error: str, reason: str) -> int:
    """Keep that it could not be reached, and say how often that makes in a row."""
    known = tx.contacts.get(subject)
    if known is None:
        tx.contacts.add(Contact(subject, now, failing_since=now, failures=1, error=error, reason=reason))
        return 1
    since = known.failing_since or now
    failures = known.failures + 1
    tx.contacts.change(known, tried_at=now, failing_since=since, failures=failures, error=error, reason=reason)
    return failures


def is_failing(tx: Transaction, subject: str) -> bool:
    """Whether the last try did not reach it."""
    known = tx.contacts.get(subject)
    return known is not None and known.failing_since is not None


def reached(tx: Transaction, subject: str, now: datetime) -> None:
    """End what fails; nothing is kept of a counterpart that never failed."""
    if is_failing(tx, subject):
        _succeeded(tx, subject, now)


def _succeeded(tx: Transaction, subject: str, now: datetime) -> None:
    known = tx.contacts.get(subject)
    if known is None:
        tx.contacts.add(Contact(subject, now, succeeded_at=now))
        return
    tx.contacts.change(known, tried_at=now, succeeded_at=now, failing_since=None, failures=0, error="", reason="")
