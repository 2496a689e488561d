"""What is gone from the store, on every ledger: kept once, also when two workers are told the same at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine

from payments.config import Stores
from payments.deletions import fate_of, gone, unsettled
from payments.keys import ChunkKey, run_chain
from payments.records import Run
from runtime.expiry import record_deletion
from runtime.ledger.audit import audit_records, faults
from runtime.ledger.ledger import SqlLedger
from tests.contract.ledger_world import NOON, StandingClock, opened, sample
from tests.servers.deletion_notices import BY_HAND, EXPIRED_AT, deletion_notice, tell_deletion

DAY = NOON.date()
KEYS = [ChunkKey("legacy", DAY, 1, number).raw for number in range(6)]


def filled(engine: Engine) -> SqlLedger:
    ledger = SqlLedger(engine, StandingClock())
    with ledger.begin() as tx:
        tx.runs.add(sample(Run, source="legacy", ordinal=1, state="assembled"))
    return ledger


def test_expired_objects_are_kept_and_counted(engine: Engine) -> None:
    """The end of an object is found by its key, of an owner by its chain; told twice it is kept once."""
    ledger = filled(engine)
    for key in [*KEYS, *KEYS]:
        tell_deletion(ledger, key)
    with ledger.look() as tx:
        end = fate_of(tx, KEYS[0])
        assert end is not None
        assert (end.cause, end.deleted_at, end.day) == ("lifecycle", EXPIRED_AT, EXPIRED_AT.date())
        counted = {"store": "raw", "day": EXPIRED_AT.date(), "cause": "lifecycle", "objects": len(KEYS)}
        assert gone(tx, run_chain("legacy", 1)) == [counted]
        assert tx.deletions.counts_by("store", cause="lifecycle") == {"raw": len(KEYS)}


def test_two_workers_at_once_leave_one_record_of_each(engine: Engine) -> None:
    """Of many that are told the same at the same moment, whoever loses finds it done: one audit record, no gap in its chain."""
    filled(engine)
    url = engine.url.render_as_string(hide_password=False)
    bodies = [deletion_notice(key) for key in KEYS] + [deletion_notice(KEYS[0], reason=BY_HAND, version="m9")]

    def work(_: int) -> None:
        with opened(url.replace("sqlite:///", "sqlite:").replace("postgresql+psycopg", "postgresql")) as mine:
            for body in bodies:
                record_deletion(SqlLedger(mine, StandingClock()), Stores(), body)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    with SqlLedger(engine, StandingClock()).look() as tx:
        assert tx.deletions.count() == len(KEYS) + 1
        assert [each.act for each in audit_records(tx.connection)].count("objects_expired") == 1
        assert [each.act for each in audit_records(tx.connection)].count("object_deleted") == 1
        assert list(faults(audit_records(tx.connection))) == []
        # It expired and was deleted at the same moment: by which of the two it went is the same for everybody.
        assert unsettled(tx) == []
