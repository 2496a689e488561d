"""Keeps a log-in that was refused from being tried so often that the acquirer locks the account.

Delivery and every poll of the outbox log in with the same credentials: they share one pause, kept in the ledger. It begins with
`retry.first_s`, grows by `retry.factor` up to `retry.longest_s` with each refusal, and ends when a log-in succeeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime, timedelta

from payments.config import AcquirerSection
from payments.errors import LoginRefused
from payments.firings import last_fired, mark_fired
from payments.ports import Clock, Ledger, Transaction
from payments.remote_ports import RemoteDrop
from payments.waiting import due_at

Connect = Callable[[], AbstractContextManager[RemoteDrop]]
NO_PAUSE = timedelta()


def paused(ledger: Ledger, clock: Clock, acquirer: AcquirerSection, connect: Connect, *, at_once: bool) -> Connect:
    """The same way to the acquirer, tried only when no pause is on; `at_once`: a person asks, and is not kept waiting."""

    @contextmanager
    def open_session() -> Iterator[RemoteDrop]:
        if not at_once:
            _check(ledger, clock, acquirer)
        with ExitStack() as stack:
            try:
                drop = stack.enter_context(connect())
            except LoginRefused:
                with ledger.begin() as tx:
                    _lengthen(tx, acquirer, clock.now())
                raise
            _end(ledger, acquirer.name)
            yield drop

    return open_session


def _check(ledger: Ledger, clock: Clock, acquirer: AcquirerSection) -> None:
    """Raises LoginRefused while the pause is on, without asking the server."""
    with ledger.look() as tx:
        refused_at, next_at = _times(tx, acquirer.name)
    longest = timedelta(seconds=max(acquirer.retry.first_s, acquirer.retry.longest_s))
    now = clock.now()
    if refused_at is not None and next_at is not None and now < due_at(next_at, now, longest):
        raise LoginRefused(
            f"acquirer {acquirer.name}: its server did not let us in at {refused_at:%Y-%m-%d %H:%M:%S} UTC; "
            f"it is not asked again before {next_at:%H:%M:%S}, so that it does not lock the account",
            next_step=f"Correct user, key or password; `tieout acquirer {acquirer.name} test` tries at once and ends the pause.",
        )


def _lengthen(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> None:
    refused_at, next_at = _times(tx, acquirer.name)
    last = NO_PAUSE if refused_at is None or next_at is None else next_at - refused_at
    retry = acquirer.retry
    seconds = min(last.total_seconds() * retry.factor or retry.first_s, retry.longest_s)
    mark_fired(tx, f"login_refused:{acquirer.name}", now)
    mark_fired(tx, f"login_next:{acquirer.name}", now + timedelta(seconds=max(seconds, retry.first_s)))


def _end(ledger: Ledger, name: str) -> None:
    with ledger.look() as tx:
        refused_at, next_at = _times(tx, name)
    if refused_at is None or next_at == refused_at:
        return  # nearly always: no session waits for a write lock
    with ledger.begin() as tx:
        mark_fired(tx, f"login_next:{name}", refused_at)


def _times(tx: Transaction, name: str) -> tuple[datetime | None, datetime | None]:
    """(when it was refused last, when it may be tried next); equal when it succeeded since."""
    return last_fired(tx, f"login_refused:{name}"), last_fired(tx, f"login_next:{name}")
