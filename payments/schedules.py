"""Computes when a source is read next, and when an outbox is polled next, from the configuration and what is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from payments.config import AcquirerSection, SourceSection
from payments.contacts import RETRY_LONGEST, noted, of_source, retry_at
from payments.errors import Busy, TryAgain
from payments.firings import last_fired, mark_fired
from payments.ports import Clock, Ledger, Transaction
from payments.waiting import due_at

INSTANT = timedelta(microseconds=1)
A_DAY = timedelta(days=1)
SET_BACK_MAX = timedelta(hours=1)
"""So far a clock may be set back, at the most, without firing again what it has fired."""


def firing_of_source(name: str) -> str:
    """Under which name is kept when a source's schedule last woke somebody."""
    return f"extract:{name}"


def firing_of_outbox(name: str) -> str:
    """The same for the polls of an acquirer's outbox."""
    return f"collect:{name}"


def firing_of_schedule(source: SourceSection) -> str:
    """Under which name is kept since when a scheduler outside starts the source at these times: others begin anew."""
    return " ".join((f"schedule:{source.name}", *source.schedule.at, source.zone, str(source.schedule.every_s)))


def source_due(tx: Transaction, source: SourceSection, now: datetime, *, by_scheduler: bool = False) -> datetime | None:
    """When the source is read next; None: by command only. One that could not be read does not wait for its next time.

    `by_scheduler`: somebody outside starts it, at its times and at no others.
    """
    every = timedelta(seconds=source.schedule.every_s) or A_DAY
    names = [firing_of_source(source.name), *([firing_of_schedule(source)] if by_scheduler else [])]
    times = [at for at in (_fired(tx, name, every, now) for name in names) if at is not None]
    fired = max(times, default=None)
    planned = _source_time(source, fired, now)
    if by_scheduler:
        return planned
    if planned is None:
        return None
    again = retry_at(tx.contacts.get(of_source(source.name)))
    if again is not None and due_at(again, now, RETRY_LONGEST) != again:
        again = (fired or now) + RETRY_LONGEST  # the last try was kept by a clock that was ahead
    # Once somebody was woken for it, only the end of that try says when the next one is.
    is_open = again is not None and (fired is None or again > fired)
    return min(planned, again) if again is not None and is_open else planned


def outbox_due(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> datetime:
    """When the acquirer's outbox is polled next."""
    every = timedelta(seconds=acquirer.results.collect_every_s)
    fired = _fired(tx, firing_of_outbox(acquirer.name), every, now)
    return now if fired is None else fired + every


@contextmanager
def tried(ledger: Ledger, clock: Clock, name: str, *, by_scheduler: bool) -> Iterator[None]:
    """Keep how reading the source went; where a scheduler outside started it, also when that began: nobody else knows.

    Only once it ended, well or not: whoever dies meanwhile leaves the source due, and overdue in the end.
    """
    began = clock.now()

    def keep() -> None:
        with suppress(TryAgain), ledger.begin() as tx:  # it may be the ledger that failed; then it stays due
            mark_fired(tx, firing_of_source(name), began)

    try:
        with noted(ledger, clock, of_source(name)):
            yield
    except Busy:
        raise  # somebody else is at it, and keeps it
    except Exception:  # kept, and let through
        if by_scheduler:
            keep()
        raise
    if by_scheduler:
        keep()


def _fired(tx: Transaction, name: str, every: timedelta, now: datetime) -> datetime | None:
    """When it fired last; one interval ago where that was kept by a clock that was ahead, so that it is due."""
    fired = last_fired(tx, name)
    longest = min(every, SET_BACK_MAX)
    return fired if fired is None or due_at(fired, now, longest) == fired else now - every


def poll_at_once(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> None:
    """Make the outbox due now: its last poll had no time to fetch all that it saw."""
    mark_fired(tx, firing_of_outbox(acquirer.name), now - timedelta(seconds=acquirer.results.collect_every_s))


def _source_time(source: SourceSection, fired: datetime | None, now: datetime) -> datetime | None:
    """By its schedule alone. Times that passed while nobody ran count once."""
    if source.schedule.every_s:
        return now if fired is None else fired + timedelta(seconds=source.schedule.every_s)
    if not source.schedule.at:
        return None
    if fired is None:
        # Nobody began this schedule: times of today that have passed before the service existed are not made up for.
        fired = now - INSTANT
    return min(_next_time_of_day(text, source.zone, fired) for text in source.schedule.at)


def _next_time_of_day(text: str, zone: str, after: datetime) -> datetime:
    """The first instant behind `after` at which clocks in the zone show this time; a skipped time counts when it is over."""
    clock = time.fromisoformat(text)
    day = after.astimezone(ZoneInfo(zone)).date()
    for ahead in range(3):
        found = datetime.combine(day + timedelta(days=ahead), clock, ZoneInfo(zone)).astimezone(UTC)
        if found > after:
            return found
    raise AssertionError("a time of day comes within two days")
