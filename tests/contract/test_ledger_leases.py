"""The promises of the ledger's leases and of its audit chains, kept on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from payments.errors import Busy, NotAllowed
from payments.leasing import drain
from payments.ports import Lease
from runtime.ledger.audit import audit_records, faults
from runtime.ledger.leases import SqlLeases
from runtime.ledger.ledger import SqlLedger
from tests.contract.ledger_world import StandingClock
from tests.servers.process import until

LONG, SHORT = timedelta(seconds=60), timedelta(milliseconds=150)
CHAIN = "run:legacy:000001"


def leases(engine: Engine, holder: str) -> SqlLeases:
    return SqlLeases(engine, holder)


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """What `act` returns in so many threads that start together."""
    answers: list[Any] = [None] * count
    gate = threading.Barrier(count)

    def one(number: int) -> None:
        gate.wait(30)
        answers[number] = act(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def test_a_lease_is_exclusive_until_released(engine: Engine) -> None:
    """While one holds a lease nobody gets it, not even the same holder again; released, the next one does."""
    first = leases(engine, "a").acquire("deliver:northbank", ttl=LONG)
    assert first == Lease("deliver:northbank", "a", 1)
    assert leases(engine, "b").acquire("deliver:northbank", ttl=LONG) is None
    assert leases(engine, "a").acquire("deliver:northbank", ttl=LONG) is None
    leases(engine, "a").release(first)
    assert leases(engine, "b").acquire("deliver:northbank", ttl=LONG) == Lease("deliver:northbank", "b", 2)


def test_everybody_sees_whether_a_lease_is_held(engine: Engine) -> None:
    """By the database's clock: from when somebody has it until it is given back or has run out."""
    ledger = SqlLedger(engine, StandingClock())

    def held() -> bool:
        with ledger.look() as tx:
            return tx.is_leased("source:legacy")

    assert not held()
    lease = ledger.leases.acquire("source:legacy", ttl=timedelta(minutes=1))
    assert lease is not None
    assert held()
    ledger.leases.release(lease)
    assert not held()
    assert ledger.leases.acquire("source:legacy", ttl=timedelta(0)) is not None
    assert not held()


def test_leases_of_different_names_do_not_mix(engine: Engine) -> None:
    """A lease keeps nobody from another one."""
    assert leases(engine, "a").acquire("deliver:one", ttl=LONG) is not None
    assert leases(engine, "b").acquire("deliver:two", ttl=LONG) is not None


@pytest.mark.parametrize("round_", range(5))
def test_of_many_that_ask_first_and_at_once_exactly_one_gets_it(engine: Engine, round_: int) -> None:
    """Also the very first time a name is asked for, one gets the lease, the others None, and nobody an error."""
    found = at_once(6, lambda number: leases(engine, f"h{number}").acquire(f"new:{round_}", ttl=LONG))
    assert [each.fence for each in found if each is not None] == [1]


def test_an_expired_lease_is_taken_over_and_lost_to_its_holder(engine: Engine) -> None:
    """After its time another gets the lease with a higher fence; the old holder's renewal is busy, its release harmless."""
    old, new = leases(engine, "old"), leases(engine, "new")
    held = old.acquire("assemble", ttl=SHORT)
    assert held is not None
    taken: list[Lease] = []
    until(lambda: (found := new.acquire("assemble", ttl=LONG)) is not None and not taken.append(found), "expiry", 10)
    assert taken[0].fence == held.fence + 1
    with pytest.raises(Busy, match="no longer ours"):
        old.renew(held, ttl=LONG)
    old.release(held)
    assert leases(engine, "third").acquire("assemble", ttl=LONG) is None
    new.renew(taken[0], ttl=LONG)


def test_an_expired_lease_cannot_be_renewed_even_if_nobody_took_it(engine: Engine) -> None:
    """Whoever slept beyond the lease's time must take it anew: somebody may have come and gone meanwhile."""
    held = leases(engine, "a").acquire("assemble", ttl=timedelta(0))
    assert held is not None
    with pytest.raises(Busy):
        leases(engine, "a").renew(held, ttl=LONG)


def test_renewal_prolongs(engine: Engine) -> None:
    """A renewed lease outlives its first time."""
    held = leases(engine, "a").acquire("assemble", ttl=timedelta(seconds=2))
    assert held is not None
    leases(engine, "a").renew(held, ttl=LONG)
    with engine.connect() as connection:
        left = connection.execute(text("SELECT expires_ms FROM leases")).scalar_one()
    assert left > 30_000
    assert leases(engine, "b").acquire("assemble", ttl=LONG) is None


def test_fences_grow_with_every_holder(engine: Engine) -> None:
    """No two holds of one lease share a fence, and each is higher than the one before."""
    fences = []
    for _ in range(5):
        held = leases(engine, "a").acquire("assemble", ttl=LONG)
        assert held is not None
        fences.append(held.fence)
        leases(engine, "a").release(held)
    assert fences == [1, 2, 3, 4, 5]


def test_leases_of_dead_processes_are_ended_by_prefix_only(engine: Engine) -> None:
    """Ending a dead worker's leases spares those of a worker whose name begins alike; `_` and `%` stand for themselves."""
    holders = ("worker-x-1@host:7", "worker-x-10@host:8", "worker_x-1@host:9")
    for holder in holders:
        assert leases(engine, holder).acquire(f"of {holder}", ttl=LONG) is not None

    def free() -> list[str]:
        found = {holder: leases(engine, "next").acquire(f"of {holder}", ttl=LONG) for holder in holders}
        return [holder for holder, lease in found.items() if lease is not None]

    assert leases(engine, "service").release_held("worker%x-1@") == 0
    assert leases(engine, "service").release_held("worker_x-1@") == 1
    assert free() == ["worker_x-1@host:9"]
    assert leases(engine, "service").release_held("worker-x-1@") == 1
    assert free() == ["worker-x-1@host:7"]


def test_drain_under_contention_does_every_piece_once(engine: Engine) -> None:
    """Workers that are woken at once share the work: each piece is done once, and none is left when all have returned."""
    pieces, done = list(range(20)), Counter[int]()

    def step(_lease: Lease) -> bool:
        if not pieces:
            return False
        done[pieces.pop()] += 1
        return True

    at_once(4, lambda number: drain(leases(engine, f"h{number}"), "work", pending=lambda: bool(pieces), step=step))
    assert not pieces
    assert set(done.values()) == {1}


def test_drain_looks_again_when_it_found_nothing(engine: Engine) -> None:
    """Work that is recorded, and refused to somebody else, behind the look of a holder who finds nothing to do, is done at once."""
    recorded: list[int] = []
    done: list[int] = []

    def step(_lease: Lease) -> bool:
        if done or recorded:
            done.extend(recorded)
            recorded.clear()
            return False
        # Behind this look somebody records work, is told that the lease is taken, and acknowledges.
        recorded.append(7)
        assert not drain(leases(engine, "b"), "work", pending=lambda: True, step=lambda _: True)
        return False

    assert drain(leases(engine, "a"), "work", pending=lambda: True, step=step)
    assert done == [7]


def test_drain_does_not_wait_for_what_nobody_can_do(engine: Engine) -> None:
    """What stays pending although a step can do nothing about it ends the look after the second time."""
    looks: list[int] = []

    def step(_lease: Lease) -> bool:
        looks.append(1)
        return False

    assert drain(leases(engine, "a"), "work", pending=lambda: True, step=step)
    assert len(looks) == 2


def test_drain_lets_go_when_the_step_fails(engine: Engine) -> None:
    """A step that raises leaves the lease free for the next one."""

    def step(_lease: Lease) -> bool:
        raise NotAllowed("no")

    with pytest.raises(NotAllowed):
        drain(leases(engine, "a"), "work", pending=lambda: True, step=step)
    assert leases(engine, "b").acquire("work", ttl=LONG) is not None


# The audit chains


def chain(engine: Engine, count: int, name: str = CHAIN) -> SqlLedger:
    ledger = SqlLedger(engine, StandingClock())
    for number in range(count):
        with ledger.begin() as tx:
            tx.audit.append(name, "happened", {"number": number, "ü": None}, actor="ada")
    return ledger


def found_faults(engine: Engine) -> list[str]:
    with SqlLedger(engine, StandingClock()).look() as tx:
        return list(faults(audit_records(tx.connection)))


def tamper(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount == 1


def test_a_chain_links_every_record_to_the_one_before(engine: Engine) -> None:
    """Append returns the new head, every record holds the head before it, and an untouched log has no fault."""
    ledger = chain(engine, 3)
    chain(engine, 2, "file:f1")
    with ledger.begin() as tx:
        head = tx.audit.append(CHAIN, "closed", {})
    with ledger.look() as tx:
        records = list(audit_records(tx.connection, CHAIN))
    assert [each.seq for each in records] == [1, 2, 3, 4]
    assert [each.previous for each in records[1:]] == [each.hash for each in records[:-1]]
    assert (records[-1].hash, records[0].actor, records[0].body) == (head, "ada", '{"number":0,"ü":null}')
    assert found_faults(engine) == []


def test_concurrent_appends_make_one_whole_chain(engine: Engine) -> None:
    """Writers that append to one chain at once all succeed, and the chain has no gap and no fork."""
    ledger = SqlLedger(engine, StandingClock())

    def append(number: int) -> None:
        for _ in range(6):
            with ledger.begin() as tx:
                tx.audit.append(CHAIN, "happened", {"by": number})

    at_once(4, append)
    with ledger.look() as tx:
        assert [each.seq for each in audit_records(tx.connection)] == list(range(1, 25))
    assert found_faults(engine) == []


@pytest.mark.parametrize(
    "column", ["actor = 'eve'", "act = 'forgot'", "body = '{}'", "recorded_at = '2026-03-02 12:00:01.000000'"]
)
def test_a_changed_record_is_found(engine: Engine, column: str) -> None:
    """Whatever field of a record is changed, its chain and number are named."""
    chain(engine, 3)
    tamper(engine, f"UPDATE audit SET {column} WHERE seq = 2")
    assert found_faults(engine) == [f"{CHAIN}: record 2 was changed"]


def test_a_changed_record_with_a_fitting_hash_breaks_the_next_link(engine: Engine) -> None:
    """Who computes the hash anew is found at the record behind."""
    chain(engine, 3)
    with SqlLedger(engine, StandingClock()).begin() as tx:
        head = tx.audit.append("forged", "happened", {"number": 1, "ü": None}, actor="eve")
    tamper(engine, "DELETE FROM audit WHERE chain = 'forged'")
    tamper(engine, f"UPDATE audit SET actor = 'eve', hash = '{head}' WHERE seq = 2")
    assert f"{CHAIN}: record 3 does not follow the one before it" in found_faults(engine)


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_record_is_found(engine: Engine, missing: int) -> None:
    """A record taken out of a chain, also its first, is named."""
    chain(engine, 3)
    tamper(engine, f"DELETE FROM audit WHERE seq = {missing}")
    assert found_faults(engine) == [f"{CHAIN}: record {missing} is missing"]


def test_reordered_records_are_found(engine: Engine) -> None:
    """Two records that changed places are both named."""
    chain(engine, 4)
    for old, new in ((2, 9), (3, 2), (9, 3)):
        tamper(engine, f"UPDATE audit SET seq = {new} WHERE seq = {old}")
    assert {f"{CHAIN}: record 2 was changed", f"{CHAIN}: record 3 was changed"} <= set(found_faults(engine))


def test_a_record_moved_to_another_chain_is_found(engine: Engine) -> None:
    """A record belongs to its chain: elsewhere it does not fit."""
    chain(engine, 2)
    tamper(engine, "UPDATE audit SET chain = 'file:f1', seq = 1 WHERE seq = 2")
    assert "file:f1: record 1 was changed" in found_faults(engine)
