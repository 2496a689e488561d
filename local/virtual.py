"""The virtual clock: stands still while work is due here or at the acquirer, then jumps to the next due time.

`clock` beside the configuration holds the time and a tick. An acquirer that runs apart answers a tick when it has done
everything due at that time, and says when it is due next.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runtime.ledger.clock import LedgerClock


def utc_text(at: datetime) -> str:
    """2026-03-02T06:00:00Z, with microseconds only where there are any."""
    return at.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the acquirer said to a tick."""

    tick: int
    next_due_at: datetime | None


class VirtualClock:
    """Publishes the ledger's clock and reads the acquirer's answers."""

    def __init__(self, clock: LedgerClock, published: Path, peer: Path | None) -> None:
        self._clock = clock
        self._published = published
        self._peer = peer
        self.shown = 0  # the tick that was published last

    def now(self) -> datetime:
        return self._clock.now()

    def publish(self) -> int:
        """Show time and tick, also after a restart. Returns the tick."""
        now, tick = self._clock.read()
        temporary = self._published.with_name(self._published.name + ".tmp")
        temporary.write_text(f"{utc_text(now)}\n{tick}\n")
        temporary.replace(self._published)
        self.shown = tick
        return tick

    def ask(self) -> int:
        """Count one tick at the same time: whoever answers it has seen everything that we did before."""
        self._clock.move(self._clock.now())
        return self.publish()

    def move(self, to: datetime) -> int:
        """Jump to a later time. Returns the tick."""
        self._clock.move(to)
        return self.publish()

    def answer(self, tick: int) -> Answer | None:
        """The acquirer's answer to this tick, None while there is none. Without an acquirer to wait for: at once."""
        if self._peer is None:
            return Answer(tick, None)
        try:
            said = json.loads(self._peer.read_text())
            due = said["next_due_at"]
            found = Answer(int(said["tick"]), None if due is None else _instant(due))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if found.tick >= tick else None


def _instant(text: str) -> datetime:
    """Raises ValueError for a time without zone: no machine's own zone may enter."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time without zone")
    return found.astimezone(UTC)
