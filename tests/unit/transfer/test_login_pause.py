"""A refused log-in is not repeated until the acquirer locks the account: delivery and polls share one growing pause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from payments.config import Retry
from payments.errors import LoginRefused, Unreachable
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from tests.unit.transfer.assemble_world import acquirer
from transfer.login_pause import paused

NORTH = acquirer("north", retry=Retry(first_s=60, factor=3, longest_s=600))
SOUTH = acquirer("south")


class Server:
    """Counts how often it is asked, and answers as it is told."""

    def __init__(self, folder: Path) -> None:
        self.at = datetime(2026, 3, 2, 6, tzinfo=UTC)
        self.asked = 0
        self.answer: Exception | None = LoginRefused("no")
        engine = open_engine(f"sqlite:{folder / 'ledger.db'}")
        upgrade(engine)
        self.ledger = SqlLedger(engine, self, holder="worker-test")

    def now(self) -> datetime:
        return self.at

    @contextmanager
    def connect(self) -> Iterator[Any]:
        self.asked += 1
        if self.answer is not None:
            raise self.answer
        yield self

    def way(self, section: Any = NORTH, *, at_once: bool = False) -> AbstractContextManager[Any]:
        return paused(self.ledger, self, section, self.connect, at_once=at_once)()

    def try_it(self, section: Any = NORTH, *, at_once: bool = False) -> str:
        try:
            with self.way(section, at_once=at_once):
                return ""
        except Unreachable as error:
            return str(error)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path)
    yield found
    found.ledger.engine.dispose()


def test_the_pause_grows_and_has_an_end(server: Server) -> None:
    """In one hour of a look every ten seconds the server is asked eight times, not 360 times."""
    asked_at = []
    for _ in range(360):
        before = server.asked
        server.try_it()
        if server.asked > before:
            asked_at.append(server.at)
        server.at += timedelta(seconds=10)
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(asked_at)]
    assert pauses == [60, 180, 540, 600, 600, 600, 600]


def test_while_it_lasts_the_server_is_not_asked_and_the_reason_is_said(server: Server) -> None:
    """The message names the acquirer, when it was refused, and how to end the pause."""
    server.try_it()
    with pytest.raises(LoginRefused, match=r"north: its server did not let us in at 2026-03-02 06:00:00") as caught:
        server.way().__enter__()
    assert "tieout acquirer north test" in caught.value.next_step
    assert server.asked == 1
    assert server.try_it(SOUTH) == "no"  # another acquirer is another account
    assert server.asked == 2


def test_a_person_is_not_kept_waiting_and_success_ends_the_pause(server: Server) -> None:
    """After a correction one test by hand lets everybody in again; the next refusal begins with the short pause."""
    server.try_it()
    server.at += timedelta(seconds=60)
    server.try_it()
    server.answer = None
    assert server.try_it(at_once=True) == ""
    assert server.try_it() == ""
    server.answer = LoginRefused("no")
    assert server.try_it() == "no"
    server.at += timedelta(seconds=60)
    server.answer = None
    assert server.try_it() == ""


def test_a_server_that_is_away_is_no_refusal(server: Server) -> None:
    """Nobody was refused: whoever is due asks again."""
    server.answer = Unreachable("away")
    assert [server.try_it() for _ in range(3)] == ["away"] * 3
    assert server.asked == 3
