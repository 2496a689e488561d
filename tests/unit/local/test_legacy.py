"""The sample source: its rows, its shares and its truth agree with each other, and the seed decides everything."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.legacy import build
from local.legacy_accounts import BANKS, bank_of, ibans, with_wrong_check
from local.legacy_names import NOT_SEPA_NAMES
from local.legacy_plants import KINDS, TERM_OF_OUTCOME
from local.legacy_sample import amount_text, local_times
from payments.books import Total
from payments.currencies import MINOR_UNITS
from payments.errors import NotAllowed

START = datetime(2026, 3, 2, 5, tzinfo=UTC)
RUNS_AT = [START + timedelta(hours=hours) for hours in (0.5, 5, 9)]
PAYMENTS = 6_000
LENGTHS = {
    "DE": 22,
    "AT": 20,
    "BE": 16,
    "ES": 24,
    "FI": 18,
    "FR": 27,
    "GB": 22,
    "IE": 22,
    "IT": 27,
    "LU": 20,
    "NL": 18,
    "PT": 25,
}
"""Lengths of the IBAN registry, written down apart from the code under test."""
SEPA = re.compile(r"[A-Za-z0-9/\-?:().,'+ ]*")
DIRECTION = {"C": "CRDT", "CR": "CRDT", "D": "DBIT", "DR": "DBIT"}


def iban_holds(account: str) -> bool:
    digits = "".join(str(int(each, 36)) for each in account[4:] + account[:4])
    return len(account) == LENGTHS.get(account[:2]) and int(digits) % 97 == 1


@dataclass(frozen=True)
class Built:
    rows: list[sqlite3.Row]
    summary: dict[str, Any]
    lines: list[dict[str, Any]]

    def row(self, line: dict[str, Any]) -> sqlite3.Row:
        [found] = [each for each in self.rows if (each["PAY_NO"], each["REV_NO"]) == (line["pay_no"], line["rev_no"])]
        return found

    def of_kind(self, kind: str) -> Iterator[tuple[dict[str, Any], sqlite3.Row]]:
        return ((line, self.row(line)) for line in self.lines if line["kind"] == kind)


def built(directory: Path, *, payments: int = PAYMENTS, seed: int = 7, runs: int = 3) -> Built:
    path, truth = directory / "legacy.db", directory / "truth" / "source.jsonl"
    build(path, payments=payments, seed=seed, start=START, runs_at=RUNS_AT[:runs], truth=truth)
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        columns = "*, CAST(AMT AS TEXT) AS AMT_TEXT"
        rows = database.execute(f"SELECT {columns} FROM PAYMENT_JOURNAL ORDER BY CHG_TS, PAY_NO, REV_NO").fetchall()
    summary, *lines = map(json.loads, truth.read_text("utf-8").splitlines())
    return Built(rows, summary, lines)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(tmp_path_factory.mktemp("legacy"))


def test_truth_counts_the_database(sample: Built) -> None:
    """The first line of the truth states payments, rows and kinds as they are found in the database and in the lines."""
    summary = sample.summary
    assert (summary["kind"], summary["seed"]) == ("summary", 7)
    assert summary["payments"] == PAYMENTS == len({row["PAY_NO"] for row in sample.rows})
    assert summary["rows"] == len(sample.rows)
    assert summary["by_kind"] == Counter(line["kind"] for line in sample.lines)
    counted = Counter(line["expected_outcome"] for line in sample.lines)
    assert {outcome: total["count"] for outcome, total in summary["by_outcome"].items()} == counted
    assert len({(line["pay_no"], line["rev_no"]) for line in sample.lines}) == len(sample.lines)


def test_every_kind_has_its_share(sample: Built) -> None:
    """Every kind is planted, in its share, and each of its rows is in the database as the truth describes it."""
    for kind in KINDS:
        found = list(sample.of_kind(kind.name))
        assert len(found) == max(1, round(kind.share * PAYMENTS)), kind.name
        for line, row in found:
            assert line["end_to_end_id"] == row["ORDER_REF"]
            assert line["currency"] == row["CCY"].upper()
            assert line["direction"] == DIRECTION.get(row["DRCR"].upper())
            assert datetime.fromisoformat(line["chg_at"]).timestamp() * 1000 == row["CHG_TS"]
            assert line["expected_term"] == TERM_OF_OUTCOME[line["expected_outcome"]]
            assert bool(line["expected_codes"]) == ("quarantined" in line["expected_outcome"])


def test_truth_sums_the_database(sample: Built) -> None:
    """The sums per currency and direction in the truth equal sums that a second reader makes of the database."""
    total = Total()
    for row in sample.rows:
        decimals, text = MINOR_UNITS.get(row["CCY"].upper()), row["AMT_TEXT"]
        minor = Decimal(text) * 10 ** (decimals or 0) if re.fullmatch(r"\d+(\.\d+)?", text) else None
        direction = DIRECTION.get(row["DRCR"].upper())
        if decimals is None or minor is None or minor != int(minor) or direction is None:
            total += Total(count=1, unreadable=1)
        else:
            total += Total(count=1, amount_minor={f"{row['CCY'].upper()}/{direction}": int(minor)})
    assert sample.summary["extracted"] == total.to_json()
    assert total.unreadable > 0


def test_same_seed_same_rows(sample: Built, tmp_path: Path) -> None:
    """The same seed gives the same rows and truth, another seed others."""
    again, other = built(tmp_path / "again"), built(tmp_path / "other", seed=8)
    assert [tuple(row) for row in again.rows] == [tuple(row) for row in sample.rows]
    assert (again.summary, again.lines) == (sample.summary, sample.lines)
    assert [tuple(row) for row in other.rows] != [tuple(row) for row in sample.rows]


def test_good_rows_are_good(sample: Built) -> None:
    """A row that the truth does not call quarantined has valid IBANs, BICs, amount, date, reference and SEPA letters."""
    bad = {(line["pay_no"], line["rev_no"]) for line in sample.lines if line["expected_outcome"] == "quarantined"}
    good = [row for row in sample.rows if (row["PAY_NO"], row["REV_NO"]) not in bad]
    assert len(good) == len(sample.rows) - len(bad)
    for row in good:
        assert iban_holds(row["DEBTOR_ACCT"])
        assert iban_holds(row["PAYEE_ACCT"])
        assert re.fullmatch(r"[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?", row["PAYEE_BIC"])
        assert row["DRCR"].upper() in DIRECTION
        assert row["CCY"].upper() in {"EUR", "USD", "GBP", "JPY", "KWD"}
        assert Decimal(row["AMT_TEXT"]) > 0
        assert -Decimal(row["AMT_TEXT"]).as_tuple().exponent <= MINOR_UNITS[row["CCY"].upper()]  # type: ignore[operator]
        assert re.fullmatch(r"\d\d\.\d\d\.2026", row["EXEC_DT"])
        assert 0 < len(row["ORDER_REF"]) <= 35
        assert all(SEPA.fullmatch(row[name]) for name in ("ORDER_REF", "DEBTOR_NM", "PAYEE_NM", "NOTE"))


def test_variety_of_an_old_system(sample: Built) -> None:
    """Codes come in mixed case, both directions and five currencies occur, unmapped columns hold several alphabets."""
    assert {row["DRCR"] for row in sample.rows} >= {"C", "c", "Cr", "D", "d", "Dr"}
    assert {row["CCY"] for row in sample.rows} >= {"EUR", "eur", "Eur", "jpy", "KWD"}
    letters = "".join({row["BRANCH_CITY"] + row["CLERK_NOTE"] for row in sample.rows})
    assert all(each in letters for each in "öθиב東")
    assert len({row["CHG_TS"] for row in sample.rows}) < len(sample.rows)


def test_bad_rows_are_bad_in_their_way(sample: Built) -> None:
    """Planted bad rows break exactly what their kind names."""
    for kind, column in (
        ("iban_check_digit", "PAYEE_ACCT"),
        ("iban_length", "PAYEE_ACCT"),
        ("debtor_iban", "DEBTOR_ACCT"),
    ):
        for _, row in sample.of_kind(kind):
            assert [name for name in ("PAYEE_ACCT", "DEBTOR_ACCT") if not iban_holds(row[name])] == [column]
    for _, row in sample.of_kind("amount_not_a_number"):
        assert not re.fullmatch(r"[+-]?\d+(\.\d+)?", row["AMT_TEXT"])
    for kind, decimals in (("amount_decimals", 2), ("amount_decimals_jpy", 0)):
        for _, row in sample.of_kind(kind):
            assert Decimal(row["AMT_TEXT"]).scaleb(decimals) % 1
    for _, row in sample.of_kind("characters"):
        assert not all(SEPA.fullmatch(row[name]) for name in ("DEBTOR_NM", "PAYEE_NM", "NOTE"))
    for _, row in sample.of_kind("reference_too_long"):
        assert len(row["ORDER_REF"]) > 35
    assert not any(map(SEPA.fullmatch, NOT_SEPA_NAMES))


def test_versions_are_written_when_the_truth_says(sample: Built) -> None:
    """A later revision follows its first one before the same extraction, or after it, never at the same instant."""
    first = {row["PAY_NO"]: row for row in sample.rows if row["REV_NO"] == 1}
    second = [row for row in sample.rows if row["REV_NO"] == 2]
    kind_of = {line["pay_no"]: line["kind"] for line in sample.lines}
    relevant = ("ORDER_REF", "DRCR", "AMT", "CCY", "EXEC_DT", "DEBTOR_ACCT", "PAYEE_ACCT", "PAYEE_NM", "NOTE", "STATE")

    def run(row: sqlite3.Row) -> int:
        return sum(at.timestamp() * 1000 < row["CHG_TS"] for at in RUNS_AT)

    assert {kind_of[row["PAY_NO"]] for row in second} >= {"changed_before_sealing", "stopped_after_sealing"}
    for row in second:
        older, kind = first[row["PAY_NO"]], kind_of[row["PAY_NO"]]
        assert older["CHG_TS"] < row["CHG_TS"] < RUNS_AT[-1].timestamp() * 1000
        assert (run(row) > run(older)) == ("_after_" in kind)
        assert [row[name] for name in relevant] == [older[name] for name in relevant] or "touched" not in kind
        assert (row["STATE"] == "S") == ("stopped" in kind)
        assert (row["AMT"], row["PAYEE_ACCT"]) != (older["AMT"], older["PAYEE_ACCT"]) or "changed" not in kind
    assert len(second) == sum(round(kind.share * PAYMENTS) for kind in KINDS if kind.shape == "version")


def test_repeated_references_share_a_route(sample: Built) -> None:
    """A repeated reference has exactly one earlier holder, another payment with the same currency, direction and payee."""
    for kind in ("reference_repeated", "reference_repeated_later"):
        for line, row in sample.of_kind(kind):
            holders = [each for each in sample.rows if each["ORDER_REF"] == row["ORDER_REF"]]
            assert [each["PAY_NO"] for each in holders] == [line["twin_pay_no"], line["pay_no"]]
            assert all(len({each[name] for each in holders}) == 1 for name in ("CCY", "DRCR", "PAYEE_ACCT"))
            between = [at for at in RUNS_AT if holders[0]["CHG_TS"] < at.timestamp() * 1000 < row["CHG_TS"]]
            assert bool(between) == kind.endswith("later")


def test_one_extraction_plants_nothing_later(tmp_path: Path) -> None:
    """With a single extraction every row is there before it, and kinds that need a later one are left out."""
    single = built(tmp_path, payments=2_000, runs=1)
    assert max(row["CHG_TS"] for row in single.rows) < RUNS_AT[0].timestamp() * 1000
    later = {kind.name for kind in KINDS if kind.later}
    assert not later & set(single.summary["by_kind"])
    assert "changed_before_sealing" in single.summary["by_kind"]


@pytest.mark.parametrize("payments", [1, 7, 150])
def test_small_samples(tmp_path: Path, payments: int) -> None:
    """A sample may be as small as one payment."""
    assert built(tmp_path, payments=payments).summary["payments"] == payments


def test_indexes_and_key(sample: Built, tmp_path: Path) -> None:
    """The journal has its primary key and an index that serves reading by (CHG_TS, PAY_NO, REV_NO)."""
    built(tmp_path, payments=10)
    with closing(sqlite3.connect(tmp_path / "legacy.db")) as database:
        columns = database.execute("PRAGMA table_info(PAYMENT_JOURNAL)").fetchall()
        plan = database.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM PAYMENT_JOURNAL WHERE (CHG_TS, PAY_NO) > (1, '') ORDER BY CHG_TS, PAY_NO"
        ).fetchall()
    assert [name for _, name, *_, key in columns if key] == ["PAY_NO", "REV_NO"]
    assert {name: kind for _, name, kind, *_ in columns}["AMT"] == "DECIMAL"
    assert "USING INDEX PAYMENT_JOURNAL_CHG" in plan[0][-1]
    assert len(plan) == 1


@pytest.mark.parametrize(
    ("payments", "seed", "runs_at"),
    [(0, 1, RUNS_AT), (20_000_001, 1, RUNS_AT), (5, -1, RUNS_AT), (5, 1, []), (5, 1, [RUNS_AT[1], RUNS_AT[0]])],
)
def test_impossible_samples(tmp_path: Path, payments: int, seed: int, runs_at: list[datetime]) -> None:
    """Numbers outside the limits are refused with a next step, and nothing is written."""
    with pytest.raises(NotAllowed, match=r"cannot be made|must be ascending") as caught:
        build(tmp_path / "x.db", payments=payments, seed=seed, start=START, runs_at=runs_at, truth=tmp_path / "t")
    assert caught.value.next_step.endswith(".")
    assert not list(tmp_path.iterdir())


@given(st.sampled_from(BANKS), st.integers(0, 10**8 - 1))
def test_ibans_hold(bank: Any, number: int) -> None:
    """Every account of every bank is a valid IBAN of its country, and stops being one when its check digits change."""
    [account] = ibans(bank, [number])
    assert iban_holds(account)
    assert bank_of(account) == bank
    assert not iban_holds(with_wrong_check(account))


def test_local_times_follow_daylight_saving() -> None:
    """Wall time in Berlin is right on both sides of both changes of the clock."""
    instants = [datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)]
    instants += [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)]
    seconds = np.array([int(each.timestamp()) for each in instants], dtype=np.int64)
    zone = ZoneInfo("Europe/Berlin")
    assert local_times(seconds) == [f"{each.astimezone(zone):%Y-%m-%d %H:%M:%S}" for each in instants]


@given(st.integers(0, 10**12), st.sampled_from([0, 2, 3]))
def test_amounts_as_text(minor: int, decimals: int) -> None:
    """The text of an amount is the amount, with exactly the currency's decimals."""
    text = amount_text(minor, decimals)
    assert Decimal(text).scaleb(decimals) == minor
    assert len(text.partition(".")[2]) == decimals
