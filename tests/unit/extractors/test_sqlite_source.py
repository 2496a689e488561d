"""SQLite as a source: values of any type, watermarks as text, files that are missing, locked or no database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from extractors.open import open_source
from payments.errors import Unreachable, WrongConfiguration
from tests.unit.extractors.legacies import START, SqliteLegacy, row, rows_of, section

NOW = START + timedelta(hours=1)


@pytest.fixture
def legacy(tmp_path: Path) -> SqliteLegacy:
    return SqliteLegacy(tmp_path, "epoch_ms")


def stored(folder: Path, declared: str, values: list[Any]) -> list[str | None]:
    """What is read of values that were inserted into a column of a declared type."""
    with closing(sqlite3.connect(folder / "v.db")) as database, database:
        database.execute(f"CREATE TABLE T (ID INTEGER PRIMARY KEY, V {declared})")
        database.executemany("INSERT INTO T (V) VALUES (?)", [(value,) for value in values])
    source = section(
        url="sqlite:v.db",
        table="T",
        primary_key=["ID"],
        watermark="ID",
        watermark_type="integer",
        columns={"amount": "V"},
    )
    with open_source(source, password=None, base=folder) as session:
        return [each["V"] for each in rows_of(session, None, session.upper_bound(NOW))]


def test_decimal_amounts_lose_nothing_but_trailing_zeros(tmp_path: Path) -> None:
    """A DECIMAL column turns text into numbers; up to 15 digits the text that we read is the same amount."""
    given = ["12.50", "0.01", "100", "100.00", "-7.30", "9999999999999.99", "0.10", "72.5400"]
    assert stored(tmp_path, "DECIMAL(15,2)", given) == [
        "12.5",
        "0.01",
        "100",
        "100",
        "-7.3",
        "9999999999999.99",
        "0.1",
        "72.54",
    ]


def test_a_number_that_is_not_exact_is_no_amount(tmp_path: Path) -> None:
    """A REAL that 15 digits do not give again is marked, so that no rule takes a rounded amount for the true one."""
    read = stored(tmp_path, "DECIMAL", ["12345678901234.56", "90071992547409.93", 0.1 + 0.2, float("inf")])
    assert read == ["~12345678901234.561", "~90071992547409.938", "~0.30000000000000004", "~Inf"]


def test_text_and_integers_keep_every_digit(tmp_path: Path) -> None:
    """Text stays as it is in a TEXT column, and integers keep all digits of 64 bits."""
    assert stored(tmp_path, "TEXT", ["12.50", "1e3", "12,34", 5, "", None]) == ["12.50", "1e3", "12,34", "5", "", None]


def test_big_integers(tmp_path: Path) -> None:
    """The largest and smallest integers arrive digit by digit."""
    given = [2**63 - 1, -(2**63), 0]
    assert stored(tmp_path, "INTEGER", given) == [str(each) for each in given]


def test_bytes_are_marked_and_kept(tmp_path: Path) -> None:
    """A BLOB, and text that is not UTF-8, arrive as hexadecimal digits behind a mark that no name or amount may hold."""
    with closing(sqlite3.connect(tmp_path / "b.db")) as database, database:
        database.execute("CREATE TABLE T (ID INTEGER PRIMARY KEY, V TEXT)")
        database.execute(
            "INSERT INTO T (V) VALUES (x'00ff'), (CAST(x'4dfc6c' AS TEXT)), ('plain'), ('nul' || char(0) || 'x')"
        )
    source = section(
        url="sqlite:b.db",
        table="T",
        primary_key=["ID"],
        watermark="ID",
        watermark_type="integer",
        columns={"amount": "V"},
    )
    with open_source(source, password=None, base=tmp_path) as session:
        read = [each["V"] for each in rows_of(session, None, session.upper_bound(NOW))]
    assert read == ["\\x00FF", "\\x4DFC6C", "plain", "nul\0x"]


def test_a_key_of_bytes_ends_a_chunk(tmp_path: Path) -> None:
    """A BLOB primary key goes through a position as JSON and back."""
    with closing(sqlite3.connect(tmp_path / "k.db")) as database, database:
        database.execute("CREATE TABLE T (ID BLOB PRIMARY KEY, W INTEGER, V TEXT)")
        database.execute("INSERT INTO T VALUES (x'01', 1, 'a'), (x'ff', 1, 'b'), (x'0102', 1, 'c')")
    source = section(
        url="sqlite:k.db",
        table="T",
        primary_key=["ID"],
        watermark="W",
        watermark_type="integer",
        columns={"amount": "V"},
    )
    with open_source(source, password=None, base=tmp_path) as session:
        upper = session.upper_bound(NOW)
        end = session.chunk_end(None, upper or [], 2)
        assert end == ([1, {"hex": "0102"}], 2)
        assert [each["V"] for each in rows_of(session, end[0], upper)] == ["b"]


def test_local_times_are_read_by_the_sources_clock(tmp_path: Path) -> None:
    """Text without offset is local time of the source's zone; the running second waits."""
    legacy = SqliteLegacy(tmp_path, "timestamp")
    times = ["2026-03-02 07:29:59", "2026-03-02 07:30:00", "2026-03-02 07:30:00.5", "9999-12-31"]
    for at, text in enumerate(times):
        legacy.run("INSERT INTO JOURNAL (PAY_NO, REV_NO, CHG) VALUES (?, 1, ?)", [f"P{at}", text])
    with legacy.open(zone="Europe/Berlin") as source:
        assert source.upper_bound(datetime(2026, 3, 2, 6, 30, 0, 700_000, tzinfo=UTC)) == [
            "2026-03-02 07:29:59",
            "P0",
            1,
        ]
        assert source.upper_bound(datetime(2026, 3, 2, 6, 30, 1, tzinfo=UTC)) == ["2026-03-02 07:30:00.5", "P2", 1]


def test_a_watermark_without_order_is_refused(tmp_path: Path) -> None:
    """Text that does not sort by time cannot say what is new."""
    legacy = SqliteLegacy(tmp_path, "timestamp")
    legacy.run("INSERT INTO JOURNAL (PAY_NO, REV_NO, CHG) VALUES ('P', 1, '02.03.2026')")
    with legacy.open() as source, pytest.raises(WrongConfiguration, match="not an ISO 8601 time"):
        source.upper_bound(NOW)


def test_numbers_declared_as_text_are_refused(tmp_path: Path) -> None:
    """Numbers kept as text sort as text: '9' behind '10'."""
    legacy = SqliteLegacy(tmp_path, "timestamp")
    legacy.run("INSERT INTO JOURNAL (PAY_NO, REV_NO, CHG) VALUES ('P', 1, '1000')")
    with legacy.open(watermark_type="epoch_ms") as source, pytest.raises(WrongConfiguration, match="declared as text"):
        source.upper_bound(NOW)


def test_rows_without_watermark_are_counted(legacy: SqliteLegacy) -> None:
    """A row that can never be read is not passed over silently, and does not stop its neighbours."""
    legacy.insert([row("A")])
    legacy.run("INSERT INTO JOURNAL (PAY_NO, REV_NO, CHG) VALUES ('N', 1, NULL), ('T', 1, 'soon'), ('B', 1, x'01')")
    with legacy.open() as source:
        assert [each["PAY_NO"] for each in rows_of(source, None, source.upper_bound(NOW))] == ["A"]
        assert source.strays(NOW) == 3


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A database that is not there is a mistake of the configuration, and is not created."""
    with pytest.raises(WrongConfiguration, match=r"legacy\.db"), open_source(section(), password=None, base=tmp_path):
        pass
    assert not (tmp_path / "legacy.db").exists()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """Other bytes under the name are said to be other bytes."""
    (tmp_path / "legacy.db").write_bytes(b"PAY_NO;AMT\n" * 500)
    with (
        pytest.raises(WrongConfiguration, match="not an SQLite file"),
        open_source(section(), password=None, base=tmp_path),
    ):
        pass


@pytest.fixture
def locked(legacy: SqliteLegacy) -> Iterator[SqliteLegacy]:
    legacy.insert([row("A")])
    with closing(sqlite3.connect(legacy.path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        yield legacy


def test_a_locked_database_is_tried_again(locked: SqliteLegacy) -> None:
    """A writer that holds the file ends in Unreachable after the time-out, not in a wait without end."""
    with pytest.raises(Unreachable, match="locked for 1 s"), locked.open(timeout_s=1):
        pass


def test_a_query_that_runs_too_long_is_ended(legacy: SqliteLegacy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every statement has a time limit, and the message says which index would help."""
    legacy.insert([row("A")])
    ticks = iter(range(0, 10**9, 100))
    monkeypatch.setattr("extractors.sqlite_source.STEPS_PER_LOOK", 1)
    with legacy.open() as source:
        monkeypatch.setattr("extractors.sqlite_source.time.monotonic", lambda: next(ticks))
        with pytest.raises(Unreachable, match="within 10 s") as caught:
            source.upper_bound(NOW)
    assert "index on (CHG, primary key)" in caught.value.next_step


def test_the_file_is_opened_read_only(legacy: SqliteLegacy) -> None:
    """There is no way to write to the legacy system through a session."""
    legacy.insert([row("A")])
    with legacy.open() as source, pytest.raises(Unreachable, match="SQLite error 8"):  # SQLITE_READONLY
        source._ask("DELETE FROM JOURNAL", [])  # type: ignore[attr-defined]


def test_odd_file_names_are_file_names(tmp_path: Path) -> None:
    """Question marks, blanks and percent signs in a path are no part of SQLite's own syntax."""
    folder = tmp_path / "a b?mode=rw%20#x"
    folder.mkdir()
    legacy = SqliteLegacy(folder, "epoch_ms")
    legacy.insert([row("A")])
    with legacy.open() as source:
        assert source.upper_bound(NOW) is not None


def test_absolute_paths_in_both_spellings(legacy: SqliteLegacy, tmp_path: Path) -> None:
    """sqlite:/path and sqlite:///path name the same file wherever the configuration lies."""
    legacy.insert([row("A")])
    for prefix in ("sqlite:", "sqlite://"):
        source = legacy.section(url=f"{prefix}{legacy.path}")
        with open_source(source, password=None, base=tmp_path / "elsewhere") as session:
            assert session.upper_bound(NOW) is not None


def test_an_unknown_scheme_is_refused_without_the_rest_of_the_url(tmp_path: Path) -> None:
    """The message names the scheme and what is allowed; the rest of the URL may hold a secret."""
    source = section(url="mysql://u:s3cret@h/db")
    with (
        pytest.raises(WrongConfiguration, match="found 'mysql'") as caught,
        open_source(source, password=None, base=tmp_path),
    ):
        pass
    assert "s3cret" not in str(caught.value)
