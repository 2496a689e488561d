"""What is due now and when something is due next: one look at the ledger and the configuration, no memory of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from payments.config import AcquirerSection, Configuration
from payments.expected_results import due_times
from payments.firings import last_fired, mark_fired
from payments.ports import Transaction
from payments.records import Firing
from payments.schedules import firing_of_outbox, firing_of_schedule, firing_of_source, outbox_due, source_due
from payments.states import FileState
from reconciliation.due import overdue_files
from transfer.assembly_due import is_pending
from transfer.companions import owed
from transfer.forecast import alarms
from transfer.stranded import is_anything_due
from transfer.windows import next_times


@dataclass(frozen=True, slots=True)
class Wake:
    """Whom to wake through which queue. `firing` names the schedule to be marked, empty when the ledger itself says due."""

    queue: str
    subject: str
    firing: str = ""


def due_wakes(tx: Transaction, configuration: Configuration, now: datetime) -> list[Wake]:
    """Everything that should be woken now. A look changes nothing: `mark_fired` does, once the message is sent."""
    wakes = [Wake(queue, subject, name) for name, queue, subject, at in scheduled(tx, configuration, now) if at <= now]
    if is_pending(tx, configuration, now):
        wakes.append(Wake("assemble", ""))
    for acquirer in configuration.acquirer:
        if is_anything_due(tx, acquirer, now):
            wakes.append(Wake("deliver", acquirer.name))
        if (
            tx.results.count(acquirer=acquirer.name, state="read", reconciled=False)
            or tx.sightings.count(acquirer=acquirer.name, state="complete")
            or overdue_files(tx, acquirer.name, now)
        ):
            wakes.append(Wake("reconcile", acquirer.name))
    return wakes


def next_due(tx: Transaction, configuration: Configuration, now: datetime) -> datetime | None:
    """The next time after `now` at which something is due; None when nothing is foreseen."""
    times = [at for *_, at in scheduled(tx, configuration, now)]
    for acquirer in configuration.acquirer:
        times += _ledger_times(tx, acquirer)
        times += due_times(tx, acquirer)
        times += next_times(acquirer, now) if acquirer.window else []
    times += _pool_times(tx, configuration)
    return min((at for at in times if at > now), default=None)


def begin_schedules(tx: Transaction, configuration: Configuration, now: datetime) -> None:
    """Remember when each source's schedule was first looked at: only times behind that are due."""
    by_scheduler = configuration.service.extract_by == "scheduler"
    for source in configuration.source:
        name = firing_of_schedule(source) if by_scheduler else firing_of_source(source.name)
        is_timed = source.schedule.at or (by_scheduler and source.schedule.every_s)
        if is_timed and last_fired(tx, name) is None:
            # What our service finds due at this very instant it starts itself.
            tx.firings.add(Firing(name, now if by_scheduler else now - timedelta(microseconds=1)))


def new_alarms(tx: Transaction, configuration: Configuration, now: datetime) -> list[str]:
    """Alarms about windows that nobody was told of yet; each is told once, also across restarts."""
    found = [each for each in alarms(tx, configuration, now) if last_fired(tx, each.name) is None]
    for each in found:
        mark_fired(tx, each.name, now)
    return [each.text for each in found]


def scheduled(tx: Transaction, configuration: Configuration, now: datetime) -> Iterator[tuple[str, str, str, datetime]]:
    """(name, queue, subject, when it is due) of every schedule."""
    ours = configuration.source if configuration.service.extract_by == "service" else []
    for source in ours:
        at = source_due(tx, source, now)
        if at is not None:
            yield firing_of_source(source.name), "extract", source.name, at
    for acquirer in configuration.acquirer:
        yield firing_of_outbox(acquirer.name), "collect", acquirer.name, outbox_due(tx, acquirer, now)


def _ledger_times(tx: Transaction, acquirer: AcquirerSection) -> list[datetime]:
    files = tx.files.find(
        acquirer=acquirer.name,
        state=tuple(
            str(s)
            for s in (
                FileState.SEALED,
                FileState.DELIVERING,
                FileState.DELIVERED,
                FileState.ACKNOWLEDGED,
                FileState.PARTIALLY_ACCEPTED,
            )
        ),
    )
    tries = [file.next_attempt_at for file in files if file.next_attempt_at is not None and not file.held]
    tries += [each.next_attempt_at for _, each in owed(tx, acquirer.name) if each.next_attempt_at is not None]
    return tries + [file.results_due_at for file in files if file.results_due_at is not None and file.awaiting.count]


def _pool_times(tx: Transaction, configuration: Configuration) -> list[datetime]:
    """The acquirer's midnight at which the first row of the pool is no longer too early."""
    last = next(iter(tx.assemblies.find(order="-ordinal", limit=1)), None)
    due = {} if last is None else last.plan["pool_due"]
    times = []
    for acquirer in configuration.acquirer:
        if acquirer.name in due:
            day = datetime.fromisoformat(due[acquirer.name]).date() - timedelta(days=acquirer.send_ahead_days)
            times.append(datetime.combine(day, time(), ZoneInfo(acquirer.zone)).astimezone(UTC))
    return times
