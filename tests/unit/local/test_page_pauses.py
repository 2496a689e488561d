"""How the service treats a page that cannot be served, and how it says where the page is."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.address import publish
from local import page
from local.page import Announcement, Pauses


class Clock:
    """Seconds that move only when the test moves them."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(page, "time", clock)
    return clock


def test_a_failing_page_is_started_ever_more_rarely(clock: Clock) -> None:
    """The pauses double from 1 s to 60 s, each is said once, and a page that lived for a minute begins again at 1 s."""
    pauses, seen = Pauses(), []
    for _ in range(8):
        pauses.started()
        pause_s = pauses.ended()
        assert pause_s is not None
        assert pauses.ended() is None
        assert not pauses.is_due
        clock.now += pause_s
        assert pauses.is_due
        seen.append(pause_s)
    assert seen == [1, 2, 4, 8, 16, 32, 60, 60]
    pauses.started()
    clock.now += 61
    assert pauses.ended() == 1


def test_the_address_is_said_once(tmp_path: Path, clock: Clock) -> None:
    """A page that is late is said to be late once, and its address once when it comes."""
    said: list[str] = []
    announcement = Announcement(tmp_path, said.append)
    announcement.look()
    assert said == []
    clock.now += 21
    announcement.look()
    announcement.look()
    assert said == ["the page is not up; the log says why"]
    publish(tmp_path, "127.0.0.1", 8470)
    announcement.look()
    announcement.look()
    assert said[1:] == ["the page is at http://127.0.0.1:8470/"]
