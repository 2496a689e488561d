"""PostgreSQL as a source: values, rights, limits and errors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pyarrow as pa
import pytest

from extractors.open import open_source
from extractors.postgres_session import connection_uri
from payments.errors import Unreachable, WrongConfiguration
from tests.servers.process import free_port
from tests.unit.extractors.legacies import START, PostgresLegacy, row, rows_of, section

NOW = START + timedelta(hours=1)


@pytest.fixture
def legacy(postgres_url: str) -> PostgresLegacy:
    return PostgresLegacy(postgres_url, "timestamp")


def stored(legacy: PostgresLegacy, declared: str, values: list[Any], **changed: Any) -> list[Any]:
    """What is read of values (SQL literals) in a column of a declared type; the Arrow type is in front."""
    table = f"{legacy.schema}.v"
    legacy.run(f"CREATE TABLE {table} (id int PRIMARY KEY, v {declared})")
    for at, value in enumerate(values):
        legacy.run(f"INSERT INTO {table} VALUES ({at}, {value})")
    settings = {"table": table, "primary_key": ["id"], "watermark": "id", "watermark_type": "integer"}
    with legacy.open(**(settings | {"columns": {"amount": "v"}} | changed)) as source:
        batches = list(source.read(None, source.upper_bound(NOW) or []))
    table_read = pa.Table.from_batches(batches)
    return [str(table_read.schema.field("v").type), *table_read["v"].to_pylist()]


@pytest.mark.parametrize(
    ("declared", "values", "expected"),
    [
        ("numeric", ["12.50", "1e3", "'NaN'", "NULL"], ["string", "12.50", "1000", "NaN", None]),
        ("numeric(38,10)", ["1234567890123456789012345678.0123456789"], ["string", "1234567890123456789012345678.0123456789"]),
        ("bigint", ["9223372036854775807", "-9223372036854775808"], ["int64", 2**63 - 1, -(2**63)]),
        ("smallint", ["7"], ["int64", 7]),
        ("float8", ["12.5", "0.1::float8 + 0.2::float8"], ["string", "12.5", "0.30000000000000004"]),
        ("boolean", ["true", "NULL"], ["string", "true", None]),
        ("bytea", [r"'\x00ff'"], ["string", r"\x00ff"]),
        ("uuid", ["'6f9619ff-8b86-d011-b42d-00c04fc964ff'"], ["string", "6f9619ff-8b86-d011-b42d-00c04fc964ff"]),
        ("jsonb", ["'{\"b\": 1, \"a\": [2]}'"], ["string", '{"a": [2], "b": 1}']),
        ("date", ["'2026-03-02'", "NULL"], ["date32[day]", date(2026, 3, 2), None]),
        ("date", ["'2026-03-02'", "'infinity'"], ["string", "2026-03-02", "infinity"]),
        ("date", ["'0044-03-15 BC'"], ["string", "0044-03-15 BC"]),
        ("timestamptz", ["'2026-03-02 07:00:00.000001+01'"], ["timestamp[us, tz=UTC]", START + timedelta(microseconds=1)]),
        ("timestamptz", ["'-infinity'"], ["string", "-infinity"]),
    ],
)  # fmt: skip
def test_values_keep_their_exact_meaning(
    legacy: PostgresLegacy, declared: str, values: list[Any], expected: list[Any]
) -> None:
    """Each type arrives exactly; dates and times without a calendar day of four digits arrive as text."""
    assert stored(legacy, declared, values) == expected


def test_times_without_zone_are_local_to_the_source(legacy: PostgresLegacy) -> None:
    """A timestamp without time zone means the clock on the source's wall."""
    read = stored(legacy, "timestamp", ["'2026-03-02 07:00:00'", "'2026-07-02 07:00:00'"], zone="Europe/Berlin")
    assert read[1:] == [START, datetime(2026, 7, 2, 5, 0, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("declared", "stamps", "expected"),
    [
        ("timestamptz", ["06:59:59.699999Z", "06:59:59.7Z"], "2026-03-02T06:59:59.699999Z"),
        ("timestamptz(0)", ["06:59:58Z", "06:59:58.6Z"], "2026-03-02T06:59:58.000000Z"),
        ("timestamp(1)", ["07:59:59.6", "07:59:59.66"], "2026-03-02T07:59:59.600000"),
        ("date", ["00:00", "23:59"], None),
    ],
)
def test_the_bound_lies_on_the_grid_of_the_column(
    legacy: PostgresLegacy, declared: str, stamps: list[str], expected: str | None
) -> None:
    """A watermark that PostgreSQL rounds may still get rows of the running second (tenth, day): they wait."""
    table = f"{legacy.schema}.w"
    legacy.run(f"CREATE TABLE {table} (id serial PRIMARY KEY, w {declared}, v text)")
    for stamp in stamps:
        legacy.run(f"INSERT INTO {table} (w) VALUES ('2026-03-02T{stamp}')")
    settings = {"table": table, "primary_key": ["id"], "watermark": "w", "columns": {"amount": "v"}}
    with legacy.open(**settings, zone="Europe/Berlin") as source:
        upper = source.upper_bound(START + timedelta(minutes=59, seconds=59, milliseconds=700))
        tomorrow = source.upper_bound(START + timedelta(days=1))
    assert (None if upper is None else upper[0]) == expected
    assert tomorrow is not None
    assert tomorrow[1] == 2


def test_a_watermark_of_another_type_is_named(legacy: PostgresLegacy) -> None:
    """A column that watermark_type cannot mean is named with its type."""
    wrong = pytest.raises(WrongConfiguration, match="timestamp with time zone, but watermark_type 'epoch_ms'")
    with wrong, legacy.open(watermark_type="epoch_ms"):
        pass


@pytest.fixture
def poor_user(legacy: PostgresLegacy) -> Iterator[str]:
    """The URL of a role that may use the schema, and nothing more."""
    name = f'poor "{legacy.schema[-6:]}"'
    quoted = name.replace('"', '""')
    legacy.run(f'CREATE ROLE "{quoted}" LOGIN')
    legacy.run(f'GRANT USAGE ON SCHEMA {legacy.schema} TO "{quoted}"')
    parts = urlsplit(legacy.url)
    yield f"postgresql://{name.replace(' ', '%20').replace(chr(34), '%22')}@{parts.hostname}:{parts.port}{parts.path}"
    legacy.run(f'DROP OWNED BY "{quoted}"')
    legacy.run(f'DROP ROLE "{quoted}"')


def test_without_sight_of_other_transactions_it_refuses(legacy: PostgresLegacy, poor_user: str) -> None:
    """Without pg_read_all_stats late commits would be lost, so nothing is read, and the GRANT to run is named."""
    with pytest.raises(WrongConfiguration, match="committed late") as caught, legacy.open(url=poor_user):
        pass
    assert f'GRANT pg_read_all_stats TO "poor ""{legacy.schema[-6:]}""";' in caught.value.next_step


def test_a_right_that_is_missing_is_named(legacy: PostgresLegacy, poor_user: str) -> None:
    """A table that may not be read is not a table that does not exist; columns that may not be read do not exist."""
    role = f'"poor ""{legacy.schema[-6:]}"""'
    legacy.run(f"GRANT pg_read_all_stats TO {role}")
    with pytest.raises(WrongConfiguration, match="may not read table") as caught, legacy.open(url=poor_user):
        pass
    assert "GRANT SELECT" in caught.value.next_step
    legacy.run(f'GRANT SELECT ("PAY_NO", "REV_NO", "CHG", "AMT") ON {legacy.schema}."JOURNAL" TO {role}')
    with pytest.raises(WrongConfiguration, match="no column 'CCY', 'DRCR', 'NAME'"), legacy.open(url=poor_user):
        pass
    legacy.insert([row("A")])
    with legacy.open(url=poor_user, columns={"amount": "AMT"}) as source:
        read = rows_of(source, None, source.upper_bound(NOW))
    assert [sorted(each) for each in read] == [["AMT", "CHG", "PAY_NO", "REV_NO"]]


def test_a_locked_table_is_tried_again(legacy: PostgresLegacy) -> None:
    """A table locked by a migration ends in Unreachable after the time limit, not in a wait without end."""
    legacy.insert([row("A")])
    with legacy.open(timeout_s=1) as source, psycopg.connect(legacy.url) as other:
        other.execute(f'LOCK TABLE {legacy.schema}."JOURNAL" IN ACCESS EXCLUSIVE MODE')
        with pytest.raises(Unreachable, match="did not answer within 1 s"):
            source.chunk_end(None, ["2026-03-02T07:00:00Z", "A", 1], 10)


def test_a_connection_that_is_cut_is_tried_again(legacy: PostgresLegacy) -> None:
    """A server that ends the session in the middle of reading ends in Unreachable."""
    legacy.insert(row(f"P{at:05d}") for at in range(15_000))
    with legacy.open() as source:
        batches = iter(source.read(None, source.upper_bound(NOW) or []))
        next(batches)
        legacy.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tieout'")
        with pytest.raises(Unreachable):
            list(batches)


def test_nobody_at_the_address_is_tried_again(tmp_path: Path) -> None:
    """A server that is not there is named by host and port and tried again."""
    port = free_port()
    source = section(url=f"postgresql://u@127.0.0.1:{port}/db")
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}"), open_source(source, password=None, base=tmp_path):
        pass


@pytest.mark.parametrize(
    "wrong", ["postgresql://nobody-here@{address}/postgres", "postgresql://tieout@{address}/nowhere"]
)
def test_a_wrong_user_or_database_waits_for_a_person(legacy: PostgresLegacy, wrong: str) -> None:
    """A login that cannot work next time either is a mistake of the configuration."""
    parts = urlsplit(legacy.url)
    url = wrong.format(address=f"{parts.hostname}:{parts.port}")
    with pytest.raises(WrongConfiguration, match="refuses user or database"), legacy.open(url=url):
        pass


def test_the_session_is_read_only(legacy: PostgresLegacy) -> None:
    """There is no way to write to the legacy system by mistake."""
    with legacy.open() as source, pytest.raises(Unreachable, match="25006"):  # read_only_sql_transaction
        source._session.run(f"CREATE TABLE {legacy.schema}.x (a int)")  # type: ignore[attr-defined]


def test_a_view_is_a_table(legacy: PostgresLegacy) -> None:
    """A view without a key of its own is read like a table."""
    legacy.insert([row("A", at=1), row("B", at=2)])
    legacy.run(f'CREATE VIEW {legacy.schema}.v AS SELECT * FROM {legacy.schema}."JOURNAL" WHERE "AMT" > 0')
    with legacy.open(table=f"{legacy.schema}.v", primary_key=["PAY_NO", "REV_NO"]) as source:
        assert [each["PAY_NO"] for each in rows_of(source, None, source.upper_bound(NOW))] == ["A", "B"]


def test_the_password_is_part_of_the_address_only_when_it_is_opened() -> None:
    """A password with every awkward character reaches the driver unchanged; one in the URL itself is refused."""
    secret = "p@ss:w/rd?#%&=ü "
    uri = urlsplit(connection_uri(section(url="postgresql://us%40er@db.example:5433/legacy"), secret.encode()))
    assert (uri.hostname, uri.port, uri.path, uri.username) == ("db.example", 5433, "/legacy", "us%40er")
    assert uri.password == "p%40ss%3Aw%2Frd%3F%23%25%26%3D%C3%BC%20"
    assert parse_qs(uri.query)["connect_timeout"] == ["10"]
    for url in ("postgresql://u:secret@h/db", "postgresql://u@h/db?password=secret"):
        with pytest.raises(WrongConfiguration, match="url holds a password") as caught:
            connection_uri(section(url=url), None)
        assert "secret" not in str(caught.value)


def test_a_host_name_that_nobody_knows_is_tried_again(tmp_path: Path) -> None:
    """A name server may be down; nobody refused user or password."""
    source = section(url="postgresql://reader@no-such-host.invalid/legacy")
    with (
        pytest.raises(Unreachable, match="host name is not known"),
        open_source(source, password=None, base=tmp_path),
    ):
        pass
