"""Says which day it is in an acquirer's books, and which requested dates may leave on it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from payments.config import AcquirerSection


def business_date(acquirer: AcquirerSection, at: datetime) -> date:
    """The acquirer's book day at a time."""
    return at.astimezone(ZoneInfo(acquirer.zone)).date()


def latest_date(business_date: date, send_ahead_days: int) -> date:
    """The latest requested date that may leave on this business date."""
    return business_date + timedelta(days=send_ahead_days)
