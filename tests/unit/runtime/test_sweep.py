"""The sweep sends again what a notice should have started, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.topology import TOPOLOGY
from payments.contacts import Contact, of_source
from payments.keys import ChunkKey, complete_key, reported_key
from payments.records import Chunk, ResultFile, Run
from runtime import sweep as sweep_module
from runtime.notices import key_of
from runtime.sweep import sweep
from runtime.tell import tell
from runtime.wakes import subject_of, wake
from runtime.wiring import World
from tests.contract.ledger_world import StandingClock, sample
from tests.servers.deletion_notices import BY_HAND, VERSION, deletion_notice
from tests.unit.local.small_world import world as small_world

DAY = date(2026, 3, 2)
LONG = timedelta(seconds=60)
SHA = "ab" * 32


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = small_world(tmp_path)
    yield world
    world.ledger.engine.dispose()


def add(world: World, *records: Any) -> None:
    with world.ledger.begin() as tx:
        for each in records:
            {Run: tx.runs, Chunk: tx.chunks, ResultFile: tx.results}[type(each)].add(each)  # type: ignore[attr-defined]


def run(ordinal: int, state: str) -> Run:
    return sample(Run, source="legacy", ordinal=ordinal, state=state, business_date=DAY)  # type: ignore[no-any-return]


def chunk(run_: int, ordinal: int, state: str, note: str = "") -> Chunk:
    return sample(Chunk, source="legacy", run=run_, ordinal=ordinal, state=state, note=note)  # type: ignore[no-any-return]


def result(state: str, *, reconciled: bool = False, sha256: str = SHA) -> ResultFile:
    key = f"results/northbank/{DAY}/{sha256}/a.ack"
    given = {"acquirer": "northbank", "sha256": sha256, "key": key, "business_date": DAY}
    return sample(ResultFile, state=state, reconciled=reconciled, **given)  # type: ignore[no-any-return]


def waiting(world: World) -> dict[str, list[str]]:
    """Queue -> the keys or subjects of its messages, which are taken out."""
    found: dict[str, list[str]] = {}
    for stage in TOPOLOGY:
        while messages := world.queue.receive(stage.queue, limit=10, visibility=LONG):
            for message in messages:
                is_notice = '"aws.s3"' in message.body
                found.setdefault(stage.queue, []).append(
                    key_of(message.body) if is_notice else subject_of(message.body)
                )
                world.queue.delete(stage.queue, message.receipt)
    return found


RAW = [ChunkKey("legacy", DAY, 1, ordinal).raw for ordinal in range(4)]


@pytest.mark.parametrize(
    ("records", "sent"),
    [
        ([], {}),
        ([run(1, "open")], {"extract": ["legacy"]}),
        ([run(1, "open"), chunk(1, 0, "opened")], {"extract": ["legacy"]}),
        ([run(1, "open"), chunk(1, 0, "stored")], {"extract": ["legacy"], "curate": [RAW[0]]}),
        (
            [run(1, "closed"), chunk(1, 0, "curated"), chunk(1, 1, "stored"), chunk(1, 2, "stored")],
            {"curate": [RAW[1], RAW[2]]},
        ),
        ([run(1, "closed"), chunk(1, 0, "stored", note="not Parquet")], {}),  # it was said; a person has it
        ([run(1, "curated"), chunk(1, 0, "curated")], {"assemble": [complete_key("legacy", DAY, 1)]}),
        ([run(1, "assembled"), chunk(1, 0, "curated")], {}),
        ([run(1, "stopped"), chunk(1, 0, "curated")], {}),
        ([run(1, "abandoned"), chunk(1, 0, "stored")], {}),
        ([result("collected")], {"read": [f"results/northbank/{DAY}/{SHA}/a.ack"]}),
        ([result("read")], {"reconcile": [reported_key("northbank", DAY, SHA)]}),
        ([result("read", reconciled=True)], {}),
        ([result("unreadable"), result("duplicate", sha256="cd" * 32), result("withdrawn", sha256="ef" * 32)], {}),
    ],
)
def test_exactly_what_is_missing_is_sent_again(world: World, records: list[Any], sent: dict[str, list[str]]) -> None:
    """For every state that a stage should have left behind by now, one message to that stage; for all others none."""
    add(world, *records)
    assert sweep(world, TOPOLOGY) == sum(map(len, sent.values()))
    assert waiting(world) == sent


def test_a_result_file_that_is_gone_is_not_sent_again(world: World) -> None:
    """Nobody could read it; once its delete marker is removed it is sent as before."""
    add(world, result("collected"))
    world.record_deletion(deletion_notice(result("collected").key, reason=BY_HAND))
    assert sweep(world, TOPOLOGY) == 0
    world.record_deletion(deletion_notice(result("collected").key, reason=BY_HAND, kind=VERSION))
    assert sweep(world, TOPOLOGY) == 1


def test_a_queue_that_has_work_is_left_alone(world: World) -> None:
    """While messages wait or are in flight nothing more is sent there; the other queues are swept all the same."""
    add(world, run(1, "closed"), chunk(1, 0, "stored"), chunk(1, 1, "stored"), result("collected"))
    tell(world, TOPOLOGY, RAW[0])
    [held] = world.queue.receive("curate", limit=1, visibility=LONG)
    assert sweep(world, TOPOLOGY) == 1
    world.queue.delete("curate", held.receipt)
    assert waiting(world) == {"read": [result("collected").key]}
    assert sweep(world, TOPOLOGY) == 3


def test_an_extraction_under_way_is_not_started_twice(world: World) -> None:
    """A source whose wake-up waits already gets no second one."""
    add(world, run(1, "open"))
    world.queue.send("extract", wake("legacy"))
    assert sweep(world, TOPOLOGY) == 0


def test_a_sweep_sends_a_bounded_number_and_the_next_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the limit waits for the next sweep, and keys of busy queues do not use the limit up."""
    monkeypatch.setattr(sweep_module, "LIMIT", 2)
    add(world, run(1, "closed"), *[chunk(1, ordinal, "stored") for ordinal in range(4)], result("collected"))
    assert sweep(world, TOPOLOGY) == 2
    assert sweep(world, TOPOLOGY) == 1  # curate is busy now: the result file has its turn
    assert waiting(world) == {"curate": RAW[:2], "read": [result("collected").key]}


def test_a_put_starts_what_the_topology_says(world: World) -> None:
    """Storing an object sends one notice to each stage that waits for it, also when it was there already."""
    for _ in range(2):
        world.store.put(RAW[0], b"rows")
    world.store.put(complete_key("legacy", DAY, 1), b"{}")
    world.store.put("index/00000001.parquet", b"nobody waits for this")
    assert waiting(world) == {"curate": [RAW[0], RAW[0]], "assemble": [complete_key("legacy", DAY, 1)]}


def test_an_open_run_of_a_source_that_fails_waits_for_its_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that does not answer is not asked every minute by the sweep, beside its own ever longer pauses."""
    add(world, run(1, "open"))
    now = world.clock.now()
    with world.ledger.begin() as tx:
        tx.contacts.add(Contact(of_source("legacy"), now, failing_since=now, failures=3))
    sweep(world, TOPOLOGY)
    assert waiting(world) == {}
    monkeypatch.setattr(world, "clock", StandingClock(now + timedelta(seconds=240)))
    sweep(world, TOPOLOGY)
    assert waiting(world) == {"extract": ["legacy"]}
