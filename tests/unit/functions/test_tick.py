"""What tick does every minute: wakes, sweeps, raises alarms, publishes; and that a second one at the same time does no harm."""

from __future__ import annotations

import inspect
import json
import logging
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions import batch
from functions.tick import handler
from functions.topology import TOPOLOGY
from payments.keys import ChunkKey
from payments.records import Chunk, Mismatch, OutboundFile, Receipt, ResultFile, Run
from runtime.beat import LEASE, SETTLED, beat
from runtime.ledger.clock import LedgerClock
from runtime.notices import key_of
from runtime.wakes import subject_of
from runtime.wiring import World
from tests.contract.ledger_world import empty_database, sample
from tests.unit.local.small_world import acquirer, source

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
DAY = date(2026, 3, 2)
CLOCK = "[clock]\nstart = 2026-03-02T12:00:00Z\n"
MINUTE = timedelta(minutes=1)
RAW = ChunkKey("legacy", DAY, 1, 0).raw
WINDOW = '[[acquirer.window]]\nname = "main"\nopens = "08:00"\ncutoff = "16:00"\nsend = "at_cutoff"\n'
SQS = """
[queue]
url = "sqs:eu-central-1"
endpoint = "{endpoint}"
prefix = "{prefix}-"
[stores]
root = "s3://tieout-curated"
by_store = {{ raw = "s3://tieout-raw" }}
[service]
extract_by = "scheduler"
"""
HEAVY = {"boto3", "botocore", "duckdb", "paramiko", "pyarrow", "numpy", "lxml", "holidays"}


@pytest.fixture
def made() -> Iterator[list[World]]:
    worlds: list[World] = []
    yield worlds
    batch._worlds.clear()
    for each in worlds:
        each.ledger.engine.dispose()


def world(made: list[World], folder: Path, *parts: str) -> World:
    """The world of tick, on a clock that stands at noon."""
    path = folder / "tieout.toml"
    path.write_text("".join((CLOCK, *parts)))
    made.append(World.open(str(path)))
    batch.use(made[-1])
    return made[-1]


def later(at: World, by: timedelta) -> None:
    assert isinstance(at.clock, LedgerClock)
    at.clock.move(at.clock.now() + by)


def tick() -> dict[str, int]:
    """As EventBridge calls it (Amazon EventBridge User Guide, "Scheduled events")."""
    event: dict[str, object] = {"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
    return handler(event, None)


def waiting(at: World) -> dict[str, list[str]]:
    """Queue -> subjects or keys of its messages, which are taken out."""
    found: dict[str, list[str]] = {}
    for stage in TOPOLOGY:
        while messages := at.queue.receive(stage.queue, limit=10, visibility=MINUTE):
            for each in messages:
                is_notice = '"aws.s3"' in each.body
                said = key_of(each.body) if is_notice else subject_of(each.body)
                found.setdefault(stage.queue, []).append(said)
                at.queue.delete(stage.queue, each.receipt)
    return found


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines of figures."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def file(name: str, **given: Any) -> OutboundFile:
    set_ = {"file_id": name, "acquirer": "northbank", "state": "sealed", "held": "", "next_attempt_at": None, **given}
    return sample(OutboundFile, **set_)  # type: ignore[no-any-return]


def test_what_is_due_is_woken_once(made: list[World], tmp_path: Path) -> None:
    """A schedule fires once for its time; what the ledger says is due is woken until it is done, never twice in a queue."""
    at = world(made, tmp_path, source(schedule='at = ["12:01"]'), acquirer())
    assert tick() == {"woken": 1, "swept": 0}
    assert waiting(at) == {"collect": ["northbank"]}
    later(at, MINUTE)
    with at.ledger.begin() as tx:
        tx.files.add(file("f1"))
    assert tick()["woken"] == 2
    assert tick()["woken"] == 1
    assert waiting(at) == {"extract": ["legacy"], "deliver": ["northbank"]}


def test_a_delivery_in_flight_keeps_nobody_from_being_woken(made: list[World], tmp_path: Path) -> None:
    """While one acquirer is being delivered to, another's files are due: both are woken, and one finds the lease taken."""
    at = world(made, tmp_path, acquirer(), acquirer("giro"))
    with at.ledger.begin() as tx:
        tx.files.add(file("f1"))
    tick()
    assert len(at.queue.receive("deliver", limit=10, visibility=timedelta(minutes=15))) == 1
    with at.ledger.begin() as tx:
        tx.files.add(file("f2", acquirer="giro", sequence=1))
    tick()
    assert sorted(waiting(at)["deliver"]) == ["giro", "northbank"]


def test_what_a_notice_should_have_started_is_sent_again(made: list[World], tmp_path: Path) -> None:
    """The sweep is part of every tick."""
    at = world(made, tmp_path, acquirer())
    with at.ledger.begin() as tx:
        tx.runs.add(sample(Run, source="legacy", ordinal=1, state="closed", business_date=DAY))
        tx.chunks.add(sample(Chunk, source="legacy", run=1, ordinal=0, state="stored", note=""))
    assert tick()["swept"] == 1
    assert waiting(at)["curate"] == [RAW]


def test_two_at_once_do_it_once(made: list[World], tmp_path: Path) -> None:
    """EventBridge may call twice: whoever comes while the other is at it does nothing at all."""
    at = world(made, tmp_path, acquirer())
    lease = at.ledger.leases.acquire(LEASE, ttl=MINUTE)
    assert lease is not None
    assert tick() == {"woken": 0, "swept": 0}
    assert waiting(at) == {}
    at.ledger.leases.release(lease)
    together = [threading.Thread(target=tick) for _ in range(4)]
    for each in together:
        each.start()
    for each in together:
        each.join()
    assert waiting(at) == {"collect": ["northbank"]}


def test_on_postgresql_with_one_connection(made: list[World], tmp_path: Path, postgres_url: str) -> None:
    """As a function has it: nothing in a tick needs a second connection, and of several functions at once one does it."""
    with empty_database("postgresql", tmp_path, lambda: postgres_url) as url:
        ledger = f'[ledger]\nurl = "{url.replace("+psycopg", "")}"\nconnections_max = 1\n'
        path = tmp_path / "tieout.toml"
        path.write_text(ledger + acquirer())
        made += [World.open(str(path)) for _ in range(4)]
        at = made[0]
        batch.use(at)
        tick()
        assert waiting(at) == {"collect": ["northbank"]}
        with at.ledger.begin() as tx:
            tx.files.add(file("f1"))
        together = [threading.Thread(target=beat, args=(one, TOPOLOGY)) for one in made]
        for each in together:
            each.start()
        for each in together:
            each.join()
        assert waiting(at) == {"deliver": ["northbank"]}
        for each in made:
            each.ledger.engine.dispose()


def test_a_window_is_answered_at_its_cutoff(made: list[World], tmp_path: Path) -> None:
    """Assemble is woken by the tick at the cutoff, and by none before it, whether rows wait or not."""
    at = world(made, tmp_path, acquirer(), WINDOW)
    woken = []
    while at.clock.now() < NOON.replace(hour=16, minute=2):
        tick()
        woken += [at.clock.now()] * len(waiting(at).get("assemble", []))
        later(at, timedelta(minutes=20) if not woken and at.clock.now().hour < 15 else MINUTE)
    assert woken
    assert woken[0] == NOON.replace(hour=16)


def test_an_alarm_is_said_once(made: list[World], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that may miss its window is in the log of one tick, not of every one."""
    at = world(made, tmp_path, acquirer(), WINDOW)
    given = {"window": "main", "business_date": DAY, "created_at": NOON, "next_attempt_at": NOON + timedelta(hours=9)}
    with at.ledger.begin() as tx:
        tx.files.add(file("f1", **given))
    with caplog.at_level(logging.ERROR, "runtime.beat"):
        tick()
        tick()
    assert ["may be missed" in each.getMessage() for each in caplog.records] == [True]


def test_what_happened_is_counted_once(made: list[World], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A delivery is in the figures of one tick; how things stand is in those of every one, also when there is nothing."""
    at = world(made, tmp_path, acquirer())
    tick()
    with at.ledger.begin() as tx:
        tx.files.add(file("f1", state="delivered", created_at=NOON, results_due_at=None))
        tx.receipts.add(sample(Receipt, file_id="f1", delivered_at=at.clock.now()))
    capsys.readouterr()
    counted = []
    for _ in range(3):
        later(at, max(MINUTE, SETTLED))
        tick()
        lines = printed(capsys)
        counted.append(sum(len(line.get("FilesDelivered", [])) for line in lines))
        assert sum(len(line.get("FilesInDoubt", [])) for line in lines) == 1
    assert counted == [1, 0, 0]


def test_on_sqs_with_buckets(made: list[World], tmp_path: Path, moto_endpoint: str) -> None:
    """Notices name the bucket of their store, queues tell how full they are, and sources are left to their scheduler."""
    given = SQS.format(endpoint=moto_endpoint, prefix=uuid.uuid4().hex[:8])
    at = world(made, tmp_path, given, source(schedule="every_s = 60"), acquirer())
    with at.ledger.begin() as tx:
        tx.runs.add(sample(Run, source="legacy", ordinal=1, state="open", business_date=DAY))
        tx.chunks.add(sample(Chunk, source="legacy", run=1, ordinal=0, state="stored", note=""))
        key = f"results/northbank/{DAY}/{'ab' * 32}/a.ack"
        result = {"acquirer": "northbank", "sha256": "ab" * 32, "key": key, "business_date": DAY}
        tx.results.add(sample(ResultFile, state="collected", reconciled=False, **result))
    assert tick() == {"woken": 1, "swept": 2}
    assert tick() == {"woken": 0, "swept": 0}, "the queues hold it already"
    for queue, bucket, named in (("curate", "tieout-raw", RAW), ("read", "tieout-curated", key)):
        [message] = at.queue.receive(queue, limit=10, visibility=MINUTE)
        detail = json.loads(message.body)["detail"]
        assert (detail["bucket"]["name"], detail["object"]["key"]) == (bucket, named)
    assert waiting(at) == {"collect": ["northbank"]}


def test_a_ledger_that_fails_fails_the_tick(made: list[World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error reaches Lambda, which counts it; the lease is given back, so that the next tick works."""
    at = world(made, tmp_path, acquirer())

    def broken(*_arguments: object) -> None:
        raise RuntimeError("the look failed")

    with monkeypatch.context() as patch:
        patch.setattr("runtime.beat.sweep", broken)
        with pytest.raises(RuntimeError):
            tick()
    tick()
    assert waiting(at)["collect"] == ["northbank"]


def test_tick_decides_nothing() -> None:
    """Its handler is as short as every other."""
    assert len(Path(inspect.getfile(handler)).read_text().splitlines()) <= 30


def test_tick_reads_no_columns(pytestconfig: pytest.Config) -> None:
    """All that a tick works with is imported without the packages that read files, match, or speak with acquirers."""
    code = "import sys, functions.tick, runtime.beat, runtime.attention, runtime.measures; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=pytestconfig.rootpath, capture_output=True, text=True, timeout=60, check=True
    )
    assert HEAVY & set(done.stdout.split()) == set()


def test_no_figure_names_a_payment(made: list[World], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mismatch with its reference is a count in what is printed, and nothing else (I7)."""
    at = world(made, tmp_path, acquirer())
    with at.ledger.begin() as tx:
        tx.replace_mismatches([sample(Mismatch, id="m1", state="open", reference="CANARY-REF-1")], [])
    tick()
    lines = printed(capsys)
    assert [line["MismatchesOpen"] for line in lines if "MismatchesOpen" in line] == [[1]]
    assert "CANARY" not in json.dumps(lines)
