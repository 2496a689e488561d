"""Says how it stands with each source and each acquirer's outbox: what was read last, what fails since when, what is due next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from payments.concerns import Concern
from payments.config import AcquirerSection, Configuration, SourceSection
from payments.contacts import Contact, of_outbox, of_source, of_strays
from payments.ports import Transaction
from payments.remote_ports import Position
from payments.schedules import outbox_due, source_due

READ_WITHIN = timedelta(minutes=15)
"""A source whose time has come is being read by then: a task starts within two minutes, and its schedule tries that again."""
OVERDUE_AFTER, OVERDUE_POLLS = timedelta(minutes=5), 3
"""A poll that is so late, and by so many of its intervals, was forgotten: no service runs, or its workers hang."""
TIMES = ("last_success_at", "failing_since", "next_due_at", "overdue_since")


@dataclass(frozen=True, slots=True)
class Counterpart:
    """Whom we read from. `what` is source or outbox; `next_due_at` None: nobody but a person's command reads it."""

    what: str
    name: str
    last_success_at: datetime | None
    failing_since: datetime | None
    failures: int
    error: str
    reason: str
    next_due_at: datetime | None
    last_run: str = ""
    last_run_state: str = ""
    watermark_age_s: int | None = None
    overdue_since: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """As `tieout status --json` lists it; what only sources have is left out of an outbox."""
        fields = ["name", *TIMES[:2], "failures", "error", "reason", *TIMES[2:]]
        fields += ["last_run", "last_run_state", "watermark_age_s"] if self.what == "source" else []
        shown = {name: getattr(self, name) for name in fields}
        return shown | {name: None if shown[name] is None else shown[name].isoformat() for name in TIMES}

    @property
    def concern(self) -> Concern | None:
        """What fails or was forgotten, and the command that tries it at once; None when nothing does."""
        if self.failing_since is None:
            return self._not_polled
        thing = f"source {self.name} cannot be read" if self.what == "source" else f"outbox of {self.name}: polls fail"
        again = f"; next try {self.next_due_at:%Y-%m-%d %H:%M:%S} UTC" if self.next_due_at else ""
        tries = "1 try" if self.failures == 1 else f"{self.failures:,} tries"
        text = f"{thing} since {self.failing_since:%Y-%m-%d %H:%M:%S} UTC ({tries}): {self.error}: {self.reason}{again}"
        return Concern(text, ("extract", self.name) if self.what == "source" else ("acquirer", self.name, "test"))

    @property
    def _not_polled(self) -> Concern | None:
        if self.overdue_since is None:
            return None
        if self.what == "source":
            due = f"should have been read at {self.overdue_since:%Y-%m-%d %H:%M:%S} UTC, and nobody does"
            return Concern(f"source {self.name} {due}; what does its task say?", ("extract", self.name))
        due = f"a poll was due at {self.overdue_since:%Y-%m-%d %H:%M:%S} UTC"
        return Concern(
            f"outbox of {self.name}: {due}, and nobody polls; is `tieout run` at work?", ("acquirer", self.name, "test")
        )


def sources(tx: Transaction, configuration: Configuration, now: datetime) -> list[Counterpart]:
    """Every configured source, in the order of the configuration."""
    by_scheduler = configuration.service.extract_by == "scheduler"
    return [_source(tx, each, now, by_scheduler) for each in configuration.source]


def unread(tx: Transaction, configuration: Configuration) -> list[Concern]:
    """Sources with rows that may never be read, as their last extraction saw it. Extracting again looks again."""
    found = [(each.name, tx.contacts.get(of_strays(each.name))) for each in configuration.source]
    return [
        Concern(
            f"source {name}: {contact.reason}; seen since {contact.failing_since:%Y-%m-%d %H:%M:%S} UTC",
            ("extract", name),
        )
        for name, contact in found
        if contact is not None and contact.failing_since is not None
    ]


def outboxes(tx: Transaction, configuration: Configuration, now: datetime) -> list[Counterpart]:
    """The outbox of every configured acquirer, in the order of the configuration."""
    return [_outbox(tx, each, now) for each in configuration.acquirer]


def _source(tx: Transaction, source: SourceSection, now: datetime, by_scheduler: bool) -> Counterpart:
    run = next(iter(tx.runs.find(source=source.name, order="-ordinal", limit=1)), None)
    watermark = tx.watermarks.get(source.name)
    age_s = None if watermark is None else _age_s(source, watermark.position, now)
    due = source_due(tx, source, now, by_scheduler=by_scheduler)
    contact = tx.contacts.get(of_source(source.name))
    # Our own service asks again for what is due; of a scheduler outside nobody hears that it did, or that a task died.
    forgotten = by_scheduler and due is not None and _is_forgotten(tx, source, max(due, _tried_at(contact, due)), now)
    return Counterpart(
        "source",
        source.name,
        **_reached(contact),
        next_due_at=due,
        last_run="" if run is None else f"{run.source}/{run.ordinal:06d}",
        last_run_state="" if run is None else run.state,
        watermark_age_s=age_s,
        overdue_since=due if forgotten else None,
    )


def _tried_at(contact: Contact | None, else_at: datetime) -> datetime:
    return else_at if contact is None else contact.tried_at


def _is_forgotten(tx: Transaction, source: SourceSection, since: datetime, now: datetime) -> bool:
    """Whether nobody reads a source `since` when it was due, or was last tried: who came while another read it tries again."""
    return now - since > READ_WITHIN and not tx.is_leased(f"source:{source.name}")


def _outbox(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> Counterpart:
    reached = _reached(tx.contacts.get(of_outbox(acquirer.name)))
    due = outbox_due(tx, acquirer, now)
    late = now - due > max(OVERDUE_AFTER, OVERDUE_POLLS * timedelta(seconds=acquirer.results.collect_every_s))
    overdue = due if late else None
    return Counterpart("outbox", acquirer.name, **reached, next_due_at=due, overdue_since=overdue)


def _reached(contact: Contact | None) -> dict[str, Any]:
    if contact is None:
        return {"last_success_at": None, "failing_since": None, "failures": 0, "error": "", "reason": ""}
    return {
        "last_success_at": contact.succeeded_at,
        "failing_since": contact.failing_since,
        "failures": contact.failures,
        "error": contact.error,
        "reason": contact.reason,
    }


def _age_s(source: SourceSection, position: Position | None, now: datetime) -> int | None:
    """How long ago the newest row that was read was stamped; None where the watermark is no time, or none that we can read."""
    value = position[0] if position else None
    match source.watermark_type, value:
        case "epoch_ms", int():
            at = datetime.fromtimestamp(value / 1000, UTC)
        case "timestamp", str():
            try:
                at = datetime.fromisoformat(value)
            except ValueError:
                return None
            at = at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(source.zone))
        case _:
            return None
    return int((now - at).total_seconds())
