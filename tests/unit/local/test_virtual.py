"""The virtual clock: how it is published, asked about and answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.virtual import Answer, VirtualClock, utc_text
from runtime.ledger.clock import LedgerClock
from runtime.ledger.engine import open_engine
from runtime.ledger.migrate import upgrade

START = datetime(2026, 3, 2, 6, tzinfo=UTC)


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[LedgerClock]:
    engine = open_engine(f"sqlite:{tmp_path / 'ledger.db'}")
    upgrade(engine)
    clock = LedgerClock(engine)
    clock.start(START)
    yield clock
    engine.dispose()


def shown(tmp_path: Path) -> tuple[str, int]:
    time, tick = (tmp_path / "clock").read_text().splitlines()
    return time, int(tick)


def answer(peer: Path, tick: object, due: object) -> None:
    peer.write_text(json.dumps({"tick": tick, "next_due_at": due}))


def test_time_and_tick_are_published_in_two_lines(clock: LedgerClock, tmp_path: Path) -> None:
    """The file holds the UTC time and the tick, is replaced as a whole, and a restart shows the same."""
    virtual = VirtualClock(clock, tmp_path / "clock", None)
    assert virtual.publish() == 0
    assert shown(tmp_path) == ("2026-03-02T06:00:00Z", 0)
    virtual.move(START + timedelta(hours=1, microseconds=1))
    assert shown(tmp_path) == ("2026-03-02T07:00:00.000001Z", 1)
    VirtualClock(clock, tmp_path / "clock", None).publish()
    assert shown(tmp_path) == ("2026-03-02T07:00:00.000001Z", 1)
    assert [each.name for each in tmp_path.glob("clock*")] == ["clock"]


def test_asking_counts_a_tick_and_lets_time_stand(clock: LedgerClock, tmp_path: Path) -> None:
    """A new tick at the same time asks the acquirer to look again."""
    virtual = VirtualClock(clock, tmp_path / "clock", None)
    assert [virtual.ask(), virtual.ask()] == [1, 2]
    assert shown(tmp_path) == ("2026-03-02T06:00:00Z", 2)
    assert virtual.now() == START


def test_only_an_answer_to_this_tick_or_a_later_one_counts(clock: LedgerClock, tmp_path: Path) -> None:
    """An answer to an earlier tick has not seen what was done since."""
    peer = tmp_path / "peer"
    virtual = VirtualClock(clock, tmp_path / "clock", peer)
    assert virtual.answer(1) is None
    answer(peer, 1, "2026-03-02T08:00:00Z")
    assert virtual.answer(1) == Answer(1, START + timedelta(hours=2))
    assert virtual.answer(2) is None
    answer(peer, 5, None)
    assert virtual.answer(2) == Answer(5, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        "{}",
        '{"tick": 3}',
        '{"tick": null, "next_due_at": null}',
        '{"tick": "x", "next_due_at": null}',
        '{"tick": 3, "next_due_at": "soon"}',
        '{"tick": 3, "next_due_at": 7}',
        '{"tick": 3, "next_due_at": "2026-03-02T08:00:00"}',
    ],
)
def test_half_an_answer_is_none(clock: LedgerClock, tmp_path: Path, text: str) -> None:
    """What cannot be read as an answer is no answer: the clock stands still."""
    (tmp_path / "peer").write_text(text)
    assert VirtualClock(clock, tmp_path / "clock", tmp_path / "peer").answer(1) is None


def test_without_an_acquirer_to_wait_for_every_tick_is_answered(clock: LedgerClock, tmp_path: Path) -> None:
    """A virtual clock without peer waits for nobody."""
    assert VirtualClock(clock, tmp_path / "clock", None).answer(3) == Answer(3, None)


def test_an_answer_s_time_is_aware(clock: LedgerClock, tmp_path: Path) -> None:
    """Times of any zone are taken as the instants that they are."""
    answer(tmp_path / "peer", 1, "2026-03-02T08:00:00+02:00")
    found = VirtualClock(clock, tmp_path / "clock", tmp_path / "peer").answer(1)
    assert found == Answer(1, START)
    assert found.next_due_at is not None
    assert utc_text(found.next_due_at) == "2026-03-02T06:00:00Z"
