"""The figures: what moved between two looks, how things stand, and that no figure says whose payment it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.topology import WATCHED
from payments.books import Total
from payments.contacts import Contact, of_source
from payments.records import Mismatch, OutboundFile, Receipt, ResultFile, Run, Watermark
from runtime.attention import attention
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.measures import Measure, measures
from tests.contract.ledger_world import StandingClock, sample
from tests.servers.deletion_notices import BY_HAND, tell_deletion
from tests.unit.local.small_world import acquirer, configuration, source

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=1)
CONFIGURATION = configuration(source(schedule='at = ["06:00"]'), acquirer(), acquirer("giro"))
NORTH, LEGACY = {"Acquirer": "northbank"}, {"Source": "legacy"}
CANARY = "CANARY-77"
ALLOWED_DIMENSIONS = {"Acquirer", "Source", "Money"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    engine = open_engine(f"sqlite:{tmp_path / 'ledger.db'}")
    upgrade(engine)
    yield SqlLedger(engine, StandingClock(NOW))
    engine.dispose()


def add(ledger: SqlLedger, *records: Any) -> None:
    with ledger.begin() as tx:
        tables = {Run: tx.runs, OutboundFile: tx.files, Receipt: tx.receipts, ResultFile: tx.results}
        tables |= {Contact: tx.contacts, Watermark: tx.watermarks}  # type: ignore[dict-item]
        for each in records:
            if isinstance(each, Mismatch):
                tx.replace_mismatches([each], [])
            else:
                tables[type(each)].add(each)  # type: ignore[attr-defined]


def look(ledger: SqlLedger, since: datetime = SINCE, now: datetime = NOW) -> list[Measure]:
    with ledger.look() as tx:
        return measures(tx, CONFIGURATION, attention(tx, CONFIGURATION, now), since, now)


def values(found: list[Measure], of: dict[str, str]) -> dict[str, float]:
    """Name -> value of what is about exactly this."""
    return {each.name: each.value for each in found if each.of == of}


def file(file_id: str, **given: Any) -> OutboundFile:
    set_ = {"file_id": file_id, "acquirer": "northbank", "held": "", "created_at": NOW - timedelta(minutes=5), **given}
    return sample(OutboundFile, **set_, results_due_at=None)  # type: ignore[no-any-return]


def run(**given: Any) -> Run:
    opened = {"source": "legacy", "ordinal": 1, "opened_at": NOW - timedelta(seconds=90), **given}
    return sample(Run, **opened)  # type: ignore[no-any-return]


MONEY = Total(3, {"EUR/CRDT": 1250, "USD/DBIT": 7})


def test_a_run_that_closed_is_counted(ledger: SqlLedger) -> None:
    """Its rows and how long it was open, under the name of its source."""
    add(ledger, run(state="closed", closed_at=NOW - timedelta(seconds=30), extracted=Total(42)))
    assert values(look(ledger), LEGACY) == {"RowsExtracted": 42, "RunSeconds": 60}


def test_a_delivery_is_counted(ledger: SqlLedger) -> None:
    """Files, rows, bytes, how long after sealing, and minor units per currency and direction."""
    add(ledger, file("f1", state="delivered", size=9000, total=MONEY, awaiting=Total()))
    add(ledger, sample(Receipt, file_id="f1", delivered_at=NOW - timedelta(seconds=30)))
    found = look(ledger)
    said = values(found, NORTH)
    assert said.items() >= {"FilesDelivered": 1, "RowsDelivered": 3, "BytesDelivered": 9000}.items()
    assert said["SecondsToDelivery"] == 270
    assert values(found, {**NORTH, "Money": "EUR/CRDT"}) == {"AmountDeliveredMinor": 1250}
    assert values(found, {**NORTH, "Money": "USD/DBIT"}) == {"AmountDeliveredMinor": 7}


def test_each_instant_belongs_to_one_look(ledger: SqlLedger) -> None:
    """Looks that follow each other count everything once: their beginning is excluded, their end included."""
    add(ledger, run(state="closed", closed_at=NOW, extracted=Total(1)))
    add(ledger, file("f1", state="delivered", total=MONEY, awaiting=Total()))
    add(ledger, sample(Receipt, file_id="f1", delivered_at=NOW))
    result = {"acquirer": "northbank", "collected_at": NOW, "size": 10, "state": "read", "reconciled": True}
    add(ledger, sample(ResultFile, **result))
    counted = {"RowsExtracted", "FilesDelivered", "ResultFiles"}
    ends = [NOW - timedelta(seconds=1), NOW, NOW + timedelta(seconds=1)]
    seen = [
        sorted(each.name for each in look(ledger, end - timedelta(seconds=1), end) if each.name in counted)
        for end in ends
    ]
    assert seen == [[], sorted(counted), []]


def test_a_doubt_is_counted_until_it_ends(ledger: SqlLedger) -> None:
    """However old it is: it is how things stand, not something that moved."""
    add(ledger, file("f1", state="in_doubt"), file("f2", state="sealed", held="limit"))
    said = values(look(ledger), {})
    assert (said["FilesInDoubt"], said["Stuck"]) == (1, 1)
    assert values(look(ledger, now=NOW + timedelta(days=3)), {})["FilesInDoubt"] == 1


def test_what_waits_has_an_age(ledger: SqlLedger) -> None:
    """Of each acquirer the files that have not left, their bytes and the age of the oldest; of all the oldest run."""
    add(ledger, file("f1", state="sealed", size=10), file("f2", state="planned", size=0, sequence=2, name="b"))
    add(ledger, run(state="closed", closed_at=NOW - timedelta(days=1)))
    found = look(ledger)
    assert values(found, NORTH) == {"FilesToDeliver": 2, "BytesToDeliver": 10, "OldestFileAgeSeconds": 300}
    assert values(found, {"Acquirer": "giro"}) == {"FilesToDeliver": 0, "BytesToDeliver": 0, "OldestFileAgeSeconds": 0}
    assert values(found, {})["OldestRunAgeSeconds"] == 90


def test_what_came_after_the_look_has_no_age(ledger: SqlLedger) -> None:
    """Figures are taken a moment ago: what is younger than that is not of a negative age."""
    add(ledger, run(state="open", opened_at=NOW + timedelta(seconds=5), closed_at=None))
    assert values(look(ledger), {})["OldestRunAgeSeconds"] == 0


def test_a_source_that_fails_is_counted(ledger: SqlLedger) -> None:
    """At the last try it could not be reached."""
    add(ledger, Contact(of_source("legacy"), NOW, failing_since=NOW - timedelta(hours=1), failures=2))
    assert values(look(ledger), {})["Failing"] == 1


def test_every_figure_that_rings_is_there_when_nothing_happened(ledger: SqlLedger) -> None:
    """An empty ledger gives a nought for each of them: an alarm never waits for data."""
    said = values(look(ledger), {})
    assert {each.metric: said[each.metric] for each in WATCHED} == dict.fromkeys((each.metric for each in WATCHED), 0)


def test_stopped_runs_ring(ledger: SqlLedger) -> None:
    """A run whose books do not tie, or of which a chunk could not be curated, is counted until a person has seen to it."""
    add(ledger, run(state="stopped", closed_at=NOW - timedelta(days=2)))
    assert values(look(ledger), {})["RunsStopped"] == 1
    add(ledger, run(ordinal=2, state="closed", note="chunk 1: its bytes are not those that were extracted"))
    assert values(look(ledger), {})["RunsStopped"] == 2


def test_objects_that_are_gone_ring(ledger: SqlLedger) -> None:
    """What somebody deleted is counted until a person has seen to it; what expired as declared is not."""
    add(ledger, run(state="assembled", closed_at=NOW - timedelta(days=2)))
    for number in range(3):
        tell_deletion(ledger, f"raw/legacy/2026-03-02/000001/0000{number}.parquet")
    assert values(look(ledger), {})["ObjectsGone"] == 0
    tell_deletion(ledger, "raw/legacy/2026-03-02/000001/manifest.json", reason=BY_HAND)
    assert values(look(ledger), {})["ObjectsGone"] == 1


def test_no_figure_names_a_payment(ledger: SqlLedger) -> None:
    """Every text in the ledger may be a canary: figures have names of ours and of sources, acquirers and currencies only."""
    records = [
        run(state="stopped", closed_at=NOW, note=CANARY),
        file("f1", state="in_doubt", note=CANARY, name=CANARY, total=MONEY),
        file("f2", state="delivered", name=f"{CANARY}.2", note=CANARY, sequence=2, total=MONEY, awaiting=MONEY),
        sample(Receipt, file_id="f2", delivered_at=NOW, **_texts(Receipt)),
        sample(ResultFile, acquirer="northbank", collected_at=NOW, state="read", name=CANARY, key=CANARY),
        sample(Mismatch, id="m1", state="open", reference=CANARY, payment_id=CANARY),
    ]
    add(ledger, *records)
    found = look(ledger)
    assert CANARY not in repr(found)
    assert {name for each in found for name in each.of} <= ALLOWED_DIMENSIONS
    assert {each.of["Money"] for each in found if "Money" in each.of} == {"EUR/CRDT", "USD/DBIT"}


def _texts(record: type) -> dict[str, str]:
    """A canary in every text of a record but its key."""
    return {each.name: CANARY for each in fields(record) if each.type == "str" and each.name != "file_id"}
