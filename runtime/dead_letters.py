"""Messages that were received too often and given up: which wait, what they are about, and the way back into their queue.

Each queue has one for them, called like it with `-dead` behind, on SQS as in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from payments.contacts import of_outbox, of_source
from payments.errors import SetAside
from payments.keys import ChunkKey
from payments.ports import Queue, Transaction
from runtime.wakes import about

DEAD = "-dead"
PEEK_MAX = 100
MOVED_MAX = 10_000
"""How many messages of one queue one command moves at the most."""
AT_ONCE = 10
HIDDEN = timedelta(seconds=60)
EMPTY_RECEIVES_MAX = 5
"""SQS asks only some of its servers at a time: nothing received does not yet mean that nothing is there."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message. `since_at`: when it was given up (in the ledger), or sent first (SQS does not say more)."""

    body: str
    since_at: datetime


class LetterQueue(Queue, Protocol):
    """A queue whose dead letters can be looked at."""

    def peek(self, queue: str, *, limit: int) -> list[Letter]:
        """Up to `limit` messages that nobody works on; they stay where they are."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """What was given up of one queue: `about` and `reason` from the letters that were looked at, the oldest first."""

    queue: str
    count: int
    oldest_at: datetime | None
    about: tuple[str, ...]
    reason: str

    def to_json(self) -> dict[str, Any]:
        oldest = self.oldest_at.isoformat() if self.oldest_at else None
        return {
            "queue": self.queue,
            "count": self.count,
            "oldest_at": oldest,
            "about": list(self.about),
            "reason": self.reason,
        }


def counts(queue: Queue, names: Iterable[str]) -> dict[str, int]:
    """Queue -> how many messages of it were given up, where there are any. SQS estimates."""
    return {name: count for name in names if (count := sum(queue.depth(name + DEAD)))}


def dead_letters(tx: Transaction, queue: LetterQueue, names: Iterable[str]) -> list[DeadLetters]:
    """One per queue that gave something up."""
    found = []
    for name, count in counts(queue, names).items():
        letters = sorted(queue.peek(name + DEAD, limit=PEEK_MAX), key=lambda each: each.since_at)
        subjects = tuple(dict.fromkeys(about(each.body) for each in letters))
        reason = next((text for each in subjects if (text := _reason(tx, name, each))), "")
        found.append(DeadLetters(name, count, letters[0].since_at if letters else None, subjects, reason))
    return found


def move_back(queue: Queue, name: str, *, limit: int = MOVED_MAX) -> Iterator[str]:
    """Send what waits now into its queue again, and tell each as it went. At least once: deleted when sent, not before."""
    # Not more than there are: what fails again meanwhile must not go round and round.
    left = min(limit, sum(queue.depth(name + DEAD)))
    moved = empty = 0
    while moved < left and empty < EMPTY_RECEIVES_MAX:
        found = queue.receive(name + DEAD, limit=min(AT_ONCE, left - moved), visibility=HIDDEN)
        empty = 0 if found else empty + 1
        for message in found:
            queue.send(name, message.body)
            queue.delete(name + DEAD, message.receipt)
            moved += 1
            yield message.body


def _reason(tx: Transaction, queue: str, subject: str) -> str:
    """Why the work on it failed, where the ledger says so; the log of the stage says it of every message."""
    with suppress(SetAside):
        if subject.startswith("raw/"):
            key = ChunkKey.parse(subject)
            chunk = tx.chunks.get(key.source, key.run, key.chunk)
            return "" if chunk is None else chunk.note
    if subject.startswith("results/"):
        return "".join(each.note for each in tx.results.find(key=subject)[:1])
    known = {"extract": of_source, "collect": of_outbox}.get(queue)
    contact = tx.contacts.get(known(subject)) if known else None
    return "" if contact is None else contact.reason
