"""How a ledger comes into being and grows: migrations on SQLite and on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from payments.errors import WrongConfiguration
from runtime.ledger import migrate
from runtime.ledger.schema import metadata
from tests.contract.ledger_world import KINDS, empty_database, opened

MIGRATE = """
import sys
from runtime.ledger.engine import open_engine
from runtime.ledger.migrate import upgrade
engine = open_engine(sys.argv[1])
upgrade(engine)
engine.dispose()
"""


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with empty_database(request.param, tmp_path, lambda: request.getfixturevalue("postgres_url")) as made:
        yield made


def test_an_empty_database_becomes_the_newest_ledger(url: str) -> None:
    """Upgrading makes every table, names the newest revision, and does nothing the second time."""
    with opened(url) as engine:
        migrate.upgrade(engine)
        migrate.upgrade(engine)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == migrate.NEWEST
        assert set(inspect(engine).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_the_newest_revision_is_the_one_named_in_the_code() -> None:
    """The code names the head of one unbranched history of migrations."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [migrate.NEWEST]


def test_migrations_and_records_describe_the_same_tables(url: str) -> None:
    """What the migrations make is what the records need: tables, columns, types, nulls and indices."""
    with opened(url) as engine:
        migrate.upgrade(engine)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
            found = inspect(connection)
            for name, table in metadata.tables.items():
                # Alembic compares neither keys nor collations.
                assert found.get_pk_constraint(name)["constrained_columns"] == [c.name for c in table.primary_key]
                made = {each["name"]: getattr(each["type"], "collation", None) for each in found.get_columns(name)}
                wanted = {c.name: _collation(c.type, connection.dialect) for c in table.columns}
                assert made == wanted


def _collation(kind: object, dialect: object) -> str | None:
    impl = kind.dialect_impl(dialect)  # type: ignore[attr-defined]
    return getattr(getattr(impl, "impl", impl), "collation", None)


def test_a_newer_ledger_is_refused(url: str) -> None:
    """A program that is older than the ledger touches nothing and says what to install."""
    with opened(url) as engine:
        migrate.upgrade(engine)
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(WrongConfiguration, match=f"revision 9999, this program knows {migrate.NEWEST}"):
            migrate.upgrade(engine)


def test_two_services_may_migrate_at_once(url: str, pytestconfig: pytest.Config) -> None:
    """Services that start together on an empty ledger all succeed, and the tables are made once."""
    arguments = [sys.executable, "-c", MIGRATE, url]
    children = [
        subprocess.Popen(arguments, cwd=pytestconfig.rootpath, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = [child.communicate(timeout=60)[1] for child in children]
    assert [(child.returncode, text) for child, text in zip(children, said, strict=True)] == [(0, "")] * 3
    with opened(url) as engine, engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed or failing half-way, a migration leaves nothing, and the next start does it all."""
    with opened(url) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE mismatches (id INTEGER)"))  # what 0002 will stumble over
        with pytest.raises(Exception, match=r"."):
            migrate.upgrade(engine)
        assert set(inspect(engine).get_table_names()) == {"mismatches"}
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE mismatches"))
        migrate.upgrade(engine)
