"""What comes back wakes somebody by itself: a marker that completes a set, and the time at which an answer is due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from payments.books import Total
from payments.config import Configuration
from payments.config_results import Results
from payments.firings import mark_fired
from payments.records import OutboundFile, Sighting
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.schedule import Wake, due_wakes, next_due
from tests.contract.ledger_world import StandingClock, sample
from tests.unit.local.small_world import acquirer, configuration

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    engine = open_engine(f"sqlite:{tmp_path / 'ledger.db'}")
    upgrade(engine)
    yield SqlLedger(engine, StandingClock())
    engine.dispose()


def with_results(**settings: int) -> Configuration:
    (north,) = configuration(acquirer()).acquirer
    return Configuration(acquirer=[msgspec.structs.replace(north, results=Results(**settings))])


@pytest.mark.parametrize(("state", "woken"), [("marker", False), ("complete", True), ("concluded", False)])
def test_a_marker_that_completes_a_set_wakes_reconcile_once(ledger: SqlLedger, state: str, woken: bool) -> None:
    """No result file comes with it that would: the marker itself is the news, until reconcile has looked."""
    config = with_results()
    name = config.acquirer[0].name
    with ledger.begin() as tx:
        tx.sightings.add(Sighting(name, "ours.csv.ok", 0, 1, state))
        assert (Wake("reconcile", name) in due_wakes(tx, config, NOON)) is woken


def test_the_time_of_an_acknowledgement_is_foreseen(ledger: SqlLedger) -> None:
    """A clock that jumps stops at the time from which a file is overdue; afterwards nothing is foreseen for it."""
    config = with_results(acknowledged_after_s=3600, collect_every_s=86_400)
    name = config.acquirer[0].name
    given = {"acquirer": name, "state": "delivered", "held": "", "total": Total(), "awaiting": Total()}
    file = sample(OutboundFile, **given, delivered_at=NOON, results_due_at=None, next_attempt_at=None)
    with ledger.begin() as tx:
        tx.files.add(file)
        mark_fired(tx, f"collect:{name}", NOON)
        assert next_due(tx, config, NOON) == NOON + timedelta(hours=1)
        assert next_due(tx, config, NOON + timedelta(hours=1)) == NOON + timedelta(days=1)
