"""I5 for read and reconcile: killed at any effect and started again, or told in any order, they come to the same state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from payments.ports import Lease, Leases, StoredObject, Transaction
from runtime.ledger.audit import audit_records, faults
from tests.unit.reconciliation.reconcile_texts import Pay, Say, ack, results, say
from tests.unit.reconciliation.reconcile_world import DUE, World

A, B, C = Pay("A"), Pay("B", 200, "USD", "DBIT"), Pay("C", 3)
D = Pay("D", 40)


class Killed(BaseException):
    """The process is gone: nothing after this happens, not even what `finally` asks for."""


@dataclass
class Kill:
    """Counts effects that outlive a process, and kills just after the `at`-th: what is lost is all that was not one. 0: never."""

    at: int = 0
    seen: int = 0
    dead: bool = False

    def check(self) -> None:
        if self.dead:
            raise Killed

    def happened(self) -> None:
        self.seen += 1
        self.dead = self.seen == self.at
        self.check()


class KilledLedger:
    """A ledger whose process dies as soon as a transaction that wrote something is committed."""

    def __init__(self, world: World, kill: Kill) -> None:
        self._inner = world.sql
        self._kill = kill

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        self._kill.check()
        with self._inner.begin() as tx:
            written = tx.connection.connection.driver_connection
            assert written is not None
            before = written.total_changes
            yield tx
            wrote = written.total_changes > before
        if wrote:
            self._kill.happened()

    @contextmanager
    def look(self) -> Iterator[Transaction]:
        self._kill.check()
        with self._inner.look() as tx:
            yield tx

    @property
    def leases(self) -> Leases:
        return self

    def acquire(self, name: str, *, ttl: timedelta) -> Lease | None:
        self._kill.check()
        lease = self._inner.leases.acquire(name, ttl=ttl)
        self._kill.happened()
        return lease

    def renew(self, lease: Lease, *, ttl: timedelta) -> None:
        self._kill.check()
        self._inner.leases.renew(lease, ttl=ttl)

    def release(self, lease: Lease) -> None:
        self._kill.check()
        self._inner.leases.release(lease)
        self._kill.happened()


class KilledStore:
    """A store whose process dies as soon as an object is stored."""

    def __init__(self, world: World, kill: Kill) -> None:
        self._inner = world.files
        self._kill = kill

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def put_file(self, key: str, path: Path) -> StoredObject:
        self._kill.check()
        stored = self._inner.put_file(key, path)
        self._kill.happened()
        return stored


def before(folder: Path) -> World:
    """One file in doubt and one that was delivered; five result files are collected and nothing is read."""
    world = World(folder)
    doubtful, sent = world.send([D], sequence=1, state="in_doubt"), world.send([A, B, C], sequence=2, window="w2")
    world.collect("d.ack", ack(doubtful))
    world.collect("f.ack", ack(sent, "PART"))
    says = [say(A), say(A), say(B, "RJCT", reason="AC04"), Say("INVENTED")]
    world.collect("f.result.1", results(sent, says))
    world.collect("f.result.2", results(sent, [say(C)])[:-20])
    world.collect("never.result.1", results(None, [say(A)]))
    return world


def work(world: World, due: datetime) -> None:
    """Read and reconcile, then once more when results were due: C and D are missing by then."""
    world.read()
    world.reconcile()
    world.clock.at = due
    world.reconcile()


def run(folder: Path, kill: Kill) -> dict[str, Any]:
    """Work with this kill, then, as a new process, to the end; what came of it."""
    world = before(folder)
    due = world.clock.at + DUE
    world.ledger, world.store = KilledLedger(world, kill), KilledStore(world, kill)
    try:
        work(world, due)
    except Killed:
        world.sql.leases.release_held("worker-")
        world.ledger, world.store = world.sql, world.files
        work(world, due)
    world.check()
    with world.sql.engine.connect() as connection:
        assert list(faults(audit_records(connection))) == []
    facts = world.facts()
    world.close()
    return facts


@pytest.mark.slow
def test_killed_after_any_effect_the_state_is_the_same(tmp_path: Path) -> None:
    """Killed behind every transaction that writes and every put, and started again: the same ledger, the same objects."""
    undisturbed = Kill()
    wanted = run(tmp_path / "0", undisturbed)
    assert [each["state"] for each in wanted["files"]].count("partially_accepted") == 1
    assert sorted(each["kind"] for each in wanted["mismatches"]) == [
        "duplicate_result", "file_unreadable", "missing_at_acquirer", "missing_at_acquirer", "status_rejected",
        "unknown_to_us", "unknown_to_us",
    ]  # fmt: skip
    assert undisturbed.seen > 25
    for at in range(1, undisturbed.seen + 1):
        kill = Kill(at)
        assert run(tmp_path / str(at), kill) == wanted, f"killed after effect {at}"
        assert kill.dead


def told(world: World) -> dict[str, str]:
    """Name -> text of nine result files about two files: contradictions, repeats, returns, refusals, strangers."""
    one, two = world.send([A, B, C], sequence=1), world.send([D], sequence=2, window="w2")
    one_says = [say(A, "ACSP"), say(B), say(C, at="2026-03-02T07:05:00Z"), Say("INVENTED")]
    return {
        "1.ack": ack(one),
        "1.part.ack": ack(one, "PART", at="2026-03-02T06:30:00Z"),
        "1.result.1": results(one, one_says),
        "1.result.2": results(one, [say(A), say(C, minor=4)], n=2, at="2026-03-02T07:05:00Z"),
        "1.result.3": results(one, [say(B, "RTRN", reason="AC06"), say(A)], n=3, at="2026-03-02T09:00:00Z"),
        "2.refused.ack": ack(two, "RJCT", reason="AM18", at="2026-03-02T06:02:00Z"),
        "2.ack": ack(two, at="2026-03-02T06:04:00Z"),
        "2.result.1": results(two, [say(D)]),
        "never.result.1": results(None, [say(A)]),
    }


def settled(world: World) -> dict[str, Any]:
    """What must not depend on the order of arrival: states, totals, uses and what is open."""
    facts = world.facts()
    fields = ("name", "state", "matched", "mismatched", "awaiting", "matched_key", "overdue")
    closed = {"closed_by_late_result", "closed_by_withdrawal"}
    return {
        "files": [[each[name] for name in fields] for each in facts["files"]],
        "books": facts["books"],
        "mismatches": [each for each in facts["mismatches"] if each["state"] not in closed]
        and sorted(
            (each["kind"], each["reference"], each["id"], each["expected_minor"], each["reported_minor"])
            for each in facts["mismatches"]
            if each["state"] not in closed
        ),
    }


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_arrival_does_not_matter(tmp_path: Path, seed: int) -> None:
    """Whichever result file comes first, alone or with others in one pass, the books end the same."""
    world = World(tmp_path / "all")
    for name, text in told(world).items():
        world.collect(name, text)
    world.work()
    world.wait_until_due()
    wanted = settled(world)
    world.close()
    assert sorted(each[1] for each in wanted["files"]) == ["partially_accepted", "refused"]

    chance = random.Random(seed)
    world = World(tmp_path / "one by one")
    texts = list(told(world).items())
    chance.shuffle(texts)
    for name, text in texts:
        world.collect(name, text)
        if chance.random() < 0.6:
            world.work()
    world.work()
    world.wait_until_due()
    assert settled(world) == wanted
    world.close()
