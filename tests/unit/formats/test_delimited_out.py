"""The delimited file that we send."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formats.header import FileHeader
from formats.outbound import write_file
from formats.rows import TEXTS
from payments.amounts import text_of_minor
from payments.books import Total
from payments.currencies import MINOR_UNITS
from payments.errors import BooksOff, SetAside, WrongConfiguration

TableOf = Callable[..., pa.Table]
Header = Callable[..., FileHeader]


def written(header: FileHeader, *batches: pa.Table | pa.RecordBatch) -> bytes:
    sink = io.BytesIO()
    write_file("delimited", header, batches, sink)
    return sink.getvalue()


def test_file_layout(table_of: TableOf, header: Header) -> None:
    """The whole file is exactly the agreed layout: head, numbered payments, trailer with count and sums."""
    table = table_of(
        {"purpose": "SALA", "remittance_unstructured": 'Invoice "7", March'},
        {"direction": "DBIT", "amount_minor": 5, "currency": "KWD", "debtor_name": None, "creditor_agent": None},
        {"amount_minor": 7, "currency": "JPY"},
        {"amount_minor": 55},
    )
    assert written(header(table), table).decode() == (
        "FH,TIEOUT1,northbank,northbank_20260302_000001_1.csv,0123456789abcdef01234567,1,2026-03-02,2026-03-02T06:00:00Z\n"
        "PD,1,REF1,CRDT,123.45,EUR,2026-03-02,Paying Company,DE89370400440532013000,COBADEFFXXX,Receiving Company,"
        'FR1420041010050500013M02606,BNPAFRPP,SALA,"Invoice ""7"", March"\n'
        "PD,2,REF2,DBIT,0.005,KWD,2026-03-02,,DE89370400440532013000,COBADEFFXXX,Receiving Company,"
        "FR1420041010050500013M02606,,,\n"
        "PD,3,REF3,CRDT,7,JPY,2026-03-02,Paying Company,DE89370400440532013000,COBADEFFXXX,Receiving Company,"
        "FR1420041010050500013M02606,BNPAFRPP,,\n"
        "PD,4,REF4,CRDT,0.55,EUR,2026-03-02,Paying Company,DE89370400440532013000,COBADEFFXXX,Receiving Company,"
        "FR1420041010050500013M02606,BNPAFRPP,,\n"
        "FT,4,2026-03-02,1,EUR/CRDT=124.00|JPY/CRDT=7|KWD/DBIT=0.005\n"
    )


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
optional = st.none() | text
payment = st.fixed_dictionaries(
    {
        "end_to_end_id": text,
        "direction": st.sampled_from(["CRDT", "DBIT"]),
        "amount_minor": st.integers(0, 2**63 - 1),
        "currency": st.sampled_from(["EUR", "JPY", "KWD", "CLF", "USD"]),
        "debtor_name": optional,
        "debtor_account": optional,
        "debtor_agent": optional,
        "creditor_name": optional,
        "creditor_account": optional,
        "creditor_agent": optional,
        "purpose": optional,
        "remittance_unstructured": optional,
    }
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(payment, min_size=1, max_size=6))
def test_round_trip(table_of: TableOf, header: Header, rows: list[dict[str, Any]]) -> None:
    """Whatever the texts and amounts, an independent CSV reader gets the same values back, amounts exact."""
    table = table_of(*rows)
    text_file = io.StringIO(written(header(table), table).decode(), newline="")
    head, *lines, trailer = list(csv.reader(text_file, strict=True))
    assert head[:2] == ["FH", "TIEOUT1"]
    assert trailer[1] == str(len(rows))
    sums: dict[str, int] = {}
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), 1):
        unit = MINOR_UNITS[row["currency"]]
        assert line[:4] == ["PD", str(number), row["end_to_end_id"], row["direction"]]
        assert Decimal(line[4]).as_tuple().exponent == -unit
        assert int(line[4].replace(".", "")) == row["amount_minor"]
        assert line[5:7] == [row["currency"], "2026-03-02"]
        assert line[7:] == [row[name] or "" for name in TEXTS]
        key = f"{row['currency']}/{row['direction']}"
        sums[key] = sums.get(key, 0) + row["amount_minor"]
    expected = [f"{key}={text_of_minor(sums[key], MINOR_UNITS[key[:3]])}" for key in sorted(sums) if sums[key]]
    assert trailer[4] == "|".join(expected)


def test_bytes_do_not_depend_on_batches(table_of: TableOf, header: Header) -> None:
    """The same payments give the same bytes in one table, in many small batches, and as dictionary columns."""
    table = table_of(*({"amount_minor": n, "debtor_name": f"Company {n % 3}"} for n in range(1, 400)))
    whole = written(header(table), table)
    assert written(header(table), *table.to_batches(max_chunksize=7)) == whole
    encoded = table.set_column(
        table.schema.get_field_index("debtor_name"), "debtor_name", table["debtor_name"].dictionary_encode()
    )
    assert written(header(table), encoded.slice(0, 200), encoded.slice(200)) == whole


def test_books_off_writes_no_trailer(table_of: TableOf, header: Header) -> None:
    """Rows that are not what the plan claims, by count or by sum, raise BooksOff and leave a file without trailer."""
    table = table_of({}, {})
    for claimed in (Total(1, {"EUR/CRDT": 24690}), Total(2, {"EUR/CRDT": 24691}), Total(2, {"EUR/DBIT": 24690})):
        sink = io.BytesIO()
        with pytest.raises(BooksOff, match=r"northbank_20260302_000001_1\.csv"):
            write_file("delimited", header(table, total=claimed), [table], sink)
        assert b"\nFT," not in sink.getvalue()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"amount_minor": -1}, "negative"),
        ({"amount_minor": None}, "amount_minor is missing"),
        ({"direction": "crdt"}, "direction"),
        ({"minor_unit": 3}, "minor_unit"),
        ({"currency": "XXX"}, "minor_unit"),
        ({"creditor_name": "Secret\0Name"}, "creditor_name holds a NUL"),
    ],
)
def test_impossible_payment_is_named(table_of: TableOf, header: Header, change: dict[str, Any], why: str) -> None:
    """A payment that no file may hold is named by its payment_id, and its values are not shown."""
    table = table_of({}, change)
    with pytest.raises(SetAside, match=why) as caught:
        written(header(table_of({}, {})), table)
    assert f"{2:032x}" in str(caught.value)
    assert "Secret" not in str(caught.value)


def test_unknown_format_is_refused(table_of: TableOf, header: Header) -> None:
    """A format that we do not write is a wrong configuration, and nothing is written."""
    sink = io.BytesIO()
    with pytest.raises(WrongConfiguration, match="'fixed'"):
        write_file("fixed", header(table_of({})), [table_of({})], sink)
    assert sink.getvalue() == b""
