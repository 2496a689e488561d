"""By when an acquirer owes us what: seconds after a delivery, of which none pass on days on which it does not work."""

from __future__ import annotations

from datetime import datetime, timedelta

from payments.calendars import add_banking_time
from payments.config import AcquirerSection


def results_due(acquirer: AcquirerSection, delivered_at: datetime) -> datetime:
    """By when every payment of a file must be answered; UTC."""
    return _behind(acquirer, delivered_at, acquirer.results.due_after_s)


def acknowledgement_due(acquirer: AcquirerSection, delivered_at: datetime) -> datetime | None:
    """By when the acquirer must have spoken of a file at all; UTC. None: nothing is agreed."""
    after_s = acquirer.results.acknowledged_after_s
    return _behind(acquirer, delivered_at, after_s) if after_s else None


def _behind(acquirer: AcquirerSection, at: datetime, seconds: int) -> datetime:
    return add_banking_time(acquirer.calendar, acquirer.zone, at, timedelta(seconds=seconds))
