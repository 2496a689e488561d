"""The users of a PostgreSQL ledger: what each may do is asked of a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from dashboard.exports import CHAIN, Export, make
from dashboard.filters import Filters
from payments.errors import NotAllowed
from payments.leasing import TTL
from payments.records import Run
from runtime.ledger.audit import audit_records, heads
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.ledger.users import make_users
from runtime.wiring import World
from tests.contract.ledger_world import StandingClock, empty_database, sample
from tests.unit.dashboard import page_world as pw

WRITER, READER, WITNESS = "tieout_test_writer", "tieout_test_reader", "tieout_test_witness"


@pytest.fixture
def owner(postgres_url: str, tmp_path: Path) -> Iterator[Engine]:
    with empty_database("postgresql", tmp_path, lambda: postgres_url) as url:
        yield from made(open_engine(url))


def made(engine: Engine) -> Iterator[Engine]:
    upgrade(engine)
    with engine.begin() as connection:
        if connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = 'rds_iam'")).first() is None:
            connection.execute(text("CREATE ROLE rds_iam NOLOGIN"))
    make_users(engine, writers=[WRITER], readers=[READER], witnesses=[WITNESS])
    yield engine
    with engine.begin() as connection:
        for name in (WRITER, READER, WITNESS):
            connection.execute(text(f"DROP OWNED BY {name}"))
            connection.execute(text(f"DROP ROLE {name}"))
    engine.dispose()


def as_user(owner: Engine, name: str) -> Engine:
    """The server of the tests trusts everybody on this machine."""
    return create_engine(make_url(owner.url).set(username=name))


def refused(owner: Engine, name: str, statement: str) -> bool:
    engine = as_user(owner, name)
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    except ProgrammingError as error:
        return "permission denied" in str(error) or "must be owner" in str(error)
    finally:
        engine.dispose()
    return False


def test_a_writer_can_do_everything_that_a_stage_does(owner: Engine) -> None:
    """Records are added, changed and audited, and leases taken, by a user that owns nothing."""
    ledger = SqlLedger(as_user(owner, WRITER), StandingClock())
    with ledger.begin() as tx:
        tx.runs.add(sample(Run))
        tx.runs.change(tx.runs.find()[0], note="changed")
        tx.audit.append("run:legacy:000001", "opened", {})
    assert ledger.leases.acquire("deliver:northbank", ttl=TTL) is not None
    ledger.engine.dispose()


def world_of(owner: Engine, user: str | None, folder: Path) -> World:
    url = make_url(owner.url).set(drivername="postgresql")
    url = url if user is None else url.set(username=user)
    _, _, acquirer = pw.CONFIGURATION.partition("[[acquirer]]")
    path = folder / f"{user}.toml"
    path.write_text(f'[ledger]\nurl = "{url.render_as_string(hide_password=False)}"\n[[acquirer]]{acquirer}')
    return World.open(str(path))


def test_a_reader_can_show_every_page(owner: Engine, tmp_path: Path) -> None:
    """The page on AWS is a reader: there is no page for which that is too little."""
    full, world = world_of(owner, None, tmp_path), world_of(owner, READER, tmp_path)
    pw.fill(full)
    app = pw.application(world)
    paths = ("/", "/mismatches", f"/mismatches/{pw.MISMATCH.id}", f"/files/{pw.FILE.file_id}", "/runs/legacy/1")
    statuses = {path: pw.get(app, path).status_code for path in (*paths, "/status.json", "/healthz")}
    assert set(statuses.values()) == {200}, statuses
    for each in (full, world):
        each.ledger.engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'somebody'",
        "DELETE FROM audit",
        "UPDATE receipts SET size = 0",
        "DELETE FROM runs",
        "TRUNCATE files",
        "DROP TABLE files",
        "ALTER TABLE files ADD COLUMN more integer",
        "UPDATE alembic_version SET version_num = '0001'",
        "CREATE ROLE another",
    ],
)
def test_a_writer_can_do_no_more(owner: Engine, statement: str) -> None:
    """History cannot be changed or removed, nor tables and users, whatever a function is made to say."""
    assert refused(owner, WRITER, statement)


@pytest.mark.parametrize("table", ["runs", "files", "audit", "mismatches"])
def test_a_reader_only_looks(owner: Engine, table: str) -> None:
    """The page's user reads every table and changes none."""
    assert not refused(owner, READER, f"SELECT * FROM {table}")
    assert refused(owner, READER, f"DELETE FROM {table}")
    assert refused(owner, READER, f"INSERT INTO {table} DEFAULT VALUES")


def test_a_witness_can_export_a_list(owner: Engine, tmp_path: Path) -> None:
    """Who writes exports reads the ledger and says in the audit log what was taken away."""
    full, world = world_of(owner, None, tmp_path), world_of(owner, WITNESS, tmp_path)
    pw.fill(full)
    with world.ledger.look() as tx:
        export = Export.of(tx, Filters(), "subject")
    make(world, export)
    assert pw.MISMATCH.id.encode() in world.store.get(export.key)
    with full.ledger.look() as tx:
        assert [each.actor for each in audit_records(tx.connection, CHAIN)] == ["subject"]
    for each in (full, world):
        each.ledger.engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'somebody'",
        "DELETE FROM audit",
        "UPDATE mismatches SET state = 'resolved'",
        "INSERT INTO receipts DEFAULT VALUES",
        "INSERT INTO leases DEFAULT VALUES",
        "UPDATE files SET held = ''",
        "DELETE FROM runs",
    ],
)
def test_a_witness_can_do_no_more(owner: Engine, statement: str) -> None:
    """It adds to the audit log; every other table it only reads."""
    assert refused(owner, WITNESS, statement)


def test_a_reader_can_anchor_the_audit_log(owner: Engine) -> None:
    """The ends of all chains are read without any right to write."""
    writer, reader = (SqlLedger(as_user(owner, name), StandingClock()) for name in (WRITER, READER))
    with writer.begin() as tx:
        digests = [tx.audit.append(chain, "told", {}) for chain in ("a-b", "aa", "aa", "b")]
    with reader.look() as tx:
        assert heads(tx.connection) == [("a-b", 1, digests[0]), ("aa", 2, digests[2]), ("b", 1, digests[3])]
    for each in (writer, reader):
        each.engine.dispose()


def test_users_are_made_once_and_lose_what_they_no_longer_need(owner: Engine) -> None:
    """A second deployment changes nothing, and a writer that became a reader writes no more; both log in by token."""
    make_users(owner, writers=[], readers=[WRITER, READER])
    assert refused(owner, WRITER, "UPDATE runs SET note = ''")
    with owner.begin() as connection:
        members = connection.execute(
            text("SELECT pg_has_role(:name, 'rds_iam', 'member')"), {"name": WRITER}
        ).scalar_one()
    assert members


def test_a_user_has_as_many_connections_as_it_is_given(owner: Engine) -> None:
    """The limit stands in the database, and one that is no longer given is lifted again."""

    def limit() -> int:
        with owner.begin() as connection:
            query = text("SELECT rolconnlimit FROM pg_roles WHERE rolname = :name")
            return int(connection.execute(query, {"name": READER}).scalar_one())

    make_users(owner, writers=[WRITER], readers=[READER], at_once={READER: 10})
    assert limit() == 10
    make_users(owner, writers=[WRITER], readers=[READER])
    assert limit() == -1


@pytest.mark.parametrize("name", ["x; DROP TABLE runs", "Übel", "", "a" * 64, "1st"])
def test_a_name_that_is_none_is_refused(owner: Engine, name: str) -> None:
    """What stands in a template never becomes SQL of its own."""
    with pytest.raises(NotAllowed, match="cannot be a database user"):
        make_users(owner, writers=[name], readers=[])


def test_sqlite_has_no_users() -> None:
    """A ledger on one machine is protected by its file's rights: there is nothing to make."""
    with pytest.raises(NotAllowed, match="PostgreSQL"):
        make_users(open_engine("sqlite:"), writers=[], readers=[])
