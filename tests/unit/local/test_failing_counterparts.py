"""A source or an outbox that cannot be reached is known to the ledger: shown while it lasts, tried again, and closed by success."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dashboard.app import create_app
from functions import batch
from functions.topology import RECEIVES_MAX, stage_named
from local.worker import Worker, call
from payments.contacts import Contact, noted, of_outbox, of_source, retry_at
from payments.counterparts import sources
from payments.errors import Busy, Unreachable
from payments.firings import mark_fired
from runtime import wakes
from runtime.ledger.clock import LedgerClock
from runtime.schedule import due_wakes, next_due
from runtime.wakes import wake
from runtime.wiring import World
from tests.unit.dashboard.page_world import get
from tests.unit.local.small_world import acquirer, source
from tests.unit.local.small_world import world as small_world
from tieout.__main__ import main

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
CLOCK = "[clock]\nstart = 2026-03-02T06:00:00Z\n"
CANARY = "DE89370400440532013000"
NAME = "Erika Mustermann"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = small_world(tmp_path, CLOCK, source(schedule='at = ["06:00"]'), acquirer())
    batch.use(world)
    yield world
    batch._worlds.clear()
    world.ledger.engine.dispose()


def contact(world: World, subject: str) -> Contact:
    with world.ledger.look() as tx:
        found = tx.contacts.get(subject)
    assert found is not None
    return found


def later(world: World, to: datetime) -> None:
    assert isinstance(world.clock, LedgerClock)
    world.clock.move(to)


def turn(world: World) -> list[str]:
    """What the service would wake now, and a worker that does it."""
    now = world.clock.now()
    with world.ledger.begin() as tx:
        fired = [each for each in due_wakes(tx, world.configuration, now) if each.queue == "extract"]
        for each in fired:
            mark_fired(tx, each.firing, now)
    for each in fired:
        world.queue.send(each.queue, wake(each.subject))
    Worker(world).turn()
    return [each.subject for each in fired]


def make_database(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "legacy.db")) as connection:
        connection.execute(
            "CREATE TABLE payment (id INTEGER PRIMARY KEY, changed TEXT, a TEXT, c TEXT, d TEXT, r TEXT)"
        )
        connection.execute("INSERT INTO payment VALUES (1, '2026-03-01 12:00:00', '1.00', 'EUR', 'CRDT', '2026-03-02')")
        connection.commit()


def status(world: World, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, dict[str, Any]]:
    code = main(["status", "--config", world.settings.path])
    screen = capsys.readouterr().out
    main(["status", "--json", "--config", world.settings.path])
    return code, screen, json.loads(capsys.readouterr().out)


def test_a_source_that_cannot_be_read_is_tried_again_before_its_next_day(world: World, tmp_path: Path) -> None:
    """Its message does not come again and is never given up: the ledger says when, and the day is not lost."""
    with world.ledger.begin() as tx:
        mark_fired(tx, "extract:legacy", START - timedelta(days=1))
    assert turn(world) == ["legacy"]
    assert world.queue.depth("extract") == (0, 0)
    assert (contact(world, of_source("legacy")).failures, turn(world)) == (1, [])
    later(world, START + timedelta(seconds=60))
    assert (turn(world), turn(world)) == (["legacy"], [])
    with world.ledger.look() as tx:
        assert next_due(tx, world.configuration, world.clock.now()) is not None
        [shown] = sources(tx, world.configuration, world.clock.now())
    assert shown.next_due_at == START + timedelta(seconds=180)
    make_database(tmp_path)
    later(world, START + timedelta(seconds=180))
    assert turn(world) == ["legacy"]
    with world.ledger.look() as tx:
        [shown] = sources(tx, world.configuration, world.clock.now())
    assert (shown.failing_since, shown.last_run, shown.concern) == (None, "legacy/000001", None)
    assert shown.next_due_at == START + timedelta(days=1)
    assert shown.watermark_age_s == 18 * 3600 + 180


def test_a_try_that_is_under_way_is_not_asked_for_again(world: World) -> None:
    """The service looks five times a second: one message per try, however long that try takes."""
    with pytest.raises(Exception, match="legacy"):
        world.extract_source("legacy")
    later(world, START + timedelta(seconds=60))
    asked = []
    for _ in range(3):
        with world.ledger.begin() as tx:
            found = [each for each in due_wakes(tx, world.configuration, world.clock.now()) if each.queue == "extract"]
            for each in found:
                mark_fired(tx, each.firing, world.clock.now())
        asked.append(len(found))
    assert asked == [1, 0, 0]


def test_status_shows_what_fails_until_it_works_again(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, since when, how often, why and the next try; the command below it works when it is copied."""
    assert main(["extract", "legacy", "--config", world.settings.path]) in {1, 2}
    said = capsys.readouterr().err
    world.collect_from("northbank")
    code, screen, shown = status(world, capsys)
    assert code == 1
    assert "FAILING: source legacy cannot be read since 2026-03-02 06:00:00 UTC (1 try): " in screen
    assert "FAILING: outbox of northbank: polls fail since 2026-03-02 06:00:00 UTC (1 try): " in screen
    [legacy], [northbank] = shown["sources"], shown["outboxes"]
    assert legacy["reason"] in said
    assert legacy["failing_since"] == northbank["failing_since"] == "2026-03-02T06:00:00+00:00"
    assert legacy["next_due_at"] == "2026-03-02T06:00:00+00:00"
    assert (legacy["last_run"], legacy["watermark_age_s"], northbank["last_success_at"]) == ("", None, None)
    make_database(tmp_path)
    with world.ledger.begin() as tx:
        known = tx.contacts.get(of_outbox("northbank"))
        assert known is not None
        tx.contacts.change(known, failing_since=None)
    [copied] = [line for line in screen.splitlines() if line.startswith("next: tieout extract")]
    assert main(copied.removeprefix("next: tieout ").split()) == 0
    capsys.readouterr()
    code, screen, shown = status(world, capsys)
    assert (code, "FAILING" in screen) == (0, False)
    assert shown["sources"][0]["last_success_at"] == "2026-03-02T06:00:00+00:00"
    assert "legacy/000001 closed" in screen


def test_the_page_shows_what_fails(world: World) -> None:
    """The first page says it above the books, and the list of sources marks it."""
    with pytest.raises(Exception, match="legacy"):
        world.extract_source("legacy")
    text = get(create_app(world), "/").text
    assert "source legacy cannot be read since 2026-03-02 06:00:00 UTC" in text
    assert "<code>tieout extract legacy</code>" in text
    assert text.index("cannot be read") < text.index('id="payments"')
    assert "failing</span> since" in text


def test_a_message_that_finds_the_source_busy_is_asked_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else reads it, for hours perhaps: neither a success nor a failure, never a dead letter, and never forgotten."""
    monkeypatch.setattr(wakes, "AGAIN_AFTER", timedelta(0))
    lease = world.ledger.leases.acquire("source:legacy", ttl=timedelta(seconds=60))
    assert lease is not None
    world.queue.send("extract", wake("legacy"))
    for _ in range(2 * RECEIVES_MAX):
        [message] = world.queue.receive("extract", limit=10, visibility=timedelta(minutes=1))
        assert (message.body, message.receives) == (wake("legacy"), 1)
        assert call(stage_named("extract"), [message]) == set()
        world.queue.delete("extract", message.receipt)
    with world.ledger.look() as tx:
        assert tx.contacts.count() == 0


def test_other_records_under_way_return_to_the_queue(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is busy for a moment comes again by its own message, and does not count as a failure of the source."""

    def extract_source(_name: str) -> None:
        raise Busy("every connection to the ledger is in use")

    monkeypatch.setattr(world, "extract_source", extract_source)
    with pytest.raises(Busy):
        world.extract_when_due("legacy")
    with world.ledger.look() as tx:
        assert tx.contacts.count() == 0
    assert world.queue.depth("extract") == (0, 0)


def test_the_text_of_an_unknown_error_is_not_kept(world: World) -> None:
    """Only what we wrote ourselves stands in the ledger; of anything else its type."""
    with pytest.raises(RuntimeError), noted(world.ledger, world.clock, of_source("legacy")):
        raise RuntimeError(f"cannot cast {CANARY} of {NAME}")
    found = contact(world, of_source("legacy"))
    assert found.error == "RuntimeError"
    assert not any(each in found.reason for each in (CANARY, NAME))
    with pytest.raises(Unreachable), noted(world.ledger, world.clock, of_source("legacy")):
        raise Unreachable(f"no answer {CANARY}")
    assert contact(world, of_source("legacy")).reason == "no answer <masked>"


def test_failures_in_a_row_keep_their_beginning_and_their_pauses_have_an_end(world: World) -> None:
    """Since when stays; the pause doubles from a minute up to an hour, however often it failed; a success forgets all."""
    pauses = []
    for number in range(20):
        later(world, START + timedelta(hours=number))
        with pytest.raises(Unreachable), noted(world.ledger, world.clock, of_source("legacy")):
            raise Unreachable("no answer")
        found = contact(world, of_source("legacy"))
        again = retry_at(found)
        assert again is not None
        pauses.append((again - found.tried_at).total_seconds())
    assert pauses[:7] == [60, 120, 240, 480, 960, 1920, 3600]
    assert set(pauses[7:]) == {3600}
    assert (found.failing_since, found.failures) == (START, 20)
    with noted(world.ledger, world.clock, of_source("legacy")):
        pass
    found = contact(world, of_source("legacy"))
    assert (found.failing_since, found.failures, found.error, found.reason, retry_at(found)) == (None, 0, "", "", None)
