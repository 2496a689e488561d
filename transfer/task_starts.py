"""Counts how often a task was started for the same files: one that dies before it can say why would be started for ever, and unheard.

start     files that are due now, of which one was due at the first start: one more in a row
          all of them are newer: the row begins anew
3 starts  and one of those files is still due: a person is told
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from payments.concerns import Concern
from payments.config import AcquirerSection
from payments.contacts import Contact, failed
from payments.ports import Transaction
from transfer.deliver import due_files

STARTS_MAX = 3
"""One may be interrupted by AWS, and the next one as well; hardly ever a third."""


def count_start(tx: Transaction, acquirer: AcquirerSection, now: datetime) -> None:
    """Keep that a task was started for what is due now."""
    row = tx.contacts.get(_subject(acquirer))
    if row is not None and not _are_left(tx, acquirer, row, now):
        tx.contacts.change(row, tried_at=now, failing_since=now, failures=1)
    else:
        failed(tx, _subject(acquirer), now, "NotDelivered", "a task was started")


def given_up_by_tasks(tx: Transaction, acquirers: Iterable[AcquirerSection], now: datetime) -> list[Concern]:
    """One concern per acquirer whose files were left by as many tasks in a row as should never fail."""
    found = []
    for acquirer in acquirers:
        row = tx.contacts.get(_subject(acquirer))
        if row is None or row.failures < STARTS_MAX or not _are_left(tx, acquirer, row, now):
            continue
        since = f"since {row.failing_since:%Y-%m-%d %H:%M:%S} UTC"
        text = f"files to {acquirer.name} have not left: {row.failures:,} tasks were started for them {since}"
        found.append(Concern(f"{text}; what does their log say?", ("deliver", acquirer.name)))
    return found


def _are_left(tx: Transaction, acquirer: AcquirerSection, row: Contact, now: datetime) -> bool:
    """Whether a file is still due that was there at the first start of the row."""
    first = row.failing_since
    return first is not None and any(each.created_at <= first for each in due_files(tx, acquirer, now))


def _subject(acquirer: AcquirerSection) -> str:
    return f"task:{acquirer.name}"
