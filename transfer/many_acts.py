"""Acts of RemoteDrop as values, and what a session offers on which many of them may be under way at once.

Two acts more than RemoteDrop has save round trips where files are renamed one after the other:

    free    (target)             TargetExists when the name is taken: asked ahead of the rename
    place   (temporary, target)  the rename without that question, and a last look: what lies there, None when nobody can say
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from payments.errors import TieoutError
from payments.remote_ports import RemoteDrop, RemoteFile

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Act:
    """One act as a value: its name and what is given to it."""

    verb: Literal["stat", "upload", "free", "place", "rename", "remove", "download", "sha256"]
    given: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """How an act ended: with a value, or with the error that RemoteDrop would have raised."""

    ticket: int
    value: Any = None
    error: BaseException | None = None


class ManyActs(Protocol):
    """What a RemoteDrop has besides when many acts may be under way on its one session. For one thread."""

    def begin(self, act: Act) -> int:
        """Send what the act begins with, and return its ticket without waiting. Raises nothing that belongs to the act."""
        ...

    def ended(self, *, wait: bool) -> Ended | None:
        """The next act that ended, each once, in any order. None: none is under way, or without `wait` none has ended yet."""
        ...


class OneByOne:
    """ManyActs over any RemoteDrop: each act is done when its end is asked for."""

    def __init__(self, drop: RemoteDrop) -> None:
        self._drop = drop
        self._begun: deque[tuple[int, Act]] = deque()
        self._tickets = 0

    def begin(self, act: Act) -> int:
        self._tickets += 1
        self._begun.append((self._tickets, act))
        return self._tickets

    def ended(self, *, wait: bool) -> Ended | None:
        if not wait or not self._begun:
            return None
        ticket, act = self._begun.popleft()
        try:
            return Ended(ticket, value=self._do(act))
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001  (the file's own rules say what it means)
            return Ended(ticket, error=error)

    def _do(self, act: Act) -> Any:
        match act.verb:
            case "free":
                return None  # the rename of every RemoteDrop refuses a taken name by itself
            case "place":
                return self._place(*act.given)
            case _:
                return getattr(self._drop, act.verb)(*act.given)

    def _place(self, temporary: str, target: str) -> RemoteFile | None:
        self._drop.rename(temporary, target)
        try:
            return self._drop.stat(target)
        except TieoutError as error:  # a link that breaks now takes away nothing of what was confirmed before
            log.info("%s was placed; it could not be looked at again: %s", target, error)
            return None


def many_acts(drop: RemoteDrop) -> ManyActs | None:
    """What the session can do besides. Asked of its class: a wrapper that passes on what it does not know knows nothing of it."""
    return cast("ManyActs", drop) if hasattr(type(drop), "begin") and hasattr(type(drop), "ended") else None
