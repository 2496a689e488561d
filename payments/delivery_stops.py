"""The switch that holds all deliveries: who threw it, since when, and who let them go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from payments.ports import Records, Transaction

CHAIN = "deliveries"
"""The audit chain of stopping and resuming."""


@dataclass(frozen=True, slots=True)
class DeliveryStop:
    """One stop of all deliveries, by number; in force as long as `resumed_at` is None."""

    ordinal: int
    stopped_by: str
    stopped_at: datetime
    why: str
    resumed_by: str = ""
    resumed_at: datetime | None = None
    revision: int = 0


class StopLedger(Protocol):
    """Whether anything may leave."""

    @property
    def stops(self) -> Records[DeliveryStop]: ...

    def together(self, name: str) -> None:
        """Until this transaction ends, none that is `alone` under this name ends before it; and it sees what those did."""
        ...

    def alone(self, name: str) -> None:
        """Waits until every transaction that is `together` under this name has ended; later ones wait for this one."""
        ...


def stop_in_force(tx: Transaction) -> DeliveryStop | None:
    """None: files may leave."""
    return next(iter(tx.stops.find(resumed_at=None, limit=1)), None)


def is_stopped(tx: Transaction) -> bool:
    """Certain for as long as the transaction lasts: nobody stops deliveries between this answer and its commit."""
    tx.together(CHAIN)
    return stop_in_force(tx) is not None


def new_stop(tx: Transaction, now: datetime) -> str:
    """What is to be said of a stop that nobody was told of yet; each is told once, also across restarts."""
    from payments.firings import last_fired, mark_fired  # which needs the ports, as they need this module

    stop = stop_in_force(tx)
    if stop is None or last_fired(tx, f"{CHAIN}:{stop.ordinal}") is not None:
        return ""
    mark_fired(tx, f"{CHAIN}:{stop.ordinal}", now)
    return said(stop)


def said(stop: DeliveryStop) -> str:
    """For people: what is stopped, since when, by whom and why."""
    return f"all deliveries are stopped since {stop.stopped_at:%Y-%m-%d %H:%M:%S} UTC by {stop.stopped_by}: {stop.why}"
