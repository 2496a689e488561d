"""What the ledger says when its database cannot do its work: in our words, naming the thing, without a value or a secret."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from payments.errors import Busy, Tampered, TieoutError, Unreachable, WrongConfiguration
from payments.records import Decision, Sequence_
from runtime.ledger import engine as engine_module
from runtime.ledger.clock import LedgerClock
from runtime.ledger.engine import open_engine, reading, writing
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.ledger.queue import LedgerQueue
from tests.contract.ledger_world import StandingClock, empty_database, opened, sample
from tests.servers.process import free_port, until

CANARY = "DE89370400440532013000"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with empty_database("sqlite", tmp_path, str) as made, opened(made) as engine:
        upgrade(engine)
        yield made


@pytest.mark.parametrize("folder", ["a b", "50%41", "what?", "#1", "ünï", "x@y:z"])
def test_a_ledger_lives_in_any_folder(tmp_path: Path, folder: str) -> None:
    """The file is made exactly where it was asked for, whatever characters the folder's name holds."""
    (tmp_path / folder).mkdir()
    with opened(f"sqlite:{tmp_path / folder / 'ledger.db'}") as engine:
        upgrade(engine)
    assert (tmp_path / folder / "ledger.db").stat().st_size > 0


def test_sqlite_is_opened_for_durability(url: str) -> None:
    """Every connection keeps a write-ahead log and syncs it fully: what is committed survives a power cut."""
    with opened(url) as engine, engine.connect() as connection:
        asked = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("journal_mode", "synchronous")
        }
    assert asked == {"journal_mode": "wal", "synchronous": 2}


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    """A ledger in a folder that does not exist is unreachable, and the message names the file."""
    said = pytest.raises(Unreachable, match=r"none/ledger\.db cannot be opened")
    with opened(f"sqlite:{tmp_path / 'none' / 'ledger.db'}") as engine, said as caught:
        upgrade(engine)
    assert "ledger.url" in caught.value.next_step


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    """Anything else under the ledger's name is named as damaged and is not touched."""
    path = tmp_path / "ledger.db"
    path.write_bytes(b"these are my notes, not a database; " * 50)
    before = path.read_bytes()
    with opened(f"sqlite:{path}") as engine, pytest.raises(Tampered, match=r"ledger\.db is damaged"):
        upgrade(engine)
    assert path.read_bytes() == before


def test_a_lock_held_too_long_is_busy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot write within the time-out is told to try again; who only looks is not kept waiting."""
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_S", 0.1)
    with opened(url) as mine, opened(url) as theirs, writing(theirs):
        with pytest.raises(Busy, match="locked"), SqlLedger(mine, StandingClock()).begin():
            pass
        with reading(mine) as connection:
            assert connection.execute(text("SELECT count(*) FROM runs")).scalar_one() == 0
        assert LedgerQueue(mine).depth("curate") == (0, 0)


def test_a_full_disk_is_said_and_nothing_is_half_done(url: str) -> None:
    """A transaction that finds the disk full leaves nothing, and the ledger works again when there is room."""
    with opened(url) as engine:
        ledger = SqlLedger(engine, StandingClock())
        with engine.connect() as connection:  # the pool gives this one connection again
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        many = [sample(Decision, id=f"{number:0100d}", detail={"text": "x" * 1000}) for number in range(200)]
        with pytest.raises(Unreachable, match=r"disk of the ledger's file .* is full"), ledger.begin() as tx:
            tx.decisions.add_many(many)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        with ledger.begin() as tx:
            assert tx.decisions.count() == 0
            tx.sequences.add(Sequence_("a", 1))


def test_an_error_never_shows_a_value(url: str) -> None:
    """Neither our message nor the database's error behind it shows what was to be stored."""
    with opened(url) as engine:
        ledger = SqlLedger(engine, StandingClock())
        record = sample(Decision, id="d1", detail={"account": CANARY})
        with ledger.begin() as tx:
            tx.decisions.add(record)
        with pytest.raises(Busy) as caught, ledger.begin() as tx:
            tx.decisions.add(record)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_connections_are_limited_and_waiting_ends(url: str) -> None:
    """When every connection is in use a further one is refused as busy after the time-out, not waited for for ever."""
    with opened(url) as engine:
        held = [engine.connect() for _ in range(15)]
        engine.pool._timeout = 0.05  # type: ignore[attr-defined]
        with pytest.raises(Busy, match="every connection"), reading(engine):
            pass
        for each in held:
            each.close()


def test_a_postgresql_that_does_not_answer_is_said() -> None:
    """The message names host, port and database, and never user or password."""
    port = free_port()
    said = pytest.raises(Unreachable, match=f"database books at 127.0.0.1:{port} does not answer")
    with opened(f"postgresql://ada:hunter2@127.0.0.1:{port}/books") as engine, said as caught:
        upgrade(engine)
    assert_quiet(caught.value, "hunter2", "ada")


@pytest.mark.parametrize("url", ["postgres://ada:hunter2@host/books", "mysql:hunter2", "", "ledger.db"])
def test_a_wrong_url_is_refused_without_repeating_it(url: str) -> None:
    """A URL of another kind is refused with what is allowed; what may be a password is not shown."""
    with pytest.raises(WrongConfiguration, match="allowed are sqlite:FILE and postgresql://") as caught:
        open_engine(url)
    assert_quiet(caught.value, "hunter2", "ada")


def assert_quiet(error: TieoutError, *secrets: str) -> None:
    for secret in secrets:
        assert secret not in f"{error} {error.next_step}"


def test_the_password_comes_by_reference(postgres_url: str) -> None:
    """A password given beside the URL is used for the connection and stands in no text of the engine."""
    engine = open_engine(postgres_url, password="hunter2")
    try:
        assert engine.url.password == "hunter2"
        assert "hunter2" not in repr(engine)
        with reading(engine) as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
    finally:
        engine.dispose()


def test_a_lost_postgresql_connection_is_unreachable_and_comes_back(postgres_url: str) -> None:
    """A connection cut in the middle of a transaction is told as unreachable, and the next transaction has a new one."""
    with opened(postgres_url) as engine, opened(postgres_url) as other:
        with pytest.raises(Unreachable), writing(engine) as connection:  # noqa: PT012  (one transaction)
            pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with other.connect() as executioner:
                executioner.execute(text(f"SELECT pg_terminate_backend({pid}, 5000)"))
            connection.execute(text("SELECT 1"))
        with reading(engine) as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_an_idle_connection_is_given_up_and_made_again(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL ends what nobody uses, so that another process has its place; the next transaction has a new one."""
    monkeypatch.setattr(engine_module, "IDLE_S_MAX", 1)
    with opened(postgres_url) as engine, opened(postgres_url) as other:
        with reading(engine) as connection:
            pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()

        def is_gone() -> bool:
            with reading(other) as connection:
                return not connection.execute(text(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}")).all()

        until(is_gone, "the idle connection to be ended", 30)
        with reading(engine) as connection:
            assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != pid


def test_a_user_whose_connections_are_all_taken_is_told_so(postgres_url: str) -> None:
    """It is tried again, and nobody looks for a database that is down or for a wrong password."""
    with opened(postgres_url) as owner, writing(owner) as connection:
        connection.execute(text("CREATE ROLE tieout_one LOGIN CONNECTION LIMIT 1"))
    try:
        url = make_url(postgres_url).set(username="tieout_one").render_as_string(hide_password=False)
        said = pytest.raises(Unreachable, match="takes no further connection of this user")
        with opened(url) as first, opened(url) as second, reading(first), said, reading(second):
            pass
    finally:
        with opened(postgres_url) as owner, writing(owner) as connection:
            connection.execute(text("DROP ROLE tieout_one"))


def test_a_deadlock_on_postgresql_is_busy(postgres_url: str, tmp_path: Path) -> None:
    """Of two transactions that wait for each other one is told to try again, and the other goes through."""
    with empty_database("postgresql", tmp_path, lambda: postgres_url) as url, opened(url) as engine:
        upgrade(engine)
        ledger = SqlLedger(engine, StandingClock())
        a, b = Sequence_("a", 0), Sequence_("b", 0)
        with ledger.begin() as tx:
            tx.sequences.add(a)
            tx.sequences.add(b)
        gate, outcomes = threading.Barrier(2), []

        def cross(first: Sequence_, second: Sequence_) -> None:
            try:
                with ledger.begin() as tx:
                    tx.sequences.change(first, next_value=1)
                    gate.wait(30)
                    tx.sequences.change(second, next_value=1)
                outcomes.append("done")
            except Busy:
                outcomes.append("busy")

        threads = [threading.Thread(target=cross, args=pair) for pair in ((a, b), (b, a))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(outcomes) == ["busy", "done"]


def test_the_virtual_clock_starts_once_and_never_goes_back(url: str) -> None:
    """The clock is set by its first start only, moves forward only, and counts a tick with every move."""
    clock_time = StandingClock().at
    earlier = clock_time.replace(hour=1)
    with opened(url) as engine:
        clock = LedgerClock(engine)
        clock.start(clock_time)
        clock.start(earlier)
        assert clock.read() == (clock_time, 0)
        assert clock.move(earlier) == 1
        assert clock.read() == (clock_time, 1)
        clock.move(later := clock_time.replace(hour=23))
    with opened(url) as engine:
        assert LedgerClock(engine).read() == (later, 2)


def test_a_new_ledger_file_is_not_for_everybody(tmp_path: Path) -> None:
    """Neither the file nor what SQLite keeps beside it may be read by other users of the machine."""
    with opened(f"sqlite:{tmp_path / 'ledger.db'}") as engine:
        upgrade(engine)
        found = sorted(tmp_path.glob("ledger.db*"))
        assert len(found) == 3
        assert [path.stat().st_mode & 0o007 for path in found] == [0, 0, 0]
