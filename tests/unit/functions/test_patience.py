"""How long a function waits for a record that comes a moment after its object."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from functions.patience import RESTS_S, patiently
from payments.errors import Busy, SetAside


class Context:
    """What Lambda gives, as far as it matters here."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def failing(times: int, error: Exception) -> tuple[Callable[[], str], list[int]]:
    """Something that fails so often before it is done, and how often it was tried."""
    tries: list[int] = []

    def act() -> str:
        tries.append(1)
        if len(tries) <= times:
            raise error
        return "done"

    return act, tries


def test_a_record_that_comes_late_is_waited_for() -> None:
    """A notice that was quicker than the record is done with in the same invocation."""
    rests: list[float] = []
    act, tries = failing(3, Busy("stored but not recorded yet"))
    assert patiently(Context(), act, rest=rests.append) == "done"
    assert (len(tries), rests) == (4, list(RESTS_S[:3]))


def test_patience_ends() -> None:
    """A record that does not come is left to the queue, after seconds and not after the time-out."""
    act, tries = failing(100, Busy("stored but not recorded yet"))
    with pytest.raises(Busy):
        patiently(Context(), act, rest=lambda _seconds: None)
    assert len(tries) == len(RESTS_S) + 1
    assert sum(RESTS_S) < 5


def test_other_failures_are_not_repeated() -> None:
    """What cannot succeed by waiting fails at once."""
    act, tries = failing(1, SetAside("no object of ours"))
    with pytest.raises(SetAside):
        patiently(Context(), act, rest=lambda _seconds: None)
    assert len(tries) == 1


def test_a_worker_of_our_own_does_not_wait() -> None:
    """Its queue shows a message again at once, and it has other work meanwhile."""
    act, tries = failing(1, Busy("stored but not recorded yet"))
    with pytest.raises(Busy):
        patiently(None, act, rest=lambda _seconds: None)
    assert len(tries) == 1
