"""The port Source: one suite for every adapter and every type of watermark."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from payments.errors import WrongConfiguration
from tests.unit.extractors.legacies import KINDS, START, PostgresLegacy, SqliteLegacy, row, rows_of

Make = Callable[..., SqliteLegacy]
NOW = START + timedelta(hours=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """A function that makes an empty legacy system: make(watermark type, keyed=True)."""
    if request.param == "sqlite":
        return lambda kind, **options: SqliteLegacy(tmp_path, kind, **options)
    url = request.getfixturevalue("postgres_url")
    return lambda kind, **options: PostgresLegacy(url, kind, **options)


@pytest.fixture(params=KINDS)
def legacy(request: pytest.FixtureRequest, make: Make) -> SqliteLegacy:
    return make(request.param)


def chunks_of(source: Any, upper: Any, rows: int) -> list[tuple[Any, Any, int]]:
    """(after, upto, rows) of every chunk up to a bound."""
    found, after = [], None
    while (end := source.chunk_end(after, upper, rows)) is not None:
        found.append((after, *end))
        assert end[0] != after, "a chunk that does not get on"
        after = end[0]
    return found


@pytest.mark.parametrize("rows", [1, 2, 7, 40, 1000])
def test_chunks_of_any_size_hold_every_row_once(legacy: SqliteLegacy, rows: int) -> None:
    """However a table is cut, every row is read exactly once and in order, also where revisions share a watermark."""
    chance = random.Random(5)
    given = [row(f"P{pay:03d}", rev=rev, at=chance.randrange(12)) for pay in range(30) for rev in (1, 2, 3)]
    legacy.insert(chance.sample(given, len(given)))
    with legacy.open() as source:
        upper = source.upper_bound(NOW)
        assert upper is not None
        chunks = chunks_of(source, upper, rows)
        read = [each for after, upto, _ in chunks for each in rows_of(source, after, upto)]
        assert [len(rows_of(source, after, upto)) for after, upto, _ in chunks] == [count for _, _, count in chunks]
    order = [(str(each["CHG"]), each["PAY_NO"], int(each["REV_NO"])) for each in read]
    assert order == sorted(order)
    assert sorted((pay, rev) for _, pay, rev in order) == sorted((pay, rev) for pay, rev, *_ in given)
    assert max(count for _, _, count in chunks) <= rows


@pytest.mark.parametrize("rows", [1, 4, 100])
def test_a_table_without_primary_key_loses_no_twin(make: Make, rows: int) -> None:
    """Rows that share watermark and key cannot be told apart; they stay together in one chunk and none is lost."""
    legacy = make("epoch_ms", keyed=False)
    legacy.insert([row("A", at=1), row("A", at=1), row("A", at=1), row("B", at=1), row("B", at=2), row("B", at=2)])
    with legacy.open() as source:
        upper = source.upper_bound(NOW)
        assert upper is not None
        read = [each for after, upto, _ in chunks_of(source, upper, rows) for each in rows_of(source, after, upto)]
    assert [each["PAY_NO"] for each in read] == ["A", "A", "A", "B", "B", "B"]


def test_positions_survive_json(legacy: SqliteLegacy) -> None:
    """A position that went through the ledger as JSON names the same row again."""
    legacy.insert([row(f"P{at}", at=at) for at in range(9)])
    with legacy.open() as source:
        upper = source.upper_bound(NOW)
        end = source.chunk_end(None, json.loads(json.dumps(upper)), 4)
        assert end is not None
        again = json.loads(json.dumps(end[0]))
        assert again == end[0]
        assert [each["PAY_NO"] for each in rows_of(source, again, upper)] == ["P4", "P5", "P6", "P7", "P8"]


@pytest.mark.parametrize("kind", ["epoch_ms", "timestamp"])
def test_the_running_instant_waits_for_the_next_run(make: Make, kind: str) -> None:
    """A row stamped with this very instant is not read yet, because one with a smaller key may still follow it."""
    legacy = make(kind)
    legacy.insert([row("A", at=8), row("B", at=9), row("C", at=10), row("D", at=11)])
    with legacy.open() as source:
        upper = source.upper_bound(START + timedelta(seconds=10))
        assert [each["PAY_NO"] for each in rows_of(source, None, upper)] == ["A", "B"]
        later = source.upper_bound(START + timedelta(seconds=12))
        assert [each["PAY_NO"] for each in rows_of(source, upper, later)] == ["C", "D"]


def test_an_empty_table_has_no_upper_bound(legacy: SqliteLegacy) -> None:
    """Nothing at all is None, not a position."""
    with legacy.open() as source:
        assert source.upper_bound(NOW) is None


def test_an_empty_range_is_one_empty_batch(legacy: SqliteLegacy) -> None:
    """Rows that went away between plan and reading leave a batch that still shows the columns."""
    legacy.insert([row("A")])
    with legacy.open() as source:
        upper = source.upper_bound(NOW)
        assert upper is not None
        assert source.chunk_end(upper, upper, 10) is None
        batches = list(source.read(upper, upper))
    assert [batch.num_rows for batch in batches] == [0]
    assert batches[0].schema.names == ["PAY_NO", "REV_NO", "CHG", "AMT", "CCY", "DRCR", "NAME"]


def test_batches_stay_small(make: Make) -> None:
    """A batch holds at most 10,000 rows, and all batches together every row in order."""
    legacy = make("epoch_ms")
    legacy.insert(row(f"P{at:06d}", at=at // 100) for at in range(20_050))
    with legacy.open() as source:
        batches = list(source.read(None, source.upper_bound(NOW) or []))
    assert [batch.num_rows for batch in batches] == [10_000, 10_000, 50]
    names = [name for batch in batches for name in batch.column("PAY_NO").to_pylist()]
    assert all(a < b for a, b in pairwise(names))


def test_values_arrive_exactly(make: Make) -> None:
    """Text keeps every character, null stays apart from empty, and amounts keep every digit."""
    legacy = make("epoch_ms")
    texts = ["Zoë Ωmega Жанна 中村 \U0001f600", "", None, " a\tb\n'\"\\ ; DROP TABLE", "x" * 5000]
    legacy.insert(row(f"P{at}", at=at, name=name, amount="123456789012.34") for at, name in enumerate(texts))
    with legacy.open() as source:
        read = rows_of(source, None, source.upper_bound(NOW))
    assert [each["NAME"] for each in read] == texts
    assert {each["AMT"] for each in read} == {"123456789012.34"}


def test_hostile_keys_are_values_only(make: Make) -> None:
    """A key that looks like SQL is bound, never executed, and ends a chunk like any other."""
    legacy = make("epoch_ms")
    keys = ["'; DROP TABLE JOURNAL; --", '"', "$1", "?1", "\\", "%s", "Ω"]
    legacy.insert(row(key, at=at) for at, key in enumerate(keys))
    with legacy.open() as source:
        upper = source.upper_bound(NOW)
        assert [each[1][1] for each in chunks_of(source, upper, 1)] == keys


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"table": "NO_SUCH"}, "NO_SUCH"),
        ({"watermark": "chg"}, "chg"),
        ({"primary_key": ["PAY_NO", "LINE"]}, "LINE"),
        ({"columns": {"amount": "AMOUNT"}}, "AMOUNT"),
    ],
)
def test_missing_names_are_named(make: Make, changed: dict[str, Any], named: str) -> None:
    """A table or column that does not exist is named, together with those that do."""
    legacy = make("epoch_ms")
    with pytest.raises(WrongConfiguration, match=named) as caught, legacy.open(**changed):
        pass
    assert "JOURNAL" in f"{caught.value} {caught.value.next_step}"


def test_a_row_without_key_is_refused(make: Make) -> None:
    """A row whose primary key is null would be passed over without a word; the source is refused instead."""
    legacy = make("epoch_ms", keyed=False)
    legacy.insert([row("A", at=1), row(None, at=2), row("C", at=3)])
    with legacy.open() as source:
        upper = source.upper_bound(NOW)
        assert upper is not None
        with pytest.raises(WrongConfiguration, match="no value in its primary key"):
            source.chunk_end(None, upper, 10)


def test_a_watermark_of_another_shape_is_refused(legacy: SqliteLegacy) -> None:
    """A stored position that does not fit the table's key any more is never compared by accident."""
    legacy.insert([row("A")])
    with legacy.open() as source, pytest.raises(WrongConfiguration, match="watermark holds 2 values"):
        source.chunk_end([1, "A"], source.upper_bound(NOW) or [], 10)


def test_rows_without_a_place_in_the_order_are_counted(legacy: SqliteLegacy) -> None:
    """No watermark, or one that lies years ahead, is never read: such rows are counted, their neighbours are read."""
    legacy.insert([row("A"), row("B", at=86_400), row("C", at=9 * 365 * 86_400)])
    legacy.run(without_watermark(legacy))
    with legacy.open() as source:
        upper = source.upper_bound(NOW)
        assert source.strays(NOW) == (1 if legacy.kind == "integer" else 2)
        assert rows_of(source, None, upper)[0]["PAY_NO"] == "A"


def without_watermark(legacy: SqliteLegacy) -> str:
    """An INSERT of a row without a watermark."""
    table = f"{legacy.schema}." if isinstance(legacy, PostgresLegacy) else ""
    return f"""INSERT INTO {table}"JOURNAL" ("PAY_NO", "REV_NO") VALUES ('N', 1)"""
