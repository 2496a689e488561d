"""Foresees whether everything that is under way will be there before the next window closes; from the ledger alone.

now -- rows still to be curated and assembled --> complete -- bytes still to be sent --> finish | closes

Speeds are those of the last runs and deliveries. Where nothing was measured yet, the answer is `unknown`, never `ok`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from payments.config import AcquirerSection, Configuration
from payments.contacts import of_inbox, of_outbox
from payments.errors import HostKeyRefused, LoginRefused, Unreachable
from payments.ports import Transaction
from payments.records import OutboundFile
from payments.states import IN_ACQUIRERS_HANDS, FileState
from transfer.windows import Occurrence, Place, following
from transfer.windows_firing import closes_at, last_assembly, place_now

RUNS_MEASURED = 10
FILES_MEASURED = 20
LEFT = (FileState.PLANNED, FileState.SEALED, FileState.DELIVERING, FileState.IN_DOUBT)
"""States of files that are not proved to be there."""
FAR = timedelta(days=3650)
"""No estimate lies further ahead: what would take longer is late in any case."""
NOT_REACHED = frozenset(each.__name__ for each in (Unreachable, LoginRefused, HostKeyRefused))
"""Failures of a poll in which nobody came as far as reading. Deliveries go to the same server."""
AWAY = "its server has not been reached since"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not at the acquirer yet. Rows to be curated are those of all sources: nobody knows yet where they go."""

    rows_to_curate: int
    rows_to_assemble: int
    rows_waiting: int
    files_to_deliver: int
    bytes_to_deliver: int | None  # None: it cannot be told, because no file was ever delivered


@dataclass(frozen=True, slots=True)
class Speed:
    """Measured on the last runs (opening to assembly) and on this acquirer's last deliveries; None: nothing was measured."""

    rows_per_s: float | None
    bytes_per_s: float | None
    bytes_per_row: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """`verdict` is ok, at_risk or unknown; `reasons` say why it is not ok. Without windows nothing can be missed."""

    acquirer: str
    window: Occurrence | None
    backlog: Backlog
    speed: Speed
    seconds_left: float | None
    finish_at: datetime | None
    verdict: str
    reasons: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Numbers and texts only; times are ISO 8601."""
        return {
            "acquirer": self.acquirer,
            "window": None if self.window is None else window_json(self.window),
            "backlog": {name: getattr(self.backlog, name) for name in Backlog.__dataclass_fields__},
            "speed": {name: getattr(self.speed, name) for name in Speed.__dataclass_fields__},
            "seconds_left": self.seconds_left,
            "finish_at": None if self.finish_at is None else self.finish_at.isoformat(),
            "verdict": self.verdict,
            "reasons": self.reasons,
        }


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person should know before, or as, a window is missed. `name` stays the same while it lasts."""

    name: str
    text: str
    acquirer: str


def window_json(window: Occurrence) -> dict[str, Any]:
    """An occurrence as its names and times."""
    return {
        "name": window.window.name,
        "business_date": window.business_date.isoformat(),
        "opens_at": window.opens.isoformat(),
        "cutoff_at": window.cutoff.isoformat(),
        "closes_at": window.closes.isoformat(),
        "send": window.window.send,
        "late": window.window.late,
    }


def next_window(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> Occurrence | None:
    """The window that takes rows now, else the one that they wait for; None without windows, or when none ever comes."""
    if not acquirer.window:
        return None
    decision = place_now(tx, acquirer, now, last_assembly(tx))
    if isinstance(decision, Place):
        # What is complete now goes at once, marked late: the window to be made is the one behind.
        return next(islice(following(acquirer, now), 1), None) if decision.late else decision.occurrence
    return decision.until


def forecast(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> Forecast:
    """How the next window of one acquirer looks now. Reads only the ledger, and writes nothing."""
    window = next_window(tx, acquirer, now)
    files = _files_of(tx, acquirer, window)
    speed = _speed(tx, acquirer)
    backlog = _backlog(tx, acquirer, files, speed)
    if window is None:
        return Forecast(acquirer.name, None, backlog, speed, None, None, "ok")
    complete = _after(now, backlog.rows_to_curate + backlog.rows_to_assemble, speed.rows_per_s)
    begins = (
        None
        if complete is None
        else max(complete, window.cutoff if window.window.send == "at_cutoff" else window.opens)
    )
    finish = None if begins is None else _after(begins, backlog.bytes_to_deliver, speed.bytes_per_s)
    reasons = list(_stuck(files, window))
    away_since = _not_reached_since(tx, acquirer, files, backlog) if window.opens <= now else None
    if away_since is not None:
        reasons.append(f"{AWAY} {_clock(away_since)}")
    if complete is not None and complete > now and complete >= window.cutoff:
        reasons.append(f"rows under way will be complete at {_clock(complete)}, behind the cutoff")
    if finish is not None and _has_work(backlog) and finish >= window.closes:
        reasons.append(f"files will be there at {_clock(finish)}, behind the close")
    verdict = "at_risk" if reasons else "unknown" if finish is None else "ok"
    if verdict == "unknown":
        reasons.append("no run or delivery was measured yet")
    left = (window.closes - now).total_seconds()
    return Forecast(acquirer.name, window, backlog, speed, left, finish, verdict, reasons)


def alarms(tx: Transaction, configuration: Configuration, now: datetime) -> list[Alarm]:
    """What is at risk of missing a window now, and the files that are late and not there."""
    found = []
    for acquirer in configuration.acquirer:
        if not acquirer.window:
            continue
        said = forecast(tx, acquirer, now)
        if said.verdict == "at_risk" and said.window is not None:
            at = f"window {said.window.window.name} of {said.window.business_date}"
            text = f"acquirer {acquirer.name}: {at} may be missed: {'; '.join(said.reasons)}"
            # Each name is told once: a server that was away for a minute must not silence what comes behind it.
            kind = "away" if all(each.startswith(AWAY) for each in said.reasons) else "at_risk"
            found.append(Alarm(f"alarm:{kind}:{said.window.firing}", text, acquirer.name))
        found += _late(tx, acquirer)
    return found


def _late(tx: Transaction, acquirer: AcquirerSection) -> Iterator[Alarm]:
    for file in tx.files.find(acquirer=acquirer.name, state=tuple(str(state) for state in LEFT), order="sequence"):
        late = any(tx.firings.get(f"{kind}:{file.file_id}") is not None for kind in ("late", "moved"))
        if late:
            text = f"file {file.name} is late and not there ({file.held or file.note or file.state})"
            yield Alarm(f"alarm:late:{file.file_id}", text, acquirer.name)


def _files_of(tx: Transaction, acquirer: AcquirerSection, window: Occurrence | None) -> list[OutboundFile]:
    """Files that are not there yet, without those that wait for a window behind this one."""
    found = tx.files.find(acquirer=acquirer.name, state=tuple(str(state) for state in LEFT), order="sequence")
    if window is None:
        return found
    return [file for file in found if (closes_at(tx, acquirer, file) or window.closes) <= window.closes]


def _stuck(files: list[OutboundFile], window: Occurrence) -> Iterator[str]:
    for file in files:
        if file.held or file.state == FileState.IN_DOUBT:
            yield f"{file.name} waits for a person ({file.held or file.note or 'in doubt'})"
        elif file.next_attempt_at is not None and file.next_attempt_at >= window.closes:
            yield f"{file.name} is tried again at {_clock(file.next_attempt_at)}, behind the close"


def _not_reached_since(
    tx: Transaction, acquirer: AcquirerSection, files: list[OutboundFile], backlog: Backlog
) -> datetime | None:
    """Since when nobody reaches the server for which something is there or on its way; None: it is reached, for all we know."""
    if not _has_work(backlog):
        return None
    inbox = tx.contacts.get(of_inbox(acquirer.name))
    # How the last session went is old while no file is tried: then only the polls tell.
    is_tried = any(not file.held and file.state in {FileState.SEALED, FileState.DELIVERING} for file in files)
    if is_tried and inbox is not None and inbox.failing_since is not None:
        return inbox.failing_since
    outbox = tx.contacts.get(of_outbox(acquirer.name))
    if outbox is None or outbox.failing_since is None or outbox.error not in NOT_REACHED:
        return None
    there = tuple(str(state) for state in IN_ACQUIRERS_HANDS)
    last = next(iter(tx.files.find(acquirer=acquirer.name, state=there, order="-delivered_at", limit=1)), None)
    # A server that hangs up on every poll, at one file of its outbox say, may take what is delivered to it.
    is_reached = last is not None and last.delivered_at is not None and last.delivered_at >= outbox.failing_since
    return None if is_reached else outbox.failing_since


def _backlog(tx: Transaction, acquirer: AcquirerSection, files: list[OutboundFile], speed: Speed) -> Backlog:
    runs = tx.runs.find(state=("open", "closed"))
    to_curate = sum(
        chunk.rows
        for run in runs
        for chunk in tx.chunks.find(source=run.source, run=run.ordinal)
        if chunk.state != "curated"
    )
    last = last_assembly(tx)
    waiting = 0 if last is None else last.plan.get("waiting", {}).get(acquirer.name, {}).get("count", 0)
    assemble = sum(run.curated.count for run in tx.runs.find(state="curated"))
    unsealed = waiting + to_curate + assemble + sum(file.total.count for file in files if not file.size)
    sealed = sum(file.size for file in files)
    size: int | None = sealed + round(unsealed * speed.bytes_per_row) if speed.bytes_per_row is not None else None
    return Backlog(to_curate, assemble, waiting, len(files), size if unsealed else sealed)


def _has_work(backlog: Backlog) -> bool:
    rows = backlog.rows_to_curate + backlog.rows_to_assemble + backlog.rows_waiting
    return bool(rows or backlog.files_to_deliver)


def _speed(tx: Transaction, acquirer: AcquirerSection) -> Speed:
    rows, row_seconds = 0, 0.0
    for run in tx.runs.find(state="assembled", order="-opened_at", limit=RUNS_MEASURED):
        assembly = None if run.assembly is None else tx.assemblies.get(run.assembly)
        if assembly is not None and run.extracted.count:
            rows += run.extracted.count
            row_seconds += (assembly.created_at - run.opened_at).total_seconds()
    there = tuple(str(state) for state in IN_ACQUIRERS_HANDS)
    files = tx.files.find(acquirer=acquirer.name, state=there, order="-sequence", limit=FILES_MEASURED)
    sent, seconds = 0, 0.0
    for file in files:
        for attempt in tx.attempts.find(file_id=file.file_id, state="done"):
            if attempt.ended_at is not None:
                sent += file.size
                seconds += (attempt.ended_at - attempt.started_at).total_seconds()
    payments = sum(file.total.count for file in files)
    return Speed(
        rows / row_seconds if row_seconds > 0 else None,
        sent / seconds if seconds > 0 else None,
        sum(file.size for file in files) / payments if payments else None,
    )


def _after(start: datetime, amount: int | None, per_s: float | None) -> datetime | None:
    """When so much is done; None when that cannot be told."""
    if amount == 0:
        return start
    if amount is None or not per_s:
        return None
    return start + timedelta(seconds=min(amount / per_s, FAR.total_seconds()))


def _clock(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
