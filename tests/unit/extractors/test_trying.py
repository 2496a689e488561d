"""A task that cannot read its source tries again for a while, and then says what it met last."""

from __future__ import annotations

from datetime import timedelta

import pytest

from extractors.trying import extract_for
from payments.errors import TieoutError, Unreachable, WrongConfiguration


class Clock:
    """Stands still but for the sleeps that are asked of it."""

    def __init__(self) -> None:
        self.now_s, self.sleeps = 0.0, list[float]()

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += seconds


def tried(minutes: int, *errors: TieoutError) -> list[float]:
    """After which pauses an extraction was called that fails in turn with these errors, and then works."""
    clock, left = Clock(), list(errors)

    def extract() -> None:
        if left:
            raise left.pop(0)

    extract_for(timedelta(minutes=minutes), extract, sleep=clock.sleep, monotonic=lambda: clock.now_s)
    assert not left
    return clock.sleeps


def test_it_is_tried_again_after_longer_and_longer_pauses() -> None:
    """A minute, then twice as long: five tries in half an hour; what works at once waits for nothing."""
    assert tried(30) == []
    assert tried(30, *(Unreachable("no answer") for _ in range(4))) == [60, 120, 240, 480]


@pytest.mark.parametrize(
    ("minutes", "errors"),
    [
        (0, [Unreachable("no answer")]),
        (30, [Unreachable("no answer") for _ in range(5)]),
        (30, [WrongConfiguration("no such column")]),
    ],
)
def test_what_lasts_longer_or_needs_a_person_is_said(minutes: int, errors: list[TieoutError]) -> None:
    """Beyond its time the last failure ends it, and at once one that no waiting mends."""
    with pytest.raises(type(errors[-1]), match=str(errors[-1])):
        tried(minutes, *errors)
