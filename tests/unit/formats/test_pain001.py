"""The pain.001 that we send."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from formats import rows as rows_module
from formats.header import FileHeader
from formats.outbound import validate_file, write_file
from formats.pain001 import LENGTH_MAX
from formats.rows import TEXTS
from payments.books import Total
from payments.errors import BooksOff, SetAside

TableOf = Callable[..., pa.Table]
Header = Callable[..., FileHeader]
SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parents[2] / "data" / "xsd" / "pain.001.001.09.xsd"))
SPACE = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}


def written(header: FileHeader, *batches: pa.Table | pa.RecordBatch) -> etree._Element:
    """The message, parsed and valid."""
    sink = io.BytesIO()
    write_file("pain.001.001.09", header, batches, sink)
    message = etree.fromstring(sink.getvalue())
    SCHEMA.assertValid(message)
    return message


def texts(element: etree._Element, path: str) -> list[str]:
    return [each.text for each in element.findall(path, SPACE)]


def test_message_holds_what_it_claims(table_of: TableOf, header: Header) -> None:
    """MsgId is the file_id, counts and control sums are those of the whole file and of each payment information."""
    table = table_of(
        {},
        {"amount_minor": 7, "currency": "JPY"},
        {"debtor_account": "1234567", "debtor_agent": None, "amount_minor": 1, "currency": "KWD"},
        {"requested_date": date(2026, 3, 3)},
    )
    message = written(header(table), table)
    assert texts(message, ".//p:GrpHdr/p:MsgId") == ["0123456789abcdef01234567"]
    assert texts(message, ".//p:GrpHdr/p:NbOfTxs") == ["4"]
    assert texts(message, ".//p:GrpHdr/p:CtrlSum") == ["253.901"]
    assert texts(message, ".//p:PmtInf/p:PmtInfId") == [f"0123456789abcdef01234567-{n}" for n in (1, 2, 3)]
    assert texts(message, ".//p:PmtInf/p:NbOfTxs") == ["2", "1", "1"]
    assert texts(message, ".//p:PmtInf/p:CtrlSum") == ["130.45", "0.001", "123.45"]
    assert texts(message, ".//p:PmtInf/p:ReqdExctnDt/p:Dt") == ["2026-03-02", "2026-03-02", "2026-03-03"]
    assert texts(message, ".//p:InstdAmt") == ["123.45", "7", "0.001", "123.45"]
    assert [each.get("Ccy") for each in message.findall(".//p:InstdAmt", SPACE)] == ["EUR", "JPY", "KWD", "EUR"]
    assert texts(message, ".//p:DbtrAcct/p:Id/p:Othr/p:Id") == ["1234567"]
    assert texts(message, ".//p:DbtrAgt/p:FinInstnId/p:Othr/p:Id") == ["NOTPROVIDED"]


def test_another_debtor_name_is_another_payment_information(table_of: TableOf, header: Header) -> None:
    """Payments of one account are not put under the name or agent of a neighbour."""
    table = table_of({}, {"debtor_name": "Other Company"}, {"debtor_name": "Other Company", "debtor_agent": None})
    assert texts(written(header(table), table), ".//p:PmtInf/p:NbOfTxs") == ["1", "1", "1"]


def test_group_ends_with_its_batch(table_of: TableOf, header: Header, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payment information never spans two batches, and its number goes on, however the rows come in."""
    monkeypatch.setattr(rows_module, "ROWS_PER_BATCH", 4)
    table = table_of(*({"amount_minor": n} for n in range(1, 11)))
    for batches in ([table], table.to_batches(max_chunksize=3)):
        message = written(header(table), *batches)
        assert texts(message, ".//p:PmtInf/p:NbOfTxs") == ["4", "4", "2"]
        assert texts(message, ".//p:PmtInf/p:CtrlSum") == ["0.10", "0.26", "0.19"]


xml_text = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("&<>\"'\t\n\r"),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "end_to_end_id": xml_text,
                "debtor_account": xml_text,
                "creditor_name": xml_text,
                "creditor_agent": xml_text,
                "remittance_unstructured": xml_text,
                "purpose": xml_text,
                "amount_minor": st.integers(0, 10**18 - 1),
                "currency": st.sampled_from(["EUR", "JPY", "KWD", "CLF"]),
            }
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_text_survives(table_of: TableOf, header: Header, rows: list[dict[str, Any]]) -> None:
    """Whatever characters XML can hold come back unchanged, amounts are exact, and the message is valid."""
    table = table_of(*rows)
    message = written(header(table), table)
    for element, row in zip(message.findall(".//p:CdtTrfTxInf", SPACE), rows, strict=True):
        assert texts(element, "p:PmtId/p:EndToEndId") == [row["end_to_end_id"]]
        assert texts(element, "p:Cdtr/p:Nm") == [row["creditor_name"]]
        assert texts(element, "p:RmtInf/p:Ustrd") == [row["remittance_unstructured"]]
        amount = texts(element, "p:Amt/p:InstdAmt")[0]
        assert int(amount.replace(".", "")) == row["amount_minor"]


def test_absent_texts_leave_no_empty_elements(table_of: TableOf, header: Header) -> None:
    """Null and empty texts are left out: the schema allows no empty ones."""
    nothing = dict.fromkeys(("debtor_name", "creditor_name", "creditor_account", "creditor_agent"))
    table = table_of(nothing, {**nothing, "creditor_name": "", "remittance_unstructured": "", "purpose": ""})
    message = written(header(table), table)
    assert texts(message, ".//p:Cdtr/p:Nm") == []
    assert texts(message, ".//p:Ustrd") == []


def test_sum_beyond_the_schema_is_left_out(table_of: TableOf, header: Header) -> None:
    """A control sum of more than 18 digits cannot be said: the optional element is absent, the message valid."""
    table = table_of({"amount_minor": 10**18 - 1}, {"amount_minor": 10**18 - 1})
    message = written(header(table), table)
    assert texts(message, ".//p:CtrlSum") == []
    assert sum(map(Decimal, texts(message, ".//p:InstdAmt"))) == Decimal(2 * (10**18 - 1)) / 100


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"direction": "DBIT"}, "a debit cannot be sent"),
        ({"amount_minor": 10**18}, "more than 18 digits"),
        ({"end_to_end_id": "R" * 36}, "end_to_end_id is longer than 35"),
        ({"creditor_name": "N" * 141}, "creditor_name is longer than 140"),
        ({"creditor_name": "Secret\x07"}, "creditor_name holds a character"),
        ({"remittance_unstructured": "Secret\uffff"}, "remittance_unstructured holds a character"),
        ({"debtor_account": None}, "debtor_account is missing"),
        ({"debtor_account": ""}, "debtor_account is missing"),
        ({"end_to_end_id": ""}, "end_to_end_id is missing"),
    ],
)
def test_payment_that_cannot_be_said_is_named(
    table_of: TableOf, header: Header, change: dict[str, Any], why: str
) -> None:
    """A payment that pain.001 cannot hold is named by its payment_id, without its values."""
    table = table_of({}, change)
    with pytest.raises(SetAside, match=why) as caught:
        written(header(table), table)
    assert f"payment {2:032x}" in str(caught.value)
    assert "Secret" not in str(caught.value)


def test_books_off(table_of: TableOf, header: Header) -> None:
    """Rows that are not what the plan claims raise BooksOff; a plan of no payments is refused at once."""
    with pytest.raises(BooksOff):
        written(header(table_of({})), table_of({}, {}))
    with pytest.raises(SetAside, match="at least one payment"):
        written(header(table_of({}), total=Total()))


def test_every_text_has_a_length(table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """Each text that a writer uses has a limit, and a message with all texts at their limit passes validation."""
    assert set(TEXTS) < set(LENGTH_MAX)
    table = table_of({name: "é" * length for name, length in LENGTH_MAX.items()})
    written(header(table), table)
    with (tmp_path / "full.xml").open("wb") as sink:
        write_file("pain.001.001.09", header(table), [table], sink)
    validate_file("pain.001.001.09", tmp_path / "full.xml")


def test_initiating_party_is_checked(table_of: TableOf, header: Header) -> None:
    """The name of the sender is escaped, or left out when empty, or refused when XML cannot hold it."""
    table = table_of({})
    assert texts(written(header(table, initiating_party="A & B"), table), ".//p:InitgPty/p:Nm") == ["A & B"]
    assert texts(written(header(table, initiating_party=""), table), ".//p:InitgPty/p:Nm") == []
    with pytest.raises(SetAside, match="initiating_party"):
        written(header(table, initiating_party="A\x07"), table)
