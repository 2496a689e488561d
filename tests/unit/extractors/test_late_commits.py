"""The late-commit hole of PostgreSQL: a transaction that commits behind its own stamp is never overtaken."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.servers import postgres
from tests.unit.extractors.legacies import PostgresLegacy, rows_of

STAMPED = "INSERT INTO \"JOURNAL\" VALUES (%s, 1, now(), 1, 'EUR', 'CRDT', 'x')"
NUMBERED = "INSERT INTO \"JOURNAL\" VALUES (%s, 1, %s, 1, 'EUR', 'CRDT', 'x')"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server that knows prepared transactions; nothing else runs on it."""
    if postgres.binaries() is None:
        pytest.skip(postgres.MISSING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(postgres.SETTINGS, "max_prepared_transactions", "4")
        with postgres.postgres() as url:
            yield url


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=5)


def test_reading_ends_below_an_open_transaction(server: str, caplog: pytest.LogCaptureFixture) -> None:
    """A row committed late, below rows that were committed before it, is read with the next run; meanwhile lag is logged."""
    legacy = PostgresLegacy(server, "timestamp")
    with legacy.connect() as late, legacy.connect() as early:
        early.execute(STAMPED, ["before"])
        early.commit()
        late.execute(STAMPED, ["late"])
        early.execute(STAMPED, ["after"])
        early.commit()
        with caplog.at_level(logging.INFO), legacy.open() as source:
            first = source.upper_bound(soon())
            assert [each["PAY_NO"] for each in rows_of(source, None, first)] == ["before"]
        assert "holds a transaction open since" in caplog.text
        late.commit()
    with legacy.open() as source:
        second = source.upper_bound(soon())
        assert [each["PAY_NO"] for each in rows_of(source, first, second)] == ["late", "after"]


def test_a_prepared_transaction_stops_reading(server: str, caplog: pytest.LogCaptureFixture) -> None:
    """A prepared transaction does not show when it began, so nothing is read before it ends; one elsewhere does not count."""
    legacy, elsewhere = PostgresLegacy(server, "timestamp"), PostgresLegacy(server, "timestamp")
    with elsewhere.connect() as other:
        other.execute(STAMPED, ["prepared"])
        other.execute("PREPARE TRANSACTION 'two-phase'")
    with legacy.connect() as writer:
        writer.execute(STAMPED, ["row"])
    with legacy.open() as source, elsewhere.open() as held:
        assert source.upper_bound(soon()) is not None
        assert held.upper_bound(soon()) is None
        assert "prepared transaction" in caplog.text
        elsewhere.run("COMMIT PREPARED 'two-phase'")
        assert held.upper_bound(soon()) is not None


def test_numbers_wait_for_open_transactions(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a number as watermark nothing is read while a transaction is open that may hold a lower one."""
    monkeypatch.setattr("extractors.postgres_safety.WAIT_S_MAX", 0.2)
    legacy = PostgresLegacy(server, "integer")
    with legacy.connect() as late, legacy.connect() as early:
        late.execute(NUMBERED, ["late", 1])
        early.execute(NUMBERED, ["after", 2])
        early.commit()
        with legacy.open() as source:
            assert source.upper_bound(soon()) is None
            late.commit()
            upper = source.upper_bound(soon())
            assert [each["PAY_NO"] for each in rows_of(source, None, upper)] == ["late", "after"]


def test_numbers_go_on_when_the_transaction_ends_meanwhile(server: str) -> None:
    """A short transaction is waited for; one that begins later does not matter."""
    legacy = PostgresLegacy(server, "integer")
    with legacy.connect() as late, legacy.connect() as newer, legacy.open() as source:
        late.execute(NUMBERED, ["late", 1])
        ending = threading.Timer(0.2, late.commit)
        ending.start()
        legacy.run(f"INSERT INTO {legacy.schema}.\"JOURNAL\" VALUES ('after', 1, 2)")
        upper = source.upper_bound(soon())
        ending.join()
        assert upper == [2, "after", 1]
        newer.execute("SELECT 1")


def _write(url: str, schema: str, writer: int, until_s: float, written: list[str]) -> None:
    with psycopg.connect(url, options=f"-c search_path={schema}") as connection:
        turn = 0
        while time.monotonic() < until_s:
            names = [f"{writer}-{turn}-{each}" for each in range(1 + turn % 3)]
            for name in names:
                connection.execute(STAMPED, [name])
                # Held open for a different time each: commits come in another order than stamps.
                connection.execute("SELECT pg_sleep(%s)", [0.002 * ((writer * 7 + turn * 3) % 11)])
            connection.commit()
            written.extend(names)
            turn += 1


def test_a_polling_reader_loses_no_row(server: str) -> None:
    """While writers hold transactions open and commit out of order, polling by watermark reads every row exactly once."""
    legacy = PostgresLegacy(server, "timestamp")
    written: list[str] = []
    until_s = time.monotonic() + 2
    writers = [
        threading.Thread(target=_write, args=(server, legacy.schema, each, until_s, written)) for each in range(4)
    ]
    for each in writers:
        each.start()
    read: list[str] = []
    after = None
    with legacy.open() as source:
        while True:
            over = not any(each.is_alive() for each in writers)
            upper = source.upper_bound(soon())
            while upper is not None and (end := source.chunk_end(after, upper, 50)) is not None:
                read.extend(each["PAY_NO"] for each in rows_of(source, after, end[0]))
                after = end[0]
            if over:
                break
    assert len(written) > 50
    assert sorted(read) == sorted(written)
