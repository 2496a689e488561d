"""The promises of the ledger's records, kept on SQLite and on PostgreSQL."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import typing
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from types import NoneType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from payments import records
from payments.books import WORD, Total
from payments.companions import Companion
from payments.contacts import Contact
from payments.deletions import Deletion
from payments.delivery_stops import DeliveryStop
from payments.errors import Busy, SetAside
from payments.records import Assembly, Mismatch, OutboundFile, Run, Sequence_, Watermark
from payments.redeliveries import Redelivery
from payments.states import FileState
from runtime.ledger.ledger import SqlLedger, SqlTransaction
from runtime.ledger.migrate import upgrade
from runtime.ledger.records import SqlRecords
from runtime.ledger.schema import KEYS, TABLES
from tests.contract.ledger_world import KINDS, NOON, StandingClock, clear, empty_database, opened, sample

WRITERS, CHANGES = 4, 8


@pytest.fixture(scope="module", params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("ledger")
    with empty_database(request.param, folder, lambda: request.getfixturevalue("postgres_url")) as made:
        with opened(made) as engine:
            upgrade(engine)
        yield made


@pytest.fixture(scope="module")
def shared_engine(url: str) -> Iterator[Engine]:
    with opened(url) as engine:
        yield engine


@pytest.fixture
def ledger(shared_engine: Engine) -> Iterator[SqlLedger]:
    yield SqlLedger(shared_engine, StandingClock())
    clear(shared_engine)


class Undone(Exception):
    """Raised to leave a transaction."""


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
INT64 = st.integers(-(2**63), 2**63 - 1)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.one_of(st.just(UTC), ZONES))  # noqa: DTZ001
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TOTALS = st.builds(
    Total,
    count=st.integers(0, 2**63 - 1),
    amount_minor=st.dictionaries(st.sampled_from(["EUR/CRDT", "USD/DBIT", "JPY/CRDT"]), st.integers(-(2**80), 2**80)),
    unreadable=st.integers(0, 2**40),
    digest=st.tuples(*[st.integers(0, WORD - 1)] * 4),
)
STRATEGIES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: INT64,
    bool: st.booleans(),
    date: st.dates(),
    datetime: TIMES,
    Total: TOTALS,
    dict: st.dictionaries(TEXT, JSON, max_size=3),
    list: st.lists(JSON, max_size=4),
}


def of_type(record: type) -> st.SearchStrategy[Any]:
    """Any record of this type."""

    def of_hint(hint: Any) -> st.SearchStrategy[Any]:
        parts = [part for part in typing.get_args(hint) if part is not NoneType]
        if NoneType in typing.get_args(hint):
            return st.none() | of_hint(parts[0])
        return STRATEGIES[typing.get_origin(hint) or hint]

    hints = typing.get_type_hints(record)
    return st.builds(record, **{each.name: of_hint(hints[each.name]) for each in fields(record)})


def records_of(tx: SqlTransaction, record: type) -> SqlRecords[Any]:
    return SqlRecords(tx.connection, record)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(record=st.sampled_from(list(KEYS)).flatmap(of_type))
def test_every_record_comes_back_exactly(shared_engine: Engine, record: Any) -> None:
    """What is put into the ledger comes out equal: huge sums, any text, microseconds, null, and times in UTC."""
    key = [getattr(record, name) for name in KEYS[type(record)][1]]
    with contextlib.suppress(Undone), SqlLedger(shared_engine, StandingClock()).begin() as tx:
        records_of(tx, type(record)).add(record)
        found = records_of(tx, type(record)).get(*key)
        assert found == record
        for name in (each.name for each in fields(found)):
            value = getattr(found, name)
            assert not isinstance(value, datetime) or value.tzinfo is UTC
            assert type(value) is type(getattr(record, name))
        raise Undone


def test_every_record_of_the_domain_has_a_table_and_a_place_in_the_transaction(ledger: SqlLedger) -> None:
    """No record type is forgotten: each has a table, a key, and a name in the transaction."""
    with ledger.begin() as tx:
        offered = {each._record for each in vars(tx).values() if isinstance(each, SqlRecords)}
    domain = {each for each in vars(records).values() if isinstance(each, type) and each.__module__ == records.__name__}
    assert offered == set(TABLES) == {*domain, Companion, Contact, Deletion, DeliveryStop, Redelivery}


@pytest.mark.parametrize("record", list(KEYS), ids=lambda each: each.__name__)
def test_a_record_is_added_once(ledger: SqlLedger, record: type) -> None:
    """Adding a second record under a key is refused as busy, and the first stays."""
    with ledger.begin() as tx:
        records_of(tx, record).add(sample(record))
    with pytest.raises(Busy), ledger.begin() as tx:
        records_of(tx, record).add(sample(record))
    with ledger.begin() as tx:
        assert records_of(tx, record).find() == [sample(record)]


def test_get_of_nothing_is_none(ledger: SqlLedger) -> None:
    """A key that no record has gives None."""
    with ledger.begin() as tx:
        assert tx.runs.get("legacy", 1) is None


def test_change_compares_and_sets(ledger: SqlLedger) -> None:
    """A change raises the revision; one that starts from an old record is busy and changes nothing."""
    with ledger.begin() as tx:
        tx.files.add(old := sample(OutboundFile, file_id="f1"))
        new = tx.files.change(old, state=FileState.SEALED, total=Total(3, {"EUR/CRDT": 2**70}))
    assert (new.revision, new.state) == (1, "sealed")
    with pytest.raises(Busy, match="files f1"), ledger.begin() as tx:
        tx.files.change(old, state="lost")
    with ledger.begin() as tx:
        assert tx.files.get("f1") == new == replace(old, state="sealed", total=new.total, revision=1)


def test_change_of_a_record_that_is_not_there_is_busy(ledger: SqlLedger) -> None:
    """A change needs its record."""
    with pytest.raises(Busy), ledger.begin() as tx:
        tx.sequences.change(Sequence_("northbank", 1), next_value=2)


def test_find_filters_orders_pages_and_counts(ledger: SqlLedger) -> None:
    """Find takes equality, any-of and null, orders either way, limits, and goes on behind a value; count agrees."""
    with ledger.begin() as tx:
        for number in range(6):
            state = "open" if number % 2 else "closed"
            assembly = number if number > 3 else None
            tx.runs.add(sample(Run, source="legacy", ordinal=number, state=state, assembly=assembly))

    def ordinals(**asked: Any) -> list[int]:
        with ledger.look() as tx:
            found = tx.runs.find(**asked)
            if "limit" not in asked:
                assert tx.runs.count(**asked) == len(found)
            return [run.ordinal for run in found]

    assert ordinals() == [0, 1, 2, 3, 4, 5]
    assert ordinals(state="open") == [1, 3, 5]
    assert ordinals(assembly=None) == [0, 1, 2, 3]
    assert ordinals(assembly=(4, 5, 9)) == ordinals(assembly={4, 5}) == [4, 5]
    assert ordinals(state=("open", "closed"), assembly=4) == [4]
    assert ordinals(state=()) == ordinals(state="unheard of") == []
    assert ordinals(order="-ordinal", limit=2) == [5, 4]
    assert ordinals(order="-ordinal", after=4, limit=2) == [3, 2]
    assert ordinals(order="ordinal", after=3) == [4, 5]
    assert ordinals(limit=0) == [0, 1, 2, 3, 4, 5]


def test_text_is_ordered_by_code_points(ledger: SqlLedger) -> None:
    """Text has one order on every database, whatever its locale: plans must not depend on where they are made."""
    names = ["B", "a", "a-b", "aB", "aa", "b", "ä", "\U0001f600"]
    with ledger.begin() as tx:
        for name in reversed(names):
            tx.watermarks.add(Watermark(name, None, 0))
    with ledger.look() as tx:
        assert [each.source for each in tx.watermarks.find()] == names
        assert [each.source for each in tx.watermarks.find(order="-source", after="aB", limit=2)] == ["a-b", "a"]


def test_counts_by_groups(ledger: SqlLedger) -> None:
    """Counts by a column give its values with their numbers."""
    with ledger.begin() as tx:
        tx.replace_mismatches(
            [sample(Mismatch, id=str(n), kind="returned" if n else "data_differs") for n in range(3)], []
        )
        assert tx.mismatches.counts_by("kind", state="state") == {"returned": 2, "data_differs": 1}


def test_replace_mismatches_adds_and_changes_in_bulk(ledger: SqlLedger) -> None:
    """Many mismatches are added and others changed at once, each only by its own id."""
    old = [sample(Mismatch, id=f"m{n}", expected_minor=n, detail={"n": n}) for n in range(5)]
    with ledger.begin() as tx:
        tx.replace_mismatches(old, [])
        changed = [replace(each, kind="returned", closed_at=NOON, detail={"ü": None}, revision=7) for each in old[1:3]]
        tx.replace_mismatches([sample(Mismatch, id="m9")], changed)
    with ledger.look() as tx:
        assert tx.mismatches.find() == [old[0], *changed, *old[3:], sample(Mismatch, id="m9")]


def test_a_transaction_that_fails_leaves_nothing(ledger: SqlLedger) -> None:
    """An exception of any kind undoes all of a transaction: records, changes and audit."""
    with ledger.begin() as tx:
        tx.sequences.add(kept := Sequence_("a", 1))
    with contextlib.suppress(Undone), ledger.begin() as tx:
        tx.sequences.add(Sequence_("b", 1))
        tx.sequences.change(kept, next_value=2)
        tx.audit.append("run:a:000001", "opened", {})
        raise Undone
    with ledger.look() as tx:
        assert tx.sequences.find() == [kept]
        assert tx.connection.exec_driver_sql("SELECT count(*) FROM audit").scalar_one() == 0


def test_a_look_is_consistent_takes_no_lock_and_changes_nothing(ledger: SqlLedger, url: str) -> None:
    """While somebody looks, others write; the look goes on seeing what it saw, and cannot write itself."""
    with ledger.begin() as tx:
        tx.sequences.add(before := Sequence_("a", 1))
    with ledger.look() as seen, opened(url) as engine:
        assert seen.sequences.find() == [before]
        with SqlLedger(engine, StandingClock()).begin() as tx:
            tx.sequences.change(before, next_value=2)
            tx.assemblies.add(sample(Assembly))
        assert seen.sequences.find() == [before]
        assert seen.assemblies.count() == 0
    with pytest.raises(Exception, match=r"."), ledger.look() as seen:
        seen.sequences.add(Sequence_("b", 1))
    with ledger.begin() as tx:  # the connection of the look writes again
        assert [each.next_value for each in tx.sequences.find()] == [2]
        tx.sequences.add(Sequence_("c", 1))


@pytest.mark.parametrize("value", ["\ud800", 2**63])
def test_a_value_that_cannot_be_kept_is_set_aside(ledger: SqlLedger, value: Any) -> None:
    """Text that is not Unicode and numbers beyond int64 are refused in our words and leave nothing."""
    record = Sequence_(value, 1) if isinstance(value, str) else Sequence_("a", value)
    with pytest.raises(SetAside), ledger.begin() as tx:
        tx.sequences.add(record)
    with ledger.look() as tx:
        assert tx.sequences.count() == 0


def test_a_time_without_zone_is_refused(ledger: SqlLedger) -> None:
    """A naive time never reaches the ledger."""
    with pytest.raises(Exception, match="without zone"), ledger.begin() as tx:
        tx.firings.add(records.Firing("extract:a", datetime(2026, 3, 2)))  # noqa: DTZ001


def count_up(ledger: SqlLedger, times: int) -> None:
    """Raise a sequence `times` times, each time anew when somebody was quicker."""
    done = 0
    while done < times:
        try:
            with ledger.begin() as tx:
                now = tx.sequences.get("northbank")
                assert now is not None
                tx.sequences.change(now, next_value=now.next_value + 1)
        except Busy:
            continue
        done += 1


def test_concurrent_threads_lose_no_update(ledger: SqlLedger) -> None:
    """Many threads that change one record at once lose none of their changes."""
    with ledger.begin() as tx:
        tx.sequences.add(Sequence_("northbank", 0))
    threads = [threading.Thread(target=count_up, args=(ledger, CHANGES)) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with ledger.look() as tx:
        assert tx.sequences.get("northbank") == Sequence_("northbank", WRITERS * CHANGES, revision=WRITERS * CHANGES)


CHILD = """
import sys
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from tests.contract.ledger_world import StandingClock
from tests.contract.test_ledger import count_up
count_up(SqlLedger(open_engine(sys.argv[1]), StandingClock()), int(sys.argv[2]))
"""


def test_concurrent_processes_lose_no_update(ledger: SqlLedger, url: str, pytestconfig: pytest.Config) -> None:
    """Processes that change one record at once lose none of their changes."""
    with ledger.begin() as tx:
        tx.sequences.add(Sequence_("northbank", 0))
    arguments = [sys.executable, "-c", CHILD, url, str(CHANGES)]
    children = [subprocess.Popen(arguments, cwd=pytestconfig.rootpath) for _ in range(2)]
    count_up(ledger, CHANGES)
    assert [child.wait(60) for child in children] == [0, 0]
    with ledger.look() as tx:
        assert tx.sequences.get("northbank") == Sequence_("northbank", 3 * CHANGES, revision=3 * CHANGES)
