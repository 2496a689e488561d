"""Gathers what a person must look at, from one look at the ledger: for `tieout status` and for the page, which say the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from payments.concerns import Concern
from payments.config import Configuration
from payments.counterparts import Counterpart, outboxes, sources, unread
from payments.deletions import said as said_of_end
from payments.deletions import unsettled
from payments.delivery_stops import said, stop_in_force
from payments.expected_results import Owed, owed
from payments.key_ends import key_ends
from payments.ports import Transaction
from payments.records import Run
from payments.run_closing import held_up
from transfer.companions import late_companions
from transfer.forecast import alarms
from transfer.host_keys import ending
from transfer.stuck import in_doubt, waiting
from transfer.task_starts import given_up_by_tasks


@dataclass(frozen=True, slots=True)
class Attention:
    """Everything that is in doubt, failing, late, at risk or stuck. The books and the mismatches are said elsewhere."""

    in_doubt: list[Concern]
    overdue: list[Owed]
    at_risk: list[Concern]
    waiting: list[Concern]
    sources: list[Counterpart]
    outboxes: list[Counterpart]
    keys: list[Concern] = field(default_factory=list)  # that end soon, or have ended where another does their work
    stopped: list[Concern] = field(default_factory=list)  # that nothing may leave, and who said so
    gone: list[Concern] = field(default_factory=list)  # objects that were needed
    runs: list[Concern] = field(default_factory=list)  # that curate cannot go on with
    given_up: dict[str, int] | None = None  # stage -> messages in its dead-letter queue; None: not asked, or no answer
    given_up_unknown: str = ""  # why there was no answer

    @property
    def failing(self) -> list[Concern]:
        """Sources and outboxes that could not be reached at the last try."""
        found = [each.concern for each in (*self.sources, *self.outboxes)]
        return [each for each in found if each is not None]

    @property
    def is_quiet(self) -> bool:
        urgent = self.stopped or self.in_doubt or self.failing or self.gone or self.runs or self.given_up
        return not (urgent or self.overdue or self.at_risk or self.waiting)

    def to_json(self) -> dict[str, Any]:
        """The keys that `tieout status --json` has beside those of the books."""
        return {
            "deliveries_stopped": [each.text for each in self.stopped],
            "overdue": [each.to_json() for each in self.overdue],
            "at_risk": [each.text for each in self.at_risk],
            "stuck": [each.text for each in (*self.in_doubt, *self.waiting)],
            "sources": [each.to_json() for each in self.sources],
            "outboxes": [each.to_json() for each in self.outboxes],
            "keys": [each.text for each in self.keys],
            "gone": [each.text for each in self.gone],
            "runs_stopped": [each.text for each in self.runs],
            "given_up": self.given_up,
        }


def _stopped(run: Run) -> Concern:
    name = f"{run.source}/{run.ordinal:06d}"
    return Concern(f"run {name} is stopped: {run.note}", ("prove", name))


def attention(tx: Transaction, configuration: Configuration, now: datetime) -> Attention:
    """One look."""
    risks = [Concern(each.text, ("acquirer", each.acquirer, "next")) for each in alarms(tx, configuration, now)]
    ends = [(each.name, ending(tx, each, now)) for each in configuration.acquirer]
    risks += [Concern(text, ("acquirer", name, "keys")) for name, text in ends if text]
    keys = [each for acquirer in configuration.acquirer for each in key_ends(tx, acquirer, now)]
    stop = stop_in_force(tx)
    over = [each.needed and each.ends_at <= now for each in keys]
    told = [Concern(each.text(now), ("acquirer", each.acquirer, "keys")) for each in keys]
    risks += [text for text, ended in zip(told, over, strict=True) if ended]
    return Attention(
        in_doubt=in_doubt(tx),
        overdue=owed(tx, configuration.acquirer, now),
        at_risk=risks,
        waiting=[
            *waiting(tx),
            *late_companions(tx, now),
            *given_up_by_tasks(tx, configuration.acquirer, now),
            *unread(tx, configuration),
        ],
        sources=sources(tx, configuration, now),
        outboxes=outboxes(tx, configuration, now),
        keys=[text for text, ended in zip(told, over, strict=True) if not ended],
        stopped=[Concern(said(stop), ("deliveries", "resume"))] if stop is not None else [],
        gone=[Concern(f"object {each.key} {said_of_end(each)}", ("deletions",)) for each in unsettled(tx)],
        runs=[_stopped(each) for each in held_up(tx)],
    )
