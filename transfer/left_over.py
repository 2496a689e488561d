"""Finds attempts that nobody ended because the acquirer spoke of their file first: as long as one is open, it might still place it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from payments.config import AcquirerSection
from payments.contacts import of_inbox
from payments.ports import Transaction
from payments.records import OutboundFile
from payments.states import FileState


def left_over(
    tx: Transaction, acquirer: AcquirerSection, now: datetime, pause: Callable[[AcquirerSection, int], timedelta]
) -> list[OutboundFile]:
    """Files that are not delivering and have such an attempt; none while the server that must be asked is given a pause."""
    open_ = {each.file_id for each in tx.attempts.find(state="rename_intended")}
    files = [file for each in sorted(open_) if (file := tx.files.get(each)) is not None]
    found = [each for each in files if each.acquirer == acquirer.name and each.state != FileState.DELIVERING]
    contact = tx.contacts.get(of_inbox(acquirer.name)) if found else None
    if contact is not None and contact.failing_since is not None:
        waited = now - contact.tried_at
        if timedelta(0) <= waited < pause(acquirer, contact.failures):
            return []
    return found
