"""The ledger is told what is gone from the store: whose it was, whether it was needed, and that order decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.config import Stores
from payments.deletions import fate_of, gone, unsettled
from payments.errors import SetAside
from payments.keys import ChunkKey, file_chain, run_chain
from payments.records import OutboundFile, ResultFile, Run
from runtime.expiry import record_deletion
from runtime.ledger.audit import audit_records, faults
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from tests.contract.ledger_world import NOON, StandingClock, clear, sample
from tests.servers.deletion_notices import (
    BY_HAND,
    EXPIRED_AT,
    LIFECYCLE,
    MARKER,
    VERSION,
    deletion_event,
    deletion_notice,
    tell_deletion,
)

DAY = NOON.date()
RAW = ChunkKey("legacy", DAY, 1, 0).raw
RAW_2 = ChunkKey("legacy", DAY, 1, 1).raw
QUARANTINE = ChunkKey("legacy", DAY, 1, 0).quarantine
OUTBOUND = f"outbound/northbank/{DAY}/f1/a.csv"
SHA = "ab" * 32


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlLedger]:
    engine = open_engine(f"sqlite:{tmp_path_factory.mktemp('ledger') / 'ledger.db'}")
    upgrade(engine)
    yield SqlLedger(engine, StandingClock(NOON))
    engine.dispose()


@pytest.fixture
def ledger(shared: SqlLedger) -> Iterator[SqlLedger]:
    filled(shared)
    yield shared
    clear(shared.engine)


def filled(ledger: SqlLedger) -> None:
    """One finished run and file, and one of each that is not finished."""
    clear(ledger.engine)
    with ledger.begin() as tx:
        tx.runs.add(sample(Run, source="legacy", ordinal=1, state="assembled"))
        tx.runs.add(sample(Run, source="legacy", ordinal=2, state="stopped"))
        tx.files.add(sample(OutboundFile, file_id="f1", state="delivered"))
        tx.files.add(sample(OutboundFile, file_id="f2", state="in_doubt"))
        tx.results.add(sample(ResultFile, acquirer="northbank", sha256=SHA, business_date=DAY, state="read"))
        tx.results.add(sample(ResultFile, acquirer="northbank", sha256="cd" * 32, business_date=DAY, state="collected"))


def tell(ledger: SqlLedger, key: str, **given: Any) -> None:
    tell_deletion(ledger, key, **given)


def audited(ledger: SqlLedger) -> list[tuple[str, str, dict[str, Any]]]:
    with ledger.look() as tx:
        assert list(faults(audit_records(tx.connection))) == []
        return sorted(
            ((each.chain, each.act, json.loads(each.body)) for each in audit_records(tx.connection)), key=repr
        )


def state(ledger: SqlLedger) -> tuple[Any, ...]:
    """Everything that the deletions left in the ledger."""
    with ledger.look() as tx:
        # How often a record was written again is no part of what it says.
        records = [replace(each, revision=0) for each in tx.deletions.find()]
        return records, unsettled(tx), gone(tx, run_chain("legacy", 1)), audited(ledger)


def test_what_a_rule_took_is_expired(ledger: SqlLedger) -> None:
    """The ledger knows when; of one run, store and day there is one audit record, however many objects went."""
    for number, key in enumerate((RAW, RAW_2, QUARANTINE)):
        tell(ledger, key, version=f"m{number}")
    with ledger.look() as tx:
        end = fate_of(tx, RAW)
        assert end is not None
        assert (end.cause, end.deleted_at, end.needed) == ("lifecycle", EXPIRED_AT, False)
        assert unsettled(tx) == []
        assert gone(tx, run_chain("legacy", 1)) == [
            {"store": "quarantine", "day": EXPIRED_AT.date(), "cause": "lifecycle", "objects": 1},
            {"store": "raw", "day": EXPIRED_AT.date(), "cause": "lifecycle", "objects": 2},
        ]
    day = EXPIRED_AT.date().isoformat()
    chain = run_chain("legacy", 1)
    assert audited(ledger) == [
        (chain, "objects_expired", {"store": "quarantine", "day": day}),
        (chain, "objects_expired", {"store": "raw", "day": day}),
    ]


@pytest.mark.parametrize(
    ("key", "chain"),
    [
        (RAW, run_chain("legacy", 1)),
        (f"raw/legacy/{DAY}/000001/manifest.json", run_chain("legacy", 1)),
        (f"curated/legacy/{DAY}/000001/complete.json", run_chain("legacy", 1)),
        (OUTBOUND, file_chain("f1")),
        (f"expected/northbank/{DAY}/f1.parquet", file_chain("f1")),
        (f"manifests/northbank/{DAY}/f1.json", file_chain("f1")),
        (f"matched/northbank/{DAY}/f1/{SHA}.parquet", file_chain("f1")),
        (f"open/northbank/{DAY}/f1/{SHA}.parquet", file_chain("f1")),
        (f"redeliveries/northbank/f1/{SHA}.parquet", file_chain("f1")),
        (f"results/northbank/{DAY}/{SHA}/a.res", f"day:northbank:{DAY}"),
        (f"reported/northbank/{DAY}/{SHA}.parquet", f"day:northbank:{DAY}"),
        (f"reported/northbank/{DAY}/{SHA}.aside.parquet", f"day:northbank:{DAY}"),
        ("index/00000001.parquet", "store"),
        ("pool/00000001.parquet", "store"),
        ("heads/2026-03-02.json", "store"),
    ],
)
def test_a_deletion_that_is_no_rule_is_an_alarm(ledger: SqlLedger, key: str, chain: str) -> None:
    """Whatever the ledger knows is missed, in the chain of what it belongs to, object by object."""
    tell(ledger, key, reason=BY_HAND)
    with ledger.look() as tx:
        assert [(each.key, each.chain, each.cause) for each in unsettled(tx)] == [(key, chain, "request")]
    body = {"object": key, "version": "m1", "kind": "marker", "at": EXPIRED_AT.isoformat()}
    assert audited(ledger) == [(chain, "object_deleted", body)]


@pytest.mark.parametrize(
    ("key", "missed"),
    [
        (ChunkKey("legacy", DAY, 2, 0).raw, True),
        (f"outbound/northbank/{DAY}/f2/a.csv", True),
        (f"manifests/northbank/{DAY}/f2.json", False),
        (f"results/northbank/{DAY}/{'cd' * 32}/a.res", True),
        (f"expected/northbank/{DAY}/f1.parquet", True),
        (f"curated/legacy/{DAY}/000001/00000.parquet", True),
        (OUTBOUND, False),
        (f"results/northbank/{DAY}/{SHA}/a.res", False),
        (f"matched/northbank/{DAY}/f1/{SHA}.parquet", False),
    ],
)
def test_what_expires_before_it_was_used_is_an_alarm(ledger: SqlLedger, key: str, missed: bool) -> None:
    """A rule that takes what is still to be read, or what is read for ever, is as bad as a person."""
    tell(ledger, key)
    with ledger.look() as tx:
        assert bool(unsettled(tx)) == missed
        assert tx.deletions.count() == 1


@pytest.mark.parametrize(
    ("key", "days"),
    [
        (RAW, 60),
        (QUARANTINE, 60),
        (OUTBOUND, 400),
        (f"manifests/northbank/{DAY}/f1.json", 400),
        (f"open/northbank/{DAY}/f1/{SHA}.parquet", 400),
        (f"results/northbank/{DAY}/{SHA}/a.res", 400),
    ],
)
def test_what_a_rule_takes_too_soon_is_an_alarm(ledger: SqlLedger, key: str, days: int) -> None:
    """No such rule can be declared: somebody else made it. From the day on that could be declared it is expected."""
    for at, missed in ((NOON + timedelta(days=days, seconds=-1), True), (NOON + timedelta(days=days, hours=1), False)):
        filled(ledger)
        tell(ledger, key, at=at)
        with ledger.look() as tx:
            assert bool(unsettled(tx)) == missed


@pytest.mark.parametrize(
    "key", ["raw/nobody/2026-03-02/000009/00000.parquet", "raw/x", "outbound/a/b/c/d", "raw/a/b/c/d/e"]
)
def test_what_the_ledger_does_not_know_is_no_alarm(ledger: SqlLedger, key: str) -> None:
    """What somebody else put among our objects may be taken away again; that it went is kept."""
    tell(ledger, key, reason=BY_HAND)
    with ledger.look() as tx:
        assert unsettled(tx) == []
        assert tx.deletions.count(key=key) == 1
    assert audited(ledger) == []


def test_an_object_whose_marker_is_removed_is_back(ledger: SqlLedger) -> None:
    """The alarm ends by itself, whichever of the two is told first."""
    steps = [
        {"version": "m7", "kind": MARKER},
        {"version": "m7", "kind": VERSION, "at": EXPIRED_AT + timedelta(hours=1)},
    ]
    for order in (steps, steps[::-1]):
        filled(ledger)
        for each in order:
            tell(ledger, RAW, reason=BY_HAND, **each)
        with ledger.look() as tx:
            assert (fate_of(tx, RAW), unsettled(tx)) == (None, [])
            assert tx.deletions.count(is_open=True) == 0


def test_a_marker_that_the_rules_tidy_up_brings_nothing_back(ledger: SqlLedger) -> None:
    """What was deleted by hand stays so when its old version and its marker go by the rules, and what expired stays expired."""
    for reason, cause in ((BY_HAND, "request"), (LIFECYCLE, "lifecycle")):
        filled(ledger)
        tell(ledger, RAW, reason=reason, version="m7")
        tell(ledger, RAW, version="v1", kind=VERSION, at=EXPIRED_AT + timedelta(days=30))
        tell(ledger, RAW, version="m7", kind=VERSION, at=EXPIRED_AT + timedelta(days=31))
        with ledger.look() as tx:
            end = fate_of(tx, RAW)
            assert end is not None
            assert (end.cause, end.deleted_at) == (cause, EXPIRED_AT)


@pytest.mark.parametrize(("hours", "cause"), [(1, "request"), (3, "lifecycle")])
def test_what_came_first_is_how_an_object_went(ledger: SqlLedger, hours: int, cause: str) -> None:
    """Of a rule and a person the earlier one took it, also where it is told later."""
    tell(ledger, RAW, version="m7", at=EXPIRED_AT + timedelta(hours=2))
    tell(ledger, RAW, reason=BY_HAND, version="v1", kind=VERSION, at=EXPIRED_AT + timedelta(hours=hours))
    with ledger.look() as tx:
        end = fate_of(tx, RAW)
        assert end is not None
        assert end.cause == cause
        assert len(unsettled(tx)) == (cause == "request")


def test_what_expired_may_be_erased_for_good(ledger: SqlLedger) -> None:
    """Whoever removes the old version of what expired early takes nothing that was to be kept: no alarm stays open about its key."""
    tell(ledger, RAW, version="m7")
    tell(ledger, RAW, reason=BY_HAND, version="v1", kind=VERSION, at=EXPIRED_AT + timedelta(days=2))
    with ledger.look() as tx:
        end = fate_of(tx, RAW)
        assert end is not None
        assert end.cause == "lifecycle"
        assert unsettled(tx) == []


STEPS = st.builds(
    lambda key, kind, reason, version, hours: {
        "key": key,
        "kind": kind,
        "reason": reason,
        "version": version,
        "at": EXPIRED_AT + timedelta(hours=hours),
    },
    st.sampled_from([RAW, RAW_2, QUARANTINE, OUTBOUND, "index/00000001.parquet"]),
    st.sampled_from([MARKER, VERSION]),
    st.sampled_from([LIFECYCLE, BY_HAND]),
    st.sampled_from(["m1", "m2", "v1"]),
    st.integers(0, 50),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    steps=st.lists(STEPS, min_size=1, max_size=7, unique_by=lambda each: (each["key"], each["version"], each["kind"])),
    data=st.data(),
)
def test_any_order_and_repetition_leaves_the_same_ledger(
    shared: SqlLedger, steps: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Told in any order, any of them more than once: the same records, the same alarms, the same audit."""
    filled(shared)
    for each in steps:
        tell(shared, **each)
    once = state(shared)
    again = data.draw(st.permutations([*steps, *data.draw(st.lists(st.sampled_from(steps), max_size=4))]))
    filled(shared)
    for each in again:
        tell(shared, **each)
    assert state(shared) == once
    clear(shared.engine)


@pytest.mark.parametrize("name", ["raw/../heads/1", "raw/\u00e4", "/", ""])
def test_a_key_that_is_none_of_ours_is_set_aside(ledger: SqlLedger, name: str) -> None:
    """It changes nothing."""
    with pytest.raises(SetAside):
        tell(ledger, name)
    with ledger.look() as tx:
        assert tx.deletions.count() == 0


def test_a_store_with_a_prefix_has_the_same_keys(shared: SqlLedger) -> None:
    """S3 names the whole object; the ledger knows it without the prefix of its store."""
    filled(shared)
    record_deletion(shared, Stores(root="s3://stores/of/ours"), deletion_notice(f"of/ours/{RAW}", reason=BY_HAND))
    with shared.look() as tx:
        assert [each.key for each in unsettled(tx)] == [RAW]
    clear(shared.engine)


@pytest.mark.parametrize("bucket", ["somebody-elses", "ours-curated"])
def test_another_bucket_says_nothing_about_ours(ledger: SqlLedger, bucket: str) -> None:
    """An object of the same name elsewhere is not ours, also in another bucket of ours: nothing is kept of it."""
    stores = Stores(root="s3://ours-curated", by_store={"raw": "s3://ours-raw"})
    body = deletion_event(RAW, reason=BY_HAND)
    body["detail"]["bucket"]["name"] = bucket
    with pytest.raises(SetAside, match="another bucket"):
        record_deletion(ledger, stores, json.dumps(body))
    with ledger.look() as tx:
        assert tx.deletions.count() == 0
    body["detail"]["bucket"]["name"] = "ours-raw"
    record_deletion(ledger, stores, json.dumps(body))
    with ledger.look() as tx:
        assert [each.key for each in unsettled(tx)] == [RAW]
