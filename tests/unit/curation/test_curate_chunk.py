"""The whole of curation on hostile rows: nothing is lost, nothing is doubled, nothing is said that is secret."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.encoding import write_parquet
from payments.errors import Unreadable, WrongConfiguration
from payments.keys import derived_reference
from payments.money_columns import read_money
from payments.tables import CURATED, QUARANTINE
from payments.totals import total_of_columns


def encoded(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    write_parquet(table, sink)
    return sink.getvalue()


anything = st.one_of(
    st.none(), st.text(max_size=6), st.sampled_from(["", " ", "//", "\x00", "DE00", "RF18X", "é" * 141])
)
fields: dict[str, st.SearchStrategy[str | None]] = {
    "PAY_NO": st.sampled_from(["P1", "P2", "P3"]),
    "REV": st.sampled_from(["1", "2", "x", None]),
    "ORDER_REF": st.sampled_from(["INV-1", "INV-2", None]),
    "DRCR": st.sampled_from(["C", "d", "CRDT", "?", None]),
    "AMT": st.sampled_from(["1.5", "-2", "0", "12,34", "9e9", "92233720368547758.07", "1.005", "7", None]),
    "CCY": st.sampled_from(["EUR", "jpy", "KWD", "XXX", None]),
    "EXEC_DT": st.sampled_from(["02.03.2026", "31.02.2026", "01.01.1990", "01.01.2090", None]),
    "STATE": st.sampled_from(["A", "S"]),
    **dict.fromkeys(("DEBTOR_NM", "DEBTOR_ACCT", "DEBTOR_BIC", "PAYEE_NM", "PAYEE_BIC", "PURP", "NOTE"), anything),
}
hostile_rows = st.lists(st.fixed_dictionaries({}, optional=fields), max_size=12)
signs = st.sampled_from(["none", "negative_is_debit", "negative_is_credit"])


@settings(max_examples=60, deadline=None)
@given(rows=hostile_rows, sign=signs, characters=st.sampled_from(["sepa", "any"]), mapped=st.booleans())
def test_every_row_comes_out_once(
    bench: Any, rows: list[dict[str, Any]], sign: str, characters: str, *, mapped: bool
) -> None:
    """Curated and quarantined together are what was extracted: by count, by sums, by rows that cannot be read, by digest."""
    columns = {name: theirs for name, theirs in bench.columns.items() if mapped or name != "direction"}
    changes: dict[str, Any] = {"sign": sign, "columns": columns}
    if not mapped and sign == "none":
        changes["constants"] = {"direction": "CRDT"}
    source = bench.source(**changes)
    raw = bench.raw(rows, source)
    chunk = bench.curate(raw, source=changes, characters=characters)
    money = read_money(raw, source)
    extracted = total_of_columns(money.amount_minor, money.currency, money.direction, raw["_row_hash"])
    assert chunk.curated_total + chunk.quarantined_total == extracted
    assert chunk.curated_total.unreadable == 0
    numbers = chunk.curated["row"].to_pylist() + chunk.quarantine["row"].to_pylist()
    assert sorted(numbers) == list(range(len(rows)))
    chunk.curated.validate(full=True)
    chunk.quarantine.validate(full=True)
    for table in (chunk.curated, chunk.quarantine):
        for field in table.schema:
            assert field.nullable or table[field.name].null_count == 0, field.name
    assert all(each["reasons"] for each in chunk.quarantine.to_pylist())


@settings(max_examples=30, deadline=None)
@given(hostile_rows)
def test_equal_chunks_give_equal_bytes(bench: Any, rows: list[dict[str, Any]]) -> None:
    """The same raw rows, in one Arrow chunk or in several, give the same Parquet bytes (I4)."""
    raw = bench.raw(rows)
    pieces = pa.concat_tables([raw[:1], raw[1:3], raw[3:]])
    first, second = bench.curate(raw), bench.curate(pieces)
    assert encoded(first.curated) == encoded(second.curated)
    assert encoded(first.quarantine) == encoded(second.quarantine)


def test_a_good_row_is_curated_in_our_terms(bench: Any) -> None:
    """Every column of ours holds what the source gave, in canonical form, and the origin points back to the raw row."""
    messy = {"DEBTOR_ACCT": " de89 3704 0044 0532 0130 00 ", "CCY": "eur", "PAYEE_NM": " Sample Payee ", "PURP": "supp"}
    chunk = bench.curate([{"PAY_NO": "P9", "ORDER_REF": "INV-9"}, messy])
    assert chunk.curated.schema.equals(CURATED)
    assert chunk.quarantine.schema.equals(QUARANTINE)
    first, second = chunk.curated.to_pylist()
    expected = {
        "source": "legacy", "source_pk": "P9", "business_date": bench.day, "run": 3, "chunk": 7, "row": 0,
        "source_version": 1, "stopped": False, "acquirer": "northbank", "end_to_end_id": "INV-9", "direction": "CRDT",
        "amount_minor": 1250, "currency": "EUR", "minor_unit": 2, "amount_text": "12.50", "requested_date": bench.day,
        "debtor_name": "Example Trading", "debtor_account": "DE89370400440532013000", "debtor_agent": "DEUTDEFF",
        "creditor_name": "Sample Payee", "creditor_account": "FR1420041010050500013M02606", "creditor_agent": "BNPAFRPPXXX",
        "creditor_country": "FR", "purpose": "SUPP", "category_purpose": None, "charge_bearer": None,
        "remittance_unstructured": "Invoice 1", "remittance_reference": None, "enrichment": None, "schema_version": 1,
    }  # fmt: skip
    assert {name: value for name, value in first.items() if name in expected} == expected
    for name in ("debtor_account", "currency", "creditor_name", "purpose"):
        assert second[name] == first[name]


def test_a_refused_row_keeps_everything(bench: Any) -> None:
    """Quarantine holds every value as the source gave it, what could be read, and each reason with a masked value."""
    bad = {"AMT": "12,34", "DEBTOR_ACCT": "DE88370400440532013000", "PAYEE_NM": None, "NOTE": " n "}
    chunk = bench.curate([bad, {}, {"CCY": "?"}])
    row, other = chunk.quarantine.to_pylist()
    assert dict(other["values"]) == {**bench.good, "PAY_NO": "P2", "ORDER_REF": "INV-2", "CCY": "?"}
    assert dict(row["values"]) == {
        **bench.good, "PAY_NO": "P0", "ORDER_REF": "INV-0", "AMT": "12,34",
        "DEBTOR_ACCT": "DE88370400440532013000", "PAYEE_NM": None, "NOTE": " n ",
    }  # fmt: skip
    assert (row["end_to_end_id"], row["amount_minor"], row["currency"], row["direction"]) == (
        "INV-0",
        None,
        "EUR",
        "CRDT",
    )
    found = {(each["rule"], each["code"], each["field"], each["value_masked"]) for each in row["reasons"]}
    assert found == {
        ("amount_not_a_number", "AM12", "amount", "12,34"),
        ("iban_check_digits", "AC02", "debtor_account", "DE***00"),
        ("required", "BE22", "creditor_name", None),
    }
    assert chunk.quarantined_total.unreadable == 2


def test_reasons_show_no_account_and_no_name(bench: Any) -> None:
    """I7: whatever column an account number or a name stands in, reasons show at most its ends."""
    canary_account, canary_name = "DE00123456789012345678", "Canary \u0416"
    by_column = [{name: canary_account} for name in bench.columns.values()]
    rows = [*by_column, *({name: canary_name} for name in ("DEBTOR_NM", "PAYEE_NM", "NOTE")), {"ORDER_REF": "x" * 50}]
    chunk = bench.curate(rows)
    reasons = json.dumps([each["reasons"] for each in chunk.quarantine.to_pylist()], ensure_ascii=False)
    assert len(chunk.quarantine) > 10
    assert "1234" not in reasons
    assert "Canary" not in reasons


def test_content_hash_sees_only_the_payment(bench: Any) -> None:
    """A change of the version or of an unmapped column keeps the content hash; any payment-relevant change does not."""
    same = [{}, {"REV": "2"}, {"STATE": "B"}, {"AMT": "12.5"}, {"CCY": "eur"}, {"DRCR": "crdt"}]
    other = [
        {"AMT": "12.51"}, {"CCY": "USD"}, {"DRCR": "D"}, {"EXEC_DT": "03.03.2026"}, {"DEBTOR_NM": "Other"}, {"PAYEE_NM": "Other"},
        {"DEBTOR_ACCT": "NO9386011117947"}, {"PAYEE_ACCT": "NO9386011117947"}, {"DEBTOR_BIC": None}, {"PAYEE_BIC": None},
        {"PURP": None}, {"NOTE": None}, {"ORDER_REF": "INV-2"},
    ]  # fmt: skip
    rows = [{"PAY_NO": "P1", "ORDER_REF": "INV-1", **change} for change in same + other]
    hashes = bench.curate(rows).curated["content_hash"].to_pylist()
    assert len(hashes) == len(rows)
    assert len(set(hashes[: len(same)])) == 1
    assert len(set(hashes)) == 1 + len(other)


def test_stop_rows_need_only_be_readable(bench: Any) -> None:
    """A stop row with bad accounts, dates and texts is curated as stopped; one without money or reference is refused."""
    bad = {
        "DEBTOR_ACCT": "x",
        "PAYEE_NM": None,
        "EXEC_DT": "?",
        "PAYEE_BIC": "?",
        "NOTE": "\u0416",
        "AMT": "0",
        "REV": "x",
    }
    stops = [
        {"STATE": "S", **bad},
        *({"STATE": " S ", **each} for each in ({"AMT": "?"}, {"CCY": "?"}, {"DRCR": "?"}, {"ORDER_REF": " "})),
    ]
    chunk = bench.curate(stops, currencies=["USD"])
    (kept,) = chunk.curated.to_pylist()
    assert (kept["row"], kept["stopped"], kept["requested_date"], kept["source_version"]) == (0, True, bench.day, None)
    codes = [[reason["code"] for reason in each["reasons"]] for each in chunk.quarantine.to_pylist()]
    assert codes == [["AM12"], ["AM11"], ["CH16"], ["FF08"]]


def test_a_reference_is_derived_where_no_column_is_mapped(bench: Any) -> None:
    """Without a reference column it comes from the payment_id; a mapped but empty one is missing."""
    columns = {name: theirs for name, theirs in bench.columns.items() if name != "end_to_end_id"}
    raw = bench.raw([{}])
    chunk = bench.curate(raw, source={"columns": columns})
    assert chunk.curated["end_to_end_id"].to_pylist() == [derived_reference(raw["_payment_id"][0].as_py())]
    assert bench.codes([{"ORDER_REF": None}, {"ORDER_REF": " \t"}]) == [["FF08"], ["FF08"]]


def test_no_rows_give_empty_tables(bench: Any) -> None:
    """A chunk without rows, and one without a refused row, keep both schemas."""
    chunk = bench.curate([])
    assert (len(chunk.curated), len(chunk.quarantine), chunk.curated_total.count) == (0, 0, 0)
    assert chunk.curated.schema.equals(CURATED)
    assert bench.curate([{}]).quarantine.schema.equals(QUARANTINE)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"source": {"columns": {"amuont": "AMT"}}}, "columns names 'amuont'"),
        ({"source": {"values": {"colour": {}}}}, "values names 'colour'"),
        ({"source": {"columns": {"debtor_name": "NAME"}}}, "columns.debtor_name names 'NAME'"),
        ({"source": {"stopped": {"column": "GONE", "values": ["S"]}}}, "stopped.column names 'GONE'"),
        ({"required": ["debtor_nmae"]}, "curation.required names 'debtor_nmae'"),
        ({"route": []}, "curation.route is empty"),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(bench: Any, how: dict[str, Any], message: str) -> None:
    """Names that neither we nor the table know stop the chunk with a message that names the key."""
    raw = bench.raw([{}])
    with pytest.raises(WrongConfiguration, match=message) as caught:
        bench.curate(raw, **how)
    assert caught.value.next_step


def test_a_table_that_is_no_raw_chunk_is_unreadable(bench: Any) -> None:
    """Without the columns that extract adds it is not ours to curate."""
    with pytest.raises(Unreadable, match="_row_hash"):
        bench.curate(bench.raw([{}]).drop_columns(["_row_hash"]))
