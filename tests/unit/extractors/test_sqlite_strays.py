"""Rows of an SQLite source that no extraction may ever find are counted: no money vanishes without a word."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from payments.errors import WrongConfiguration
from tests.unit.extractors.legacies import SqliteLegacy, rows_of

NOW = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
READ_UP_TO = "2026-11-21T17:00:00"


def with_times(folder: Path, *times: Any, kind: str = "timestamp") -> SqliteLegacy:
    """A journal with one row for each watermark."""
    legacy = SqliteLegacy(folder, kind)
    for at, time in enumerate(times):
        legacy.run("INSERT INTO JOURNAL (PAY_NO, REV_NO, CHG) VALUES (?, 1, ?)", [f"P{at}", time])
    return legacy


def strays(legacy: SqliteLegacy, **changed: Any) -> int:
    with legacy.open(**changed) as source:
        return source.strays(NOW)


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-21 17:30:00",  # a blank sorts below T
        "2026-11-20t17:30:00",
        "2026-11-21T17:30",
        "2026-11-21",
        "2026-11-21T17:30:00Z",
        "2026-11-21T17:30:00+01:00",
        "2026-11-21T17:30:00 ",
        "",
        "21.11.2026 17:00",
        "11/21/2026",
        "2026/11/21 12:00",
        "20261121T173000",
        "0000-00-00T00:00:00",
        "garbage",
        "2099-01-01T00:00:00",
        "9999-12-31",
        1_795_000_000_000,
        None,
    ],
)
def test_a_row_that_no_extraction_finds_is_counted(tmp_path: Path, time: Any) -> None:
    """Whatever stands in the watermark, a row that sorts wrongly or lies years ahead is a stray, and its neighbours are not."""
    legacy = with_times(tmp_path, "2026-11-20T09:00:00", "2026-11-21T17:45:00", "2026-11-22T09:00:00", time)
    assert strays(legacy) == 1


def test_a_row_below_the_mark_was_hidden_and_is_told(tmp_path: Path) -> None:
    """The trap itself: stamped half an hour later with a blank, a row lies behind the position and is not read any more."""
    legacy = with_times(tmp_path, READ_UP_TO)
    with legacy.open() as source:
        mark = source.upper_bound(NOW)
    legacy.run("INSERT INTO JOURNAL (PAY_NO, REV_NO, CHG) VALUES ('NEW', 1, '2026-11-21 17:30:00')")
    with legacy.open() as source:
        assert source.upper_bound(NOW) == mark
        assert rows_of(source, mark, mark) == []
        assert source.strays(NOW) == 1


@pytest.mark.parametrize(
    "times",
    [
        ["2026-11-21T17:00:00", "2026-11-21T17:00:00.5", "2026-11-21T17:00:00,123456"],
        ["2026-11-21 17:00:00Z", "2026-11-21 17:00:00+00:00", "2026-11-21 17:00:00.25+00", "2026-11-21 17:00:01+0000"],
        ["2026-11-21T17:00", "2026-11-22T08:00"],
        ["2026-11-20", "2026-11-21"],
    ],
)
def test_times_of_one_form_are_no_strays(tmp_path: Path, times: list[str]) -> None:
    """Fractions and the spellings of UTC change nothing in the order of seconds; a row of tomorrow is read tomorrow."""
    assert strays(with_times(tmp_path, *times)) == 0


def test_where_the_newest_row_is_the_odd_one_the_others_are_told(tmp_path: Path) -> None:
    """Two forms in one column are noticed whichever of them is the newest."""
    assert strays(with_times(tmp_path, "2026-11-19T09:00:00", "2026-11-20T09:00:00", "2026-11-21 09:00:00")) == 2


def test_numbers_years_ahead_are_counted(tmp_path: Path) -> None:
    """Microseconds among milliseconds lie thousands of years ahead: never read, and told."""
    now_ms = int(NOW.timestamp() * 1000)
    legacy = with_times(tmp_path, now_ms - 1, now_ms + 60_000, now_ms * 1000, "soon", None, kind="epoch_ms")
    assert strays(legacy) == 3


def test_the_count_has_a_limit(tmp_path: Path) -> None:
    """A column that is wrong from end to end costs no more than its first thousand rows."""
    legacy = with_times(tmp_path, 5, kind="integer")
    numbers = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
    legacy.run(f"INSERT INTO JOURNAL (PAY_NO, REV_NO) {numbers} SELECT 'N' || i, 1 FROM n")
    assert strays(legacy) == 1000


@pytest.mark.parametrize(
    ("kind", "watermark_type", "time"),
    [
        ("timestamp", "timestamp", "21.11.2026 17:00"),
        ("timestamp", "integer", "2026-11-21T17:00:00"),
        ("epoch_ms", "timestamp", 1_795_000_000_000),
        ("epoch_ms", "epoch_ms", 1_795_000_000_000_000),  # microseconds
        ("epoch_ms", "epoch_ms", None),
    ],
)
def test_a_source_of_strays_only_is_refused(tmp_path: Path, kind: str, watermark_type: str, time: Any) -> None:
    """Where no row can be read the configuration is wrong: an error names column and type, instead of `nothing new`."""
    legacy = with_times(tmp_path, time, time, kind=kind)
    with legacy.open(watermark_type=watermark_type) as source, pytest.raises(WrongConfiguration) as caught:
        source.upper_bound(NOW)
    assert "watermark column 'CHG'" in str(caught.value)
    assert watermark_type in f"{caught.value} {caught.value.next_step}"


def test_an_empty_table_and_one_of_tomorrow_have_nothing_new(tmp_path: Path) -> None:
    """No row at all, or only rows whose time comes, is no mistake."""
    legacy = with_times(tmp_path)
    with legacy.open() as source:
        assert source.upper_bound(NOW) is None
    legacy.run("INSERT INTO JOURNAL (PAY_NO, REV_NO, CHG) VALUES ('P', 1, '2026-11-22T09:00:00')")
    with legacy.open() as source:
        assert (source.upper_bound(NOW), source.strays(NOW)) == (None, 0)
