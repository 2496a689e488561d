"""Several acts under way on one SFTP session: each waits for one answer at a time, and whoever is answered goes on.

    act 1   OPEN ............ WRITE WRITE ............ CLOSE .... ended
    act 2   OPEN ............ WRITE ............ CLOSE .... ended
    act 3   RENAME .... ended
            -> time: one thread, no act waits for another

When the link is gone every act under way ends with what broke it: none of them may conclude anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from transfer.many_acts import Ended
from transfer.sftp_wire import Steps, Wire


class Jobs:
    """Acts in steps on one wire. Not for two threads at once."""

    def __init__(
        self, wire: Wire, watching: Callable[[], AbstractContextManager[None]], ready: Callable[[], bool]
    ) -> None:
        """Every send and receive happens inside `watching()`; `ready` says whether bytes have come in."""
        self._wire = wire
        self._watching = watching
        self._ready = ready
        self._waiting: dict[int, tuple[int, Steps[Any]]] = {}  # request -> ticket, act
        self._ended: deque[Ended] = deque()

    @property
    def running(self) -> int:
        """Acts under way."""
        return len(self._waiting)

    def begin(self, ticket: int, steps: Steps[Any]) -> None:
        """Go as far as possible without an answer."""
        self._advance(ticket, steps)

    def ended(self, *, wait: bool) -> Ended | None:
        """As ManyActs says; errors are as the steps raised them."""
        while not self._ended:
            if not self._waiting or not (wait or self._ready()):
                return None
            self._resume(self._answered())
        return self._ended.popleft()

    def _answered(self) -> int | Exception:
        """A request with an answer, or why there is none."""
        early = next((number for number in self._waiting if self._wire.arrived(number)), None)
        if early is not None:
            return early
        try:
            with self._watching():
                return self._wire.receive()
        except Exception as error:  # noqa: BLE001  (whatever ended the link ends every act on it)
            return error

    def _resume(self, answered: int | Exception) -> None:
        if isinstance(answered, Exception):
            waiting, self._waiting = self._waiting, {}
            for ticket, steps in waiting.values():
                self._advance(ticket, steps, answered)
        elif answered in self._waiting:
            self._advance(*self._waiting.pop(answered))

    def _advance(self, ticket: int, steps: Steps[Any], error: Exception | None = None) -> None:
        try:
            with self._watching():
                reached = self._go(ticket, steps, error)
        except Exception as caught:  # noqa: BLE001  (handed to whoever began the act)
            reached = Ended(ticket, error=caught)
        if isinstance(reached, Ended):
            self._ended.append(reached)
        else:
            self._waiting[reached] = (ticket, steps)

    def _go(self, ticket: int, steps: Steps[Any], error: Exception | None) -> int | Ended:
        """To the next request without an answer, or to the end."""
        try:
            number = steps.throw(error) if error is not None else next(steps)
            while self._wire.arrived(number):
                number = next(steps)
        except StopIteration as stop:
            return Ended(ticket, value=stop.value)
        return number
