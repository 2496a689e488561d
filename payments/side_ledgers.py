"""The small ledgers beside runs, files and mismatches, as one: each has its record and its Protocol in a module of its own."""

from __future__ import annotations

from typing import Protocol

from payments.companions import CompanionLedger
from payments.contacts import ContactLedger
from payments.deletions import DeletionLedger
from payments.delivery_stops import StopLedger
from payments.redeliveries import RedeliveryLedger


class SideLedgers(CompanionLedger, ContactLedger, DeletionLedger, RedeliveryLedger, StopLedger, Protocol):
    """What every transaction has beside the large ledgers."""
