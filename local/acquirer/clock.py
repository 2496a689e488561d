"""The time the acquirer lives in: the service's virtual clock where `DIR/clock` exists, else the real one.

DIR/clock             two lines, UTC time and tick, written by the service
DIR/acquirer/clock    {"tick": n, "next_due_at": time or null}, written here once everything due at that tick is done
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Moment:
    """What time it is, to the second; `tick` is None on the real clock."""

    now: datetime
    tick: int | None


def text_of(moment: datetime) -> str:
    """`2026-03-02T06:00:00Z`"""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def time_of(text: str) -> datetime:
    """The opposite of `text_of`. Raises ValueError for a time without zone."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time without zone")
    return found.astimezone(UTC).replace(microsecond=0)


class Watch:
    """Reads the clock of one directory and answers its ticks."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "clock"
        self._answer = directory / "acquirer" / "clock"
        self._answered: tuple[int, datetime | None] | None = None

    def read(self) -> Moment:
        """The moment now. Raises ValueError when DIR/clock holds anything but a time and a tick."""
        try:
            text = self._path.read_text("ascii")
        except FileNotFoundError:
            return Moment(datetime.now(UTC).replace(microsecond=0), None)
        time_line, tick_line = text.split()
        return Moment(time_of(time_line), int(tick_line))

    def is_news(self, moment: Moment) -> bool:
        """Whether this tick still waits for its answer."""
        return moment.tick is not None and (self._answered is None or self._answered[0] != moment.tick)

    def answer(self, moment: Moment, next_due_at: datetime | None) -> None:
        """Say that nothing is due at this tick any more; said again only when the next due time changed."""
        if moment.tick is None or self._answered == (moment.tick, next_due_at):
            return
        due = text_of(next_due_at) if next_due_at else None
        part = self._answer.with_name(".clock.part")
        part.write_text(json.dumps({"tick": moment.tick, "next_due_at": due}) + "\n", "ascii")
        part.replace(self._answer)
        self._answered = (moment.tick, next_due_at)
