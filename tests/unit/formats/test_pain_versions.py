"""The other messages that we send: pain.001 of 2009 and 2022, pain.008; and that the bytes of the first formats stay."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lxml import etree

from formats.header import FileHeader
from formats.outbound import validate_file, write_file
from formats.recount import Fingerprint, control_sum_holds, recount
from payments.errors import SetAside, Unreadable

TableOf = Callable[..., pa.Table]
Header = Callable[..., FileHeader]
DATA = Path(__file__).parents[2] / "data" / "xsd"
CREDITS = ("pain.001.001.03", "pain.001.001.09", "pain.001.001.11")
MESSAGES = (*CREDITS, "pain.008.001.08")
ROWS: tuple[dict[str, Any], ...] = (
    {"amount_minor": 504, "purpose": "SALA", "creditor_name": "A & B <C>"},
    {"amount_minor": 7, "currency": "JPY", "debtor_agent": None, "creditor_agent": None, "purpose": "something else"},
    {"amount_minor": 1, "currency": "KWD", "debtor_account": "1234567", "creditor_account": "7654321"},
    {"requested_date": date(2026, 3, 4), "debtor_agent": "not a BIC", "creditor_agent": "1XXXFRPP"},
    {"debtor_name": None, "creditor_name": "", "remittance_unstructured": "one\ntwo"},
)


def direction(name: str) -> str:
    return "CRDT" if name in CREDITS else "DBIT"


def write(name: str, header: Header, table: pa.Table, folder: Path) -> Path:
    path = folder / "message.xml"
    with path.open("wb") as sink:
        write_file(name, header(table), [table], sink)
    return path


@pytest.mark.parametrize("name", MESSAGES)
def test_each_message_is_valid_and_counted_again(name: str, table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """Each version is valid by the schema of ISO 20022, and its payments come back from the bytes one by one."""
    rows = [{**row, "direction": direction(name)} for row in ROWS]
    table = table_of(*rows)
    path = write(name, header, table, tmp_path)
    etree.XMLSchema(etree.parse(DATA / f"{name}.xsd")).assertValid(etree.parse(path))
    validate_file(name, path)
    found = recount(name, path)
    wanted = Fingerprint()
    for row in table.to_pylist():
        values = [row[key] for key in ("end_to_end_id", "direction", "amount_minor", "currency")]
        wanted.add(*[*values, row["requested_date"].isoformat()])
    assert found.count == len(rows)
    assert found.sums == header(table).total.amount_minor
    assert found.fingerprint.value == wanted.value
    assert found.groups_off == 0
    assert control_sum_holds(found)


@pytest.mark.parametrize(("name", "bic"), [("pain.001.001.03", "BIC"), ("pain.001.001.11", "BICFI")])
def test_versions_differ_in_bic_and_date(
    name: str, bic: str, table_of: TableOf, header: Header, tmp_path: Path
) -> None:
    """The version of 2009 has BIC and a plain date, later ones BICFI and a date in a choice."""
    text = write(name, header, table_of({}, {"debtor_agent": "1XXXDEFF"}), tmp_path).read_text()
    assert f"<{bic}>COBADEFFXXX</{bic}>" in text
    assert ("<ReqdExctnDt>2026-03-02</ReqdExctnDt>" in text) == (bic == "BIC")
    # Only the later standard lets a BIC begin with digits.
    assert ("<Othr><Id>1XXXDEFF</Id></Othr>" in text) == (bic == "BIC")


def test_a_direct_debit_is_grouped_by_its_creditor(table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """pain.008 collects for one creditor and date per group, whoever the debtors are."""
    rows = [{"direction": "DBIT", "debtor_account": f"77{n}"} for n in range(3)]
    table = table_of(*rows, {"direction": "DBIT", "creditor_account": "99"})
    message = etree.parse(write("pain.008.001.08", header, table, tmp_path))
    space = "{urn:iso:std:iso:20022:tech:xsd:pain.008.001.08}"
    groups = [each.findtext(f"{space}NbOfTxs") for each in message.iter(f"{space}PmtInf")]
    assert groups == ["3", "1"]


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize(
    "changed", ["debtor_account", "creditor_account", "end_to_end_id", "direction", "creditor_name"]
)
def test_what_a_message_cannot_say_is_refused(
    name: str, changed: str, table_of: TableOf, header: Header, tmp_path: Path
) -> None:
    """The wrong direction, a missing account or reference, a text that is too long: the payment is named, nothing of it shown."""
    way = direction(name)
    bad = {"direction": "DBIT" if way == "CRDT" else "CRDT", "creditor_name": "N" * 141}.get(changed)
    table = table_of({"direction": way}, {"direction": way, changed: bad})
    if changed == "creditor_account" and name in CREDITS:
        write(name, header, table, tmp_path)  # a credit may go without: the agent knows the creditor
        return
    with pytest.raises(SetAside, match=r"payment 0{31}2" if changed != "direction" else "payment") as caught:
        write(name, header, table, tmp_path)
    assert "NNN" not in str(caught.value)


@pytest.mark.parametrize("name", MESSAGES)
def test_another_version_is_not_counted(name: str, table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """A message of one version is neither valid as another nor counted as one."""
    path = write(name, header, table_of({"direction": direction(name)}), tmp_path)
    for other in MESSAGES:
        if other != name:
            with pytest.raises(Unreadable):
                recount(other, path)
            with pytest.raises(SetAside):
                validate_file(other, path)


@pytest.mark.parametrize("name", MESSAGES)
def test_product_and_tests_use_the_same_schemas(name: str) -> None:
    """Each schema inside the product is byte for byte the one that the tests judge by."""
    product = Path(__file__).parents[3] / "formats" / "data" / f"{name}.xsd"
    assert product.read_bytes() == (DATA / product.name).read_bytes()


GOLDEN = {
    "delimited": "97251ae457d2112cc2726bfedd6fc0e1f67b3fd870c252a61992cd8f43d06d1c",
    "pain.001.001.09": "49be519a7506f7e91c41c5f9e233acfb9b97edfdf3119c7aab22525d6100c4d7",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_bytes_of_the_first_formats_stay(name: str, table_of: TableOf, header: Header) -> None:
    """Files of TIEOUT1 and pain.001.001.09 have the bytes that version 0.1.0 gave them: a restart after an upgrade resumes."""
    rows = []
    for number in range(1, 121):
        row: dict[str, Any] = {"amount_minor": number * number * 37}
        if number % 7 == 0:
            row |= {"currency": "JPY"}
        if number % 11 == 0:
            row |= {"debtor_agent": None, "debtor_name": "A & B <x>", "purpose": "SALA"}
        if number % 13 == 0:
            row |= {"requested_date": date(2026, 3, 5), "remittance_unstructured": 'two\nlines, "q"\r'}
            row |= {"purpose": "other thing"}
        if number % 17 == 0:
            row |= {"creditor_agent": "not a bic", "creditor_account": "1234567", "debtor_account": "998877"}
        if number % 19 == 0:
            row |= {"creditor_name": "", "creditor_agent": None, "currency": "KWD"}
        rows.append(row)
    table = table_of(*rows)
    sink = io.BytesIO()
    write_file(name, header(table, created_at=datetime(2026, 3, 2, 6, tzinfo=UTC)), [table], sink)
    assert hashlib.sha256(sink.getvalue()).hexdigest() == GOLDEN[name]
