"""The database's own clock was ahead for a moment, and was put right: neither messages nor leases wait for it (T10)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from payments.errors import Busy
from runtime.ledger.engine import writing
from runtime.ledger.leases import CLOCK_STEP_MAX, SqlLeases
from runtime.ledger.queue import HIDDEN_MAX, LedgerQueue
from runtime.ledger.schema import leases, notices

TTL = timedelta(seconds=60)
AHEAD = [timedelta(days=1), timedelta(days=365)]


def set_back(engine: Engine, by: timedelta) -> None:
    """As if the clock had been ahead until now: what was kept lies so much further in the future."""
    ms = int(by.total_seconds() * 1000)
    with writing(engine) as connection:
        connection.execute(notices.update().values(visible_ms=notices.c.visible_ms + ms))
        connection.execute(leases.update().values(expires_ms=leases.c.expires_ms + ms))


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_message_of_that_time_is_visible(engine: Engine, ahead: timedelta) -> None:
    """Sent, delayed or in flight then: it is received now, and counts as waiting everywhere."""
    queue = LedgerQueue(engine)
    queue.send("collect", "sent")
    queue.send("collect", "delayed", delay=timedelta(minutes=1))
    queue.send("collect", "flying")
    assert len(queue.receive("collect", limit=1, visibility=TTL)) == 1
    set_back(engine, ahead)
    assert queue.queues_waiting() == ["collect"]
    assert queue.depth("collect") == (3, 0)
    assert len(queue.peek("collect", limit=9)) == 3
    assert {each.body for each in queue.receive("collect", limit=9, visibility=TTL)} == {"sent", "delayed", "flying"}
    assert queue.depth("collect") == (0, 3)


def test_a_message_hidden_for_its_time_stays_hidden(engine: Engine) -> None:
    """The longest that a message may be hidden is believed; longer is refused when it is asked for."""
    queue = LedgerQueue(engine)
    queue.send("collect", "delayed", delay=HIDDEN_MAX)
    assert queue.receive("collect", limit=9, visibility=TTL) == []
    with pytest.raises(AssertionError, match="hidden for longer"):
        queue.send("collect", "delayed", delay=HIDDEN_MAX + timedelta(seconds=1))


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_lease_of_that_time_can_be_taken(engine: Engine, ahead: timedelta) -> None:
    """Its holder may have died meanwhile; one that lives finds it taken when it renews."""
    mine, theirs = SqlLeases(engine, "a"), SqlLeases(engine, "b")
    old = mine.acquire("deliver:north", ttl=TTL)
    set_back(engine, ahead)
    new = theirs.acquire("deliver:north", ttl=TTL)
    assert old is not None
    assert new is not None
    assert new.fence > old.fence
    with pytest.raises(Busy):
        mine.renew(old, ttl=TTL)


def test_a_small_step_takes_no_lease_from_the_living(engine: Engine) -> None:
    """Some minutes back is what machines do: the holder renews meanwhile."""
    mine, theirs = SqlLeases(engine, "a"), SqlLeases(engine, "b")
    old = mine.acquire("deliver:north", ttl=TTL)
    assert old is not None
    set_back(engine, CLOCK_STEP_MAX - timedelta(seconds=5))
    assert theirs.acquire("deliver:north", ttl=TTL) is None
    mine.renew(old, ttl=TTL)
