"""How large a file can become at most, and payments of one account put next to each other."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from formats import rows as rows_module
from formats.bounds import MEASURED, head_bytes_max, row_bytes_max
from formats.grouping import grouped
from formats.header import FileHeader
from formats.outbound import write_file
from payments.config_files import DelimitedColumns, FixedField, FixedWidth, Layout
from payments.errors import SetAside

TableOf = Callable[..., pa.Table]
Header = Callable[..., FileHeader]
FIXED = FixedWidth(
    field=[
        FixedField(record="header", name="count", width=9),
        FixedField(name="end_to_end_id", width=35),
        FixedField(name="direction", width=4),
        FixedField(name="amount", width=22, align="right"),
        FixedField(name="currency", width=3),
        FixedField(name="requested_date", width=8),
        FixedField(record="trailer", name="sum_minor", width=30),
    ],
    encoding="iso-8859-1",
    line_end="crlf",
)
NAMES = ["payment_id", "line", "end_to_end_id", "direction", "amount", "amount_minor", "currency", "requested_date"]
COLUMNS = DelimitedColumns(columns=[*NAMES, "creditor_name", "remittance_unstructured"], titles=['"a";b'] * 10)
CASES: list[tuple[str, Layout | None]] = [
    ("delimited", None),
    ("pain.001.001.03", None),
    ("pain.001.001.09", None),
    ("pain.008.001.08", None),
    ("fixed_width", FIXED),
    ("delimited_columns", COLUMNS),
]
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=34)
wild = texts | st.sampled_from(["&" * 30, '"' * 30, "<\r>,;\n", "é€𝄞" * 10, None, ""])
rows_of = st.lists(
    st.fixed_dictionaries(
        {
            "end_to_end_id": st.text("ABC&<", min_size=1, max_size=35),
            "creditor_name": wild,
            "debtor_name": wild,
            "creditor_agent": wild,
            "remittance_unstructured": wild,
            "purpose": wild,
            "debtor_account": st.sampled_from(["1", "DE89370400440532013000", "&" * 34]),
            "creditor_account": st.sampled_from(["1", "DE89370400440532013000", "<" * 34]),
            "amount_minor": st.integers(0, 10**18 - 1),
            "currency": st.sampled_from(["EUR", "JPY", "KWD", "CLF"]),
            "requested_date": st.sampled_from([date(2026, 3, 2), date(2026, 3, 3)]),
        }
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of, case=st.sampled_from(CASES), party=st.sampled_from(["Tieout", "", "A & B " * 20]))
def test_no_file_is_larger_than_its_bound(
    table_of: TableOf, header: Header, rows: list[dict[str, Any]], case: tuple[str, Layout | None], party: str
) -> None:
    """Whatever its texts need in quotes and entities, a file never has more bytes than head and rows were bounded to."""
    name, layout = case
    way = "DBIT" if name.startswith("pain.008") else "CRDT"
    table = table_of(*({**row, "direction": way} for row in rows))
    sink = io.BytesIO()
    try:
        write_file(name, header(table, initiating_party=party), [table], sink, layout)
    except SetAside:
        return
    bound = head_bytes_max(name, layout, party) + int(row_bytes_max(name, layout, table.select(MEASURED)).sum())
    assert len(sink.getvalue()) <= bound


@pytest.mark.parametrize("character", ['"', "&", "<", "\r", "é", ";"])
@pytest.mark.parametrize(("name", "layout"), [case for case in CASES if case[0] != "fixed_width"])
def test_the_worst_texts_are_within_the_bound(
    name: str, layout: Layout | None, character: str, table_of: TableOf, header: Header
) -> None:
    """Texts of nothing but quotes or entities, and an account that changes with every payment, are still bounded."""
    way = "DBIT" if name.startswith("pain.008") else "CRDT"
    texts = dict.fromkeys(("debtor_name", "creditor_name", "remittance_unstructured"), character * 140)
    texts |= dict.fromkeys(("debtor_agent", "creditor_agent", "purpose"), character * 34)
    amount = {"amount_minor": 10**18 - 1, "direction": way}
    rows = [{**texts, **amount, "debtor_account": str(n), "creditor_account": str(n)} for n in range(200)]
    table = table_of(*rows)
    sink = io.BytesIO()
    write_file(name, header(table), [table], sink, layout)
    bound = head_bytes_max(name, layout, "Tieout") + int(row_bytes_max(name, layout, table.select(MEASURED)).sum())
    assert len(sink.getvalue()) <= bound


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_the_bound_is_near(name: str, layout: Layout | None, table_of: TableOf, header: Header) -> None:
    """A bound that is far too high would give many small files: of usual payments a file has at least half of it."""
    way = "DBIT" if name.startswith("pain.008") else "CRDT"
    table = table_of(*({"direction": way, "remittance_unstructured": f"Invoice {n}"} for n in range(500)))
    sink = io.BytesIO()
    write_file(name, header(table), [table], sink, layout)
    bound = head_bytes_max(name, layout, "Tieout") + int(row_bytes_max(name, layout, table.select(MEASURED)).sum())
    assert bound / 2 <= len(sink.getvalue()) <= bound


def test_batches_are_within_the_bound(table_of: TableOf, header: Header, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that is begun again with each batch is counted: one byte per row pays for a head in 50,000."""
    monkeypatch.setattr(rows_module, "ROWS_PER_BATCH", 2_000)
    table = table_of(*({} for _ in range(6_000)))
    sink = io.BytesIO()
    write_file("pain.001.001.09", header(table), [table], sink)
    bounds = row_bytes_max("pain.001.001.09", None, table.select(MEASURED))
    assert len(sink.getvalue()) <= head_bytes_max("pain.001.001.09", None, "Tieout") + int(bounds.sum())


def test_payments_of_one_account_and_date_become_one_group(table_of: TableOf, header: Header) -> None:
    """Accounts that alternate give one group each, not one per payment; within a group the order stays."""
    accounts = ["1", "2", "3"]
    table = table_of(*({"debtor_account": accounts[n % 3], "amount_minor": n} for n in range(30)))
    for name, element in (("pain.001.001.09", "CdtTrfTxInf"), ("pain.001.001.03", "CdtTrfTxInf")):
        sink = io.BytesIO()
        write_file(name, header(table), grouped(name, [table.slice(0, 7), table.slice(7)]), sink)
        message = etree.fromstring(sink.getvalue())
        space = f"{{{message.nsmap[None]}}}"
        groups = list(message.iter(f"{space}PmtInf"))
        assert [each.findtext(f"{space}NbOfTxs") for each in groups] == ["10", "10", "10"]
        references = [each.findtext(f".//{space}EndToEndId") for each in groups[1].iter(f"{space}{element}")]
        assert references == [f"REF{n + 1}" for n in range(30) if n % 3 == 1]


def test_debits_are_grouped_by_their_creditor(table_of: TableOf) -> None:
    """For pain.008 it is the creditor's account that makes a group."""
    table = table_of(*({"creditor_account": str(n % 2), "debtor_account": str(n)} for n in range(6)))
    (found,) = grouped("pain.008.001.08", [table])
    assert found["creditor_account"].to_pylist() == ["0", "0", "0", "1", "1", "1"]


def test_grouping_holds_one_block_at_a_time(table_of: TableOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are those of the writer, whatever tables come in; no row is lost and none comes twice."""
    monkeypatch.setattr(rows_module, "ROWS_PER_BATCH", 4)
    table = table_of(*({"debtor_account": str(n % 2)} for n in range(11)))
    for size in (1, 3, 11):
        pieces = [table.slice(at, size) for at in range(0, 11, size)]
        found = list(grouped("pain.001.001.09", pieces))
        assert [len(each) for each in found] == [4, 4, 3]
        accounts = [each["debtor_account"].to_pylist() for each in found]
        assert accounts == [["0", "0", "1", "1"], ["0", "0", "1", "1"], ["0", "0", "1"]]
        numbers = sorted(int(each, 16) for each in pa.concat_tables(found)["payment_id"].to_pylist())
        assert numbers == list(range(1, 12))
