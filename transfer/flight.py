"""Many files on their way at once over one session: each keeps its own order of steps, and none waits for another's.

A file's way is a generator (transfer/attempt.py) that yields what it needs next:

    Act     of the session   begun at once; the file goes on when it ends
    Write   in the ledger    committed before the file goes on; those that wait together share one transaction
    Soon    to be next       `sequence = free`: at once. `strict`: when the file before it is being renamed
    Turn    to be renamed    `sequence = free`: at once. `strict`: when every file before it is delivered

One thread, no locks: between two steps of a file any others may happen, within a step none.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from payments.leasing import MayBegin, always
from payments.ports import Ledger, Transaction
from payments.remote_ports import RemoteDrop
from transfer.many_acts import Act, Ended, ManyActs, OneByOne, many_acts


@dataclass(frozen=True, slots=True)
class Write:
    """One step in the ledger. It may be called again after a rollback, so it changes nothing but the transaction."""

    work: Callable[[Transaction], Any]


@dataclass(frozen=True, slots=True)
class Soon:
    """What is asked of the server from here on is still fresh at the file's Turn, which comes next."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Nothing of the file can be placed yet: from here on it can."""


class OutOfTurn(Exception):
    """A file before this one was not delivered, and the acquirer wants strict order. Raised into a file at Soon or Turn."""


LINGER_S = 0.002
LINGER_S_MAX = 0.02

Way = Generator[Act | Write | Soon | Turn, Any, bool]
"""The way of one file. Returns whether it is delivered."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A file that wants to leave. `alone`: no other is under way beside it, for it may well stop them again."""

    begin: Callable[[], Way]
    alone: bool


@dataclass(slots=True, eq=False)
class _Course:
    place: int
    alone: bool
    way: Way
    ahead: bool = True  # not yet past its Turn


@dataclass(frozen=True, slots=True)
class Terms:
    """`width`: how many files may be uploading at once. `renew`, called for every so many, raises Busy without the lease.

    Once `may_begin` says no, those under way are the last.
    """

    ledger: Ledger
    strict: bool
    width: int
    renew: Callable[[], None]
    may_begin: MayBegin = always


class Flight:
    """All departures of one session."""

    def __init__(self, drop: RemoteDrop, terms: Terms) -> None:
        together = many_acts(drop)
        self._remote: ManyActs = together or OneByOne(drop)
        self._terms = terms
        self._width = terms.width if together else 1
        self._alive: list[_Course] = []
        self._flying: dict[int, _Course] = {}  # ticket -> whose act it is
        self._writes: deque[tuple[_Course, Write]] = deque()
        self._turns: list[tuple[_Course, Soon | Turn]] = []
        self._blocked_from: float = float("inf")  # the first place that was not delivered, in strict order
        self._error: Exception | None = None

    def go(self, departures: Iterable[Departure]) -> None:
        """Bring every departure to its end. Raises the first error that ended the session, once nothing is under way."""
        waiting = deque(enumerate(departures))
        while True:
            self._admit(waiting)
            if self._writes:
                self._take_what_ended()
                self._commit()
            elif self._flying:
                self._land(self._remote.ended(wait=True))
            elif not self._turns:
                break
            self._give_turns()
        if self._error is not None:
            raise self._error

    def _admit(self, waiting: deque[tuple[int, Departure]]) -> None:
        while waiting and self._may_admit(waiting[0][1]):
            if waiting[0][0] % self._width == 0:
                try:
                    self._terms.renew()
                except Exception as error:  # noqa: BLE001  (raised again when what is under way has ended)
                    self._error = error
                    return
            place, departure = waiting.popleft()
            course = _Course(place, departure.alone, departure.begin())
            self._alive.append(course)
            self._resume(course)

    def _may_admit(self, departure: Departure) -> bool:
        if self._error is not None or self._blocked_from < float("inf") or not self._terms.may_begin():
            return False
        if self._alive and (departure.alone or any(each.alone for each in self._alive)):
            return False
        ahead = sum(each.ahead for each in self._alive)
        alive_max = 2 * self._width if self._width > 1 else 1
        return ahead < self._width and len(self._alive) < alive_max

    def _take_what_ended(self) -> None:
        """What is about to come in is taken first: then more files share the transaction. Waits `LINGER_S_MAX` at most."""
        until = time.monotonic() + LINGER_S_MAX
        quiet = False
        while self._flying and not quiet and time.monotonic() < until:
            time.sleep(LINGER_S)  # for company in one fsync; a file alone never waits here
            quiet = True
            while (ended := self._remote.ended(wait=False)) is not None:
                self._land(ended)
                quiet = False

    def _land(self, ended: Ended | None) -> None:
        assert ended is not None, "an act is under way"
        self._resume(self._flying.pop(ended.ticket), ended.value, ended.error)

    def _resume(self, course: _Course, value: Any = None, error: BaseException | None = None) -> None:
        try:
            step = course.way.throw(error) if error is not None else course.way.send(value)
        except StopIteration as stop:
            self._end(course, delivered=stop.value)
        except Exception as unsettled:  # noqa: BLE001  (what a way lets out ends the session)
            self._error = self._error or unsettled
            self._end(course, delivered=False)
        else:
            match step:
                case Act():
                    self._flying[self._remote.begin(step)] = course
                case Write():
                    self._writes.append((course, step))
                case Soon() | Turn():
                    self._turns.append((course, step))

    def _end(self, course: _Course, *, delivered: bool) -> None:
        self._alive.remove(course)
        if self._terms.strict and not delivered:
            self._blocked_from = min(self._blocked_from, course.place)

    def _give_turns(self) -> None:
        # By place: a file that is given its turn here makes the next one soon.
        for course, step in sorted(self._turns, key=lambda each: each[0].place):
            if course.place > self._blocked_from:
                self._turns.remove((course, step))
                self._resume(course, error=OutOfTurn())
            elif self._may_go(course, step):
                self._turns.remove((course, step))
                course.ahead = course.ahead and isinstance(step, Soon)
                self._resume(course)

    def _may_go(self, course: _Course, step: Soon | Turn) -> bool:
        if not self._terms.strict:
            return True
        before = [each for each in self._alive if each.place < course.place]
        return not before if isinstance(step, Turn) else not any(each.ahead for each in before)

    def _commit(self) -> None:
        """All writes that wait, in one transaction; when one of them fails, each in its own."""
        waiting, self._writes = list(self._writes), deque()
        done: list[tuple[Any, Exception | None]] = []
        worked = False
        try:
            with self._terms.ledger.begin() as tx:
                done = [(write.work(tx), None) for _, write in waiting]
                worked = True
        except Exception as error:  # noqa: BLE001  (raised again in the file whose write it was)
            # A commit that failed may have happened: asked again, a file would take its own write for a stranger's.
            if worked or len(waiting) == 1:
                done = [(None, error)] * len(waiting)
            else:
                done = [self._alone(write) for _, write in waiting]
        for (course, _), (value, failure) in zip(waiting, done, strict=True):
            self._resume(course, value, failure)

    def _alone(self, write: Write) -> tuple[Any, Exception | None]:
        try:
            with self._terms.ledger.begin() as tx:
                return write.work(tx), None
        except Exception as error:  # noqa: BLE001
            return None, error
