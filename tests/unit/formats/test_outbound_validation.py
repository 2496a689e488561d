"""The second look at a written file before it is sealed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from formats.header import FileHeader
from formats.outbound import validate_file, write_file
from payments.errors import SetAside, WrongConfiguration

TableOf = Callable[..., pa.Table]
Header = Callable[..., FileHeader]
DATA = Path(__file__).parents[2] / "data"
KNOWN_BAD = DATA / "formats" / "known-bad"


@pytest.fixture
def delimited(table_of: TableOf, header: Header, tmp_path: Path) -> Path:
    table = table_of({"remittance_unstructured": "two\nPD,9,lines"}, {}, {"creditor_name": 'a "quoted" name'})
    path = tmp_path / "out.csv"
    with path.open("wb") as sink:
        write_file("delimited", header(table), [table], sink)
    return path


def test_written_file_passes(delimited: Path) -> None:
    """A file as written passes, line ends and quotes inside of texts included."""
    validate_file("delimited", delimited)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\nFT,3,", b"\nFT,4,"),
        (b"\nPD,2,", b"\nPD,5,"),
        (b"FH,", b"XX,"),
        (b"\nFT,", b"\nXX,"),
        (b"quoted", b'quo"ted'),
    ],
)
def test_changed_file_is_refused(delimited: Path, old: bytes, new: bytes) -> None:
    """A wrong count, a missing number, another head or trailer, or open quotes: the file is refused."""
    data = delimited.read_bytes()
    assert old in data
    delimited.write_bytes(data.replace(old, new))
    with pytest.raises(SetAside, match=r"out\.csv"):
        validate_file("delimited", delimited)


@pytest.mark.parametrize("cut", [1, 20, 60, 400])
def test_cut_file_is_refused(delimited: Path, cut: int) -> None:
    """A file that lost its last bytes, even only the last line end, is refused."""
    delimited.write_bytes(delimited.read_bytes()[:-cut])
    with pytest.raises(SetAside, match=r"trailer|follow"):
        validate_file("delimited", delimited)


def test_empty_file_is_refused(tmp_path: Path) -> None:
    """An empty file is no outbound file in any format."""
    (tmp_path / "empty").write_bytes(b"")
    for name in ("delimited", "pain.001.001.09"):
        with pytest.raises(SetAside):
            validate_file(name, tmp_path / "empty")


@pytest.mark.parametrize(
    "name",
    ["pain001_iban_checkdigit.xml", "pain001_sepa_charset.xml", "pain001_utf8_bom.xml", "pain001_zero_amount.xml"],
)
def test_schema_accepts_what_it_must(name: str) -> None:
    """Messages that only break rules beyond the schema pass: those rules belong to curation."""
    validate_file("pain.001.001.09", KNOWN_BAD / name)


@pytest.mark.parametrize(
    "name",
    [
        "pain001_billion_laughs.xml",
        "pain001_control_char.xml",
        "pain001_declared_utf8_is_latin1.xml",
        "pain001_endtoend_36.xml",
        "pain001_mismatched_tag.xml",
        "pain001_nul_byte.xml",
        "pain001_wrong_namespace.xml",
    ],
)
def test_schema_refuses_what_it_must(name: str) -> None:
    """A message that breaks the schema or XML itself is refused with the line, without quoting any value."""
    with pytest.raises(SetAside, match=r"line \d+ breaks the schema") as caught:
        validate_file("pain.001.001.09", KNOWN_BAD / name)
    assert caught.value.__suppress_context__
    assert "DE" not in str(caught.value)


def test_product_and_tests_use_the_same_schema() -> None:
    """The schema inside the product is byte for byte the one that the tests judge by."""
    product = Path(__file__).parents[3] / "formats" / "data" / "pain.001.001.09.xsd"
    ours, theirs = (hashlib.sha256(each.read_bytes()).digest() for each in (product, DATA / "xsd" / product.name))
    assert ours == theirs


def test_unknown_format_is_not_valid(delimited: Path) -> None:
    """A format that we do not write is never called valid."""
    with pytest.raises(WrongConfiguration):
        validate_file("fixed", delimited)
