"""Each rule by itself: the code it gives, and what it lets through."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curation.catalogue import RULES, reason_codes
from curation.characters import outside_sepa
from curation.findings import masked

CASES: list[tuple[dict[str, str | None], list[str]]] = [
    ({}, []),
    ({"AMT": "5.0400"}, []),
    ({"AMT": "0"}, ["AM01"]),
    ({"AMT": "-1"}, ["AM12"]),
    ({"AMT": None}, ["AM12"]),
    ({"AMT": "1e3"}, ["AM12"]),
    ({"AMT": "99999999999999999999"}, ["AM12"]),
    ({"AMT": "1.005"}, ["CH20"]),
    ({"AMT": "100.5", "CCY": "JPY"}, ["CH20"]),
    ({"AMT": "1.005", "CCY": "KWD"}, []),
    ({"CCY": None}, ["AM11"]),
    ({"CCY": "EUX"}, ["AM11"]),
    ({"CCY": "XAU", "AMT": "x"}, ["AM12", "AM11"]),
    ({"DRCR": None}, ["CH21"]),
    ({"DRCR": "Q"}, ["CH16"]),
    ({"ORDER_REF": "x" * 35}, []),
    ({"ORDER_REF": "x" * 36}, ["FF08"]),
    ({"ORDER_REF": "/x"}, ["RR10"]),
    ({"ORDER_REF": "a//b"}, ["RR10"]),
    ({"ORDER_REF": "a/b-?:().,'+ 1"}, []),
    ({"ORDER_REF": "a_b"}, ["RR10"]),
    ({"EXEC_DT": None}, ["DT01"]),
    ({"EXEC_DT": "31.02.2026"}, ["DT01"]),
    ({"EXEC_DT": "2026-03-02"}, ["DT01"]),
    ({"EXEC_DT": "01.03.2025"}, []),
    ({"EXEC_DT": "28.02.2025"}, ["CH04"]),
    ({"EXEC_DT": "03.03.2027"}, []),
    ({"EXEC_DT": "04.03.2027"}, ["CH03"]),
    ({"DEBTOR_ACCT": None}, ["AC02"]),
    ({"DEBTOR_ACCT": "DE88370400440532013000"}, ["AC02"]),
    ({"PAYEE_ACCT": " "}, ["AC03"]),
    ({"PAYEE_ACCT": "FR142004101005050001"}, ["AC03"]),
    ({"DEBTOR_BIC": None}, []),
    ({"DEBTOR_BIC": "DEUTDEF"}, ["RC01"]),
    ({"PAYEE_BIC": "BNPAFRPPXX"}, ["RC01"]),
    ({"PAYEE_BIC": "BNPA12PP"}, ["RC01"]),
    ({"DEBTOR_NM": None}, []),
    ({"PAYEE_NM": None}, ["BE22"]),
    ({"PAYEE_NM": "x" * 140}, []),
    ({"PAYEE_NM": "x" * 141}, ["FF08"]),
    ({"PAYEE_NM": "Jürgen"}, ["RR10"]),
    ({"DEBTOR_NM": "\u0416"}, ["RR10"]),
    ({"NOTE": "a & b"}, ["RR10"]),
    ({"NOTE": "a\nb"}, ["RR10"]),
    ({"NOTE": None}, []),
    ({"PURP": "ABCDE"}, ["FF07"]),
    ({"REV": "1.5"}, ["CH16"]),
    ({"REV": None}, []),
    ({"PAYEE_NM": None, "AMT": "0", "CCY": "USD"}, ["AM01", "BE22"]),
]


@pytest.mark.parametrize(("change", "codes"), CASES)
def test_one_change_gives_its_code(bench: Any, change: dict[str, str | None], codes: list[str]) -> None:
    """A good row with this change is refused with exactly these codes, or curated."""
    assert bench.codes([change]) == [codes]


def test_rules_do_not_disturb_each_other(bench: Any) -> None:
    """All cases in one chunk give each row the codes that it has alone."""
    assert bench.codes([change for change, _ in CASES]) == [codes for _, codes in CASES]


@pytest.mark.parametrize(
    ("settings", "change", "codes"),
    [
        ({"currencies": ["USD"]}, {}, ["AM03"]),
        ({"currencies": ["USD"]}, {"CCY": "?"}, ["AM11"]),
        ({"amount_minor_max": 1250}, {}, []),
        ({"amount_minor_max": 1249}, {}, ["AM02"]),
        ({"date_past_days_max": 0}, {"EXEC_DT": "01.03.2026"}, ["CH04"]),
        ({"date_ahead_days_max": 0}, {"EXEC_DT": "03.03.2026"}, ["CH03"]),
        ({"required": ["debtor_name"]}, {"DEBTOR_NM": None, "PAYEE_NM": None}, ["BE08"]),
        ({"required": ["debtor_agent", "creditor_agent"]}, {"DEBTOR_BIC": None, "PAYEE_BIC": None}, ["RC03", "RC04"]),
        ({"required": ["remittance_unstructured"]}, {"NOTE": ""}, ["CH21"]),
        ({"required": []}, {"DEBTOR_ACCT": None, "PAYEE_ACCT": None}, []),
        ({"characters": "any"}, {"PAYEE_NM": "Jürgen \u0416 & Co", "ORDER_REF": "//a_b"}, []),
        ({"characters": "any"}, {"PAYEE_NM": "a\x00b"}, ["RR10"]),
        ({"characters": "any"}, {"NOTE": "a\x7fb"}, ["RR10"]),
        ({"characters": "any"}, {"NOTE": "a\u0085b"}, ["RR10"]),
        ({"characters": "any"}, {"NOTE": "a\ufffeb"}, ["RR10"]),
        ({"characters": "any"}, {"PAYEE_NM": "\u0416" * 140}, []),
        ({"characters": "any"}, {"PAYEE_NM": "\u0416" * 141}, ["FF08"]),
    ],
)
def test_settings_change_the_rules(
    bench: Any, settings: dict[str, Any], change: dict[str, Any], codes: list[str]
) -> None:
    """Each setting of [curation] does what it says, at its edge too."""
    assert bench.codes([change], **settings) == [codes]


@pytest.mark.parametrize(
    ("name", "value", "codes"),
    [
        ("creditor_country", "fr", []),
        ("creditor_country", "FRA", ["BE11"]),
        ("category_purpose", "SALA", []),
        ("category_purpose", "SA-A", ["FF06"]),
        ("charge_bearer", "slev", []),
        ("charge_bearer", "NONE", ["CH16"]),
        ("remittance_reference", "RF18539007547034", []),
        ("remittance_reference", "RF19539007547034", ["RR09"]),
        ("remittance_reference", "RFXX", ["RR09"]),
        ("remittance_reference", "+++090/9337/55493+++", []),
    ],
)
def test_columns_that_few_sources_have(bench: Any, name: str, value: str, codes: list[str]) -> None:
    """Country, category purpose, charge bearer and structured creditor reference have rules too."""
    assert bench.codes([{"EXTRA": value}], source={"columns": {**bench.columns, name: "EXTRA"}}) == [codes]


def test_dates_may_be_dates_or_times(bench: Any) -> None:
    """A date column is taken as it is, a time with a zone as the day at the source, one without as the source's own."""
    late = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)  # already the third in Berlin
    for values, day in (
        (pa.array([date(2026, 3, 5)], pa.date32()), date(2026, 3, 5)),
        (pa.array([late], pa.timestamp("us", "UTC")), date(2026, 3, 3)),
        (pa.array([late.replace(tzinfo=None)], pa.timestamp("ms")), date(2026, 3, 2)),
        (pa.array([20260304], pa.int64()), date(2026, 3, 4)),
    ):
        source = bench.source()
        raw = bench.raw([{}]).drop_columns(["_payment_id", "_row_hash", "EXEC_DT"]).append_column("EXEC_DT", values)
        changes = {"zone": "Europe/Berlin", "date_format": "%Y%m%d"}
        chunk = bench.curate(bench.identified(raw, source), source=changes)
        assert chunk.curated["requested_date"].to_pylist() == [day]


def test_a_source_without_dates_asks_for_payment_today(bench: Any) -> None:
    """No requested date mapped: the business date. A constant one is read like a column."""
    columns = {name: theirs for name, theirs in bench.columns.items() if name != "requested_date"}
    assert bench.curate([{}], source={"columns": columns}).curated["requested_date"].to_pylist() == [bench.day]
    constant = {"columns": columns, "constants": {"requested_date": "05.03.2026"}}
    assert bench.curate([{}], source=constant).curated["requested_date"].to_pylist() == [date(2026, 3, 5)]


def test_versions_are_whole_numbers_or_times(bench: Any) -> None:
    """A version may be an integer, its text, or a time in microseconds since 1970."""
    raw = bench.raw([{}]).drop_columns(["_payment_id", "_row_hash", "REV"])
    for values, version in (
        (pa.array([7], pa.int64()), 7),
        (pa.array([" 8 "], pa.string()), 8),
        (pa.array([datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)], pa.timestamp("ms", "UTC")), 1_000_000),
    ):
        chunk = bench.curate(bench.identified(raw.append_column("REV", values), bench.source()))
        assert chunk.curated["source_version"].to_pylist() == [version]


def test_values_of_any_text_column_are_translated(bench: Any) -> None:
    """A source's own purpose codes become ours."""
    source = {"values": {"direction": {"C": "CRDT"}, "purpose": {"Salary": "SALA"}}}
    chunk = bench.curate([{"PURP": " Salary "}, {"PURP": "SUPP"}, {"PURP": None}], source=source)
    assert chunk.curated["purpose"].to_pylist() == ["SALA", "SUPP", None]


def test_bytes_under_a_null_are_not_judged() -> None:
    """Arrow may keep bytes under a null, and slices keep their neighbours' bytes: neither is a character of the row."""
    whole = pa.array(["ok", "\u0416", "fine", "\u0416"])
    mask = pa.array([True, False, True, True]).buffers()[1]
    under_null = pa.Array.from_buffers(pa.string(), 4, [mask, *whole.buffers()[1:]])
    assert outside_sepa(under_null).tolist() == [False, False, False, True]
    assert outside_sepa(whole[2:3]).tolist() == [False]
    assert outside_sepa(pa.array(["", "\u0416", "", None, ""])).tolist() == [False, True, False, False, False]


def test_every_code_is_of_the_iso_code_set() -> None:
    """No reason code is invented: each is in the external status reason code set."""
    path = Path(__file__).parents[2] / "data" / "curation" / "external_status_reason_code.json"
    assert reason_codes() <= set(json.loads(path.read_text())["codes"])


def test_every_rule_has_one_place_in_the_table() -> None:
    """Rule and field name a rule once, and no message could hold a value."""
    assert len({(rule.name, rule.field) for rule in RULES}) == len(RULES)
    assert all("{" not in rule.message for rule in RULES)


@pytest.mark.parametrize(
    ("value", "account", "shown"),
    [
        ("12,34", False, "12,34"),
        ("DE89370400440532013000", False, "DE***00"),
        ("DE89", True, "***"),
        ("DE893", True, "DE***93"),
        ("", True, "***"),
    ],
)
def test_masking(value: str, shown: str, *, account: bool) -> None:
    """Short values are shown, accounts and long values by their ends, very short accounts not at all."""
    assert masked(value, account=account) == shown
