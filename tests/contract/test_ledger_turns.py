"""A transaction that is alone under a name waits for those that are together under it, and they for it, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from payments.acting import Actor
from payments.delivery_stops import is_stopped
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from tests.contract.ledger_world import StandingClock, empty_database, opened
from tests.servers.process import until
from transfer.acts import ActPorts
from transfer.delivery_stop_acts import stop

ANNA = Actor("anna", verified=True)
WAITING = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


@pytest.fixture
def postgresql(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlLedger]:
    with (
        empty_database("postgresql", tmp_path, lambda: request.getfixturevalue("postgres_url")) as url,
        opened(url) as engine,
    ):
        upgrade(engine)
        yield SqlLedger(engine, StandingClock())


def test_a_stop_waits_for_those_who_were_told_that_there_is_none(postgresql: SqlLedger) -> None:
    """Whoever was told that nothing is stopped has committed before the stop has: no rename is meant after it."""
    ended: list[str] = []

    def stopping() -> None:
        stop(ActPorts(postgresql, StandingClock()), ANNA, "wait")
        ended.append("stop")

    def waits() -> bool:
        with postgresql.engine.connect() as connection:
            return bool(connection.execute(WAITING).scalar_one())

    thread = threading.Thread(target=stopping)
    with postgresql.begin() as first, postgresql.begin() as second:
        assert not is_stopped(first)
        assert not is_stopped(second), "two who only ask keep each other waiting"
        thread.start()
        until(waits, "the stop to wait", 15)
        ended.append("asked")
    thread.join(30)
    assert ended == ["asked", "stop"]
    with postgresql.begin() as tx:
        assert is_stopped(tx)
