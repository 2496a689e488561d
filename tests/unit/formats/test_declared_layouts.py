"""Files by a declared layout: records of fixed width, and delimited columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formats import rows as rows_module
from formats.details import around_text, detail_text
from formats.header import FileHeader
from formats.layout_names import AROUND, DETAIL
from formats.layout_rules import layout_problems
from formats.outbound import validate_file, write_file
from formats.recount import Fingerprint, recount
from formats.rows import COLUMNS as COLUMNS_OF_ROWS
from payments.books import Total
from payments.config import AcquirerSection
from payments.config_files import DelimitedColumns, FixedField, FixedWidth, Layout, Split
from payments.errors import SetAside, Unreadable, WrongConfiguration
from runtime.settings import decode
from tests.unit.transfer.assemble_world import acquirer

TableOf = Callable[..., pa.Table]
Header = Callable[..., FileHeader]


def fixed(*more: FixedField, **changes: Any) -> FixedWidth:
    fields = [
        FixedField(record="header", name="tag", width=2, constant="HD"),
        FixedField(record="header", name="file_name", width=40),
        FixedField(record="header", name="business_date", width=8),
        FixedField(record="header", name="sequence", width=6, align="right", pad="0"),
        FixedField(name="tag", width=2, constant="DT"),
        FixedField(name="line", width=7, align="right", pad="0"),
        FixedField(name="end_to_end_id", width=20),
        FixedField(name="direction", width=1, values={"CRDT": "C", "DBIT": "D"}),
        FixedField(name="amount_minor", width=15, align="right", pad="0"),
        FixedField(name="currency", width=3),
        FixedField(name="requested_date", width=8),
        FixedField(name="creditor_name", width=30),
        *more,
        FixedField(record="trailer", name="tag", width=2, constant="TR"),
        FixedField(record="trailer", name="count", width=9, align="right", pad="0"),
        FixedField(record="trailer", name="sum_minor", width=20, align="right", pad="0"),
    ]
    return FixedWidth(**{"field": fields, **changes})


COLUMNS = ["line", "end_to_end_id", "direction", "amount", "currency", "requested_date", "creditor_name", "purpose"]


def columns(**changes: Any) -> DelimitedColumns:
    return DelimitedColumns(**{"columns": COLUMNS, **changes})


def name_of(layout: Layout) -> str:
    return "fixed_width" if isinstance(layout, FixedWidth) else "delimited_columns"


def write(layout: Layout, header: FileHeader, table: pa.Table, folder: Path) -> Path:
    path = folder / "file"
    with path.open("wb") as sink:
        write_file(name_of(layout), header, [table], sink, layout)
    return path


ROWS: tuple[dict[str, Any], ...] = (
    {"end_to_end_id": "A1", "amount_minor": 504, "creditor_name": "Anna"},
    {"end_to_end_id": "B2", "amount_minor": 7, "currency": "JPY", "direction": "DBIT", "creditor_name": None},
    {"end_to_end_id": "C3", "amount_minor": 0, "requested_date": date(2026, 12, 31), "creditor_name": 'a;b "c"'},
)


def fingerprint(table: pa.Table) -> str:
    found = Fingerprint()
    for row in table.to_pylist():
        values = [row[name] for name in ("end_to_end_id", "direction", "amount_minor", "currency")]
        found.add(*[*values, row["requested_date"].isoformat()])
    return found.value


def test_a_fixed_width_file_is_as_declared(table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """Every field stands at its place with its padding: text to the left, numbers to the right with zeros."""
    table = table_of(*ROWS)
    lines = write(fixed(line_end="crlf"), header(table), table, tmp_path).read_bytes().split(b"\r\n")
    assert lines == [
        b"HDnorthbank_20260302_000001_1.csv         20260302000001",
        b"DT0000001A1                  C000000000000504EUR20260302Anna                          ",
        b"DT0000002B2                  D000000000000007JPY20260302                              ",
        b'DT0000003C3                  C000000000000000EUR20261231a;b "c"                       ',
        b"TR00000000300000000000000000511",
        b"",
    ]


def test_delimited_columns_are_as_declared(table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """The first line has the titles, each payment its columns in order, quotes only where the separator asks for them."""
    table = table_of(*ROWS)
    layout = columns(titles=["no", "ref", "way", "amount", "ccy", "day", "to", "why"], date_format="%d.%m.%Y")
    assert write(layout, header(table), table, tmp_path).read_text().splitlines() == [
        "no;ref;way;amount;ccy;day;to;why",
        "1;A1;CRDT;5.04;EUR;02.03.2026;Anna;",
        "2;B2;DBIT;7;JPY;02.03.2026;;",
        '3;C3;CRDT;0.00;EUR;31.12.2026;"a;b ""c""";',
    ]
    bare = write(columns(head=False, separator="\t", line_end="crlf"), header(table), table, tmp_path).read_bytes()
    assert bare.startswith(b"1\tA1\tCRDT\t5.04\tEUR\t2026-03-02\tAnna\t\r\n2\tB2")


LAYOUTS = [fixed(), fixed(line_end="crlf", date_format="%d%m%Y"), columns(), columns(head=False, line_end="crlf")]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_was_written_is_read_back(layout: Layout, table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """Count, sums per currency and direction, and each payment come back from the bytes and the layout alone."""
    table = table_of(*ROWS)
    path = write(layout, header(table), table, tmp_path)
    # The layout as a manifest keeps it.
    kept = msgspec.json.decode(msgspec.json.encode(layout), type=type(layout))
    found = recount(name_of(layout), path, kept)
    assert (found.count, found.sums) == (3, {"EUR/CRDT": 504, "JPY/DBIT": 7})
    assert found.fingerprint.value == fingerprint(table)
    validate_file(name_of(layout), path, layout, header(table).total)
    if isinstance(layout, FixedWidth):
        assert found.stated == {
            "file name": "northbank_20260302_000001_1.csv",
            "business date": "2026-03-02",
            "sequence": "1",
            "trailer count": "3",
            "trailer sum of minor units": "511",
        }


@pytest.mark.parametrize("layout", [fixed(), columns()])
def test_every_lost_or_changed_byte_shows(layout: Layout, table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """A file that is cut anywhere is never valid; a changed digit, line or end is found before it is sealed."""
    table = table_of(*ROWS)
    path = write(layout, header(table), table, tmp_path)
    whole, total = path.read_bytes(), header(table).total
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(SetAside):
            validate_file(name_of(layout), path, layout, total)
    lines = whole.splitlines(keepends=True)
    damaged = [
        whole.replace(b"04", b"05", 1),
        whole.replace(b"EUR", b"USD", 1),
        whole.replace(b"EUR", b"EU1", 1),
        whole.replace(b"JPY", b"EUR", 1),
        whole + lines[-1],
        b"".join([*lines[:2], *lines[1:]]),
        b"".join([lines[0], lines[2], lines[1], *lines[3:]]),
        b"".join(lines[1:]),
        whole.replace(b"A1", b"\xff\xff", 1)
        if isinstance(layout, DelimitedColumns)
        else whole.replace(b"DT", b"DX", 1),
    ]
    for data in damaged:
        assert data != whole
        path.write_bytes(data)
        with pytest.raises(SetAside):
            validate_file(name_of(layout), path, layout, total)


@pytest.mark.parametrize("line", range(5))
def test_a_record_has_exactly_its_width(line: int, table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """A blank more or less at the end of any record would move every field behind it: it is refused."""
    table = table_of(*ROWS)
    path = write(fixed(), header(table), table, tmp_path)
    lines = path.read_bytes().split(b"\n")
    for changed in (lines[line] + b" ", lines[line][:-1]):
        path.write_bytes(b"\n".join([*lines[:line], changed, *lines[line + 1 :]]))
        with pytest.raises(Unreadable, match=r"width|too long"):
            recount("fixed_width", path, fixed())


def test_a_plan_of_other_payments_is_refused(table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """A file without trailer is compared with its plan: a payment less would otherwise not show."""
    table = table_of(*ROWS)
    path = write(columns(), header(table), table, tmp_path)
    with pytest.raises(SetAside, match="plan"):
        validate_file("delimited_columns", path, columns(), Total(2, {"EUR/CRDT": 504}))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"creditor_name": "N" * 31}, "creditor_name is longer than 30"),
        ({"end_to_end_id": "R" * 21}, "end_to_end_id is longer than 20"),
        ({"end_to_end_id": "R "}, "end_to_end_id looks like the padding"),
        ({"end_to_end_id": ""}, "end_to_end_id is missing"),
        ({"amount_minor": 10**15}, "amount_minor is longer than 15"),
        ({"creditor_name": "two\nlines"}, "creditor_name holds a control character"),
        ({"creditor_name": "Zoë"}, "creditor_name holds a character that ascii"),
    ],
)
def test_what_a_field_cannot_hold_is_refused(
    row: dict[str, Any], why: str, table_of: TableOf, header: Header, tmp_path: Path
) -> None:
    """A value is never cut, and never breaks its line: the payment is named, its values are not."""
    table = table_of({}, row)
    with pytest.raises(SetAside, match=why) as caught:
        write(fixed(), header(table), table, tmp_path)
    assert f"payment {2:032x}" in str(caught.value)


def test_a_constant_of_ours_must_be_true(table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """A layout for euros only refuses other currencies; a code that the layout lacks is refused, never guessed."""
    fields = [each for each in fixed().field if each.name != "currency"]
    euros = FixedWidth(field=[*fields, FixedField(name="currency", width=3, constant="EUR")])
    table = table_of({}, {})
    assert recount("fixed_width", write(euros, header(table), table, tmp_path), euros).sums == {"EUR/CRDT": 24690}
    table = table_of({}, {"currency": "USD"})
    with pytest.raises(SetAside, match="currency is not 'EUR'"):
        write(euros, header(table), table, tmp_path)
    credits_only = FixedWidth(
        field=[
            FixedField(name="direction", width=1, values={"CRDT": "C"}) if each.name == "direction" else each
            for each in fixed().field
        ]
    )
    table = table_of({"direction": "DBIT"})
    with pytest.raises(SetAside, match="direction has a value without a code"):
        write(credits_only, header(table), table, tmp_path)


def test_one_byte_per_character(table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """In iso-8859-1 an accented letter is one byte, so that places do not move; what it lacks is refused."""
    layout = fixed(encoding="iso-8859-1")
    table = table_of({"creditor_name": "Zoë"})
    assert b"Zo\xeb" + b" " * 27 + b"\n" in write(layout, header(table), table, tmp_path).read_bytes()
    table = table_of({"creditor_name": "Zoë €"})
    with pytest.raises(SetAside, match="iso-8859-1 does not have"):
        write(layout, header(table), table, tmp_path)


texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=20)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "end_to_end_id": texts,
                "creditor_name": texts | st.sampled_from(["", 'x";\n"', "\r\n"]),
                "amount_minor": st.integers(0, 2**63 - 1),
                "currency": st.sampled_from(["EUR", "JPY", "KWD"]),
                "direction": st.sampled_from(["CRDT", "DBIT"]),
                "requested_date": st.dates(date(1970, 1, 1), date(2067, 12, 31)),
            }
        ),
        max_size=5,
    ),
    layout=st.sampled_from(LAYOUTS),
)
def test_a_file_is_refused_or_read_back(
    table_of: TableOf, header: Header, tmp_path: Path, rows: list[dict[str, Any]], layout: Layout
) -> None:
    """Whatever the payments are: either one of them is refused, or every one comes back from the bytes."""
    table = table_of(*rows) if rows else table_of({}).slice(0, 0)
    if isinstance(layout, FixedWidth):
        layout = msgspec.structs.replace(layout, encoding="iso-8859-1")
    try:
        path = write(layout, header(table), table, tmp_path)
    except SetAside:
        return
    found = recount(name_of(layout), path, layout)
    assert found.count == len(rows)
    assert found.fingerprint.value == fingerprint(table)
    validate_file(name_of(layout), path, layout, header(table).total)


def test_bytes_do_not_depend_on_batches(table_of: TableOf, header: Header, monkeypatch: pytest.MonkeyPatch) -> None:
    """However payments were stored, the same file has the same bytes, and lines are numbered through."""
    monkeypatch.setattr(rows_module, "ROWS_PER_BATCH", 4)
    table = table_of(*({"end_to_end_id": f"E{n}", "amount_minor": n} for n in range(11)))
    for layout in (fixed(), columns()):
        found = set()
        for batches in ([table], table.to_batches(max_chunksize=3)):
            sink = io.BytesIO()
            write_file(name_of(layout), header(table), batches, sink, layout)
            found.add(sink.getvalue())
        assert len(found) == 1
    lines = list(csv.reader(found.pop().decode().splitlines(), delimiter=";"))
    assert [line[0] for line in lines[1:]] == [str(n) for n in range(1, 12)]


def test_a_format_without_its_layout_is_refused(table_of: TableOf, header: Header, tmp_path: Path) -> None:
    """Nothing is written, validated or counted by a layout that nobody declared."""
    table = table_of({})
    for name in ("fixed_width", "delimited_columns"):
        with pytest.raises(WrongConfiguration, match=name):
            write_file(name, header(table), [table], io.BytesIO())
        with pytest.raises(Unreadable, match="layout"):
            recount(name, tmp_path)


def section(layout: Layout | None, **changes: Any) -> AcquirerSection:
    if layout is None:
        return acquirer(**changes)
    return acquirer(**{"format": name_of(layout), name_of(layout): layout, **changes})


@pytest.mark.parametrize("layout", [*LAYOUTS, None])
def test_a_sound_layout_has_no_problem(layout: Layout | None) -> None:
    """What can be written and counted again is allowed."""
    assert list(layout_problems(section(layout))) == []


def test_every_name_has_a_value(table_of: TableOf, header: Header) -> None:
    """Each name that a layout may use is written: the lists of names and of values do not drift apart."""
    assert {*COLUMNS_OF_ROWS} - {*DETAIL} == {"minor_unit"}
    table = table_of({})
    batch = table.select(COLUMNS_OF_ROWS).to_batches()[0]
    assert all(len(detail_text(batch, name, 1, "%Y%m%d")) == 1 for name in DETAIL)
    assert tuple(around_text(header(table), "%Y%m%d")) == AROUND


def without(name: str) -> FixedWidth:
    return FixedWidth(field=[each for each in fixed().field if each.name != name])


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        (acquirer(format="fixed_width"), "fixed_width"),
        (acquirer(fixed_width=fixed()), "fixed_width"),
        (acquirer(split=Split(amount_per_file_max={"euro": 1})), "split.amount_per_file_max"),
        (section(columns(columns=[*COLUMNS, "iban"])), "delimited_columns.columns"),
        (section(columns(columns=[*COLUMNS, "purpose"])), "delimited_columns.columns"),
        (section(columns(columns=COLUMNS[1:4])), "delimited_columns.columns"),
        (section(columns(titles=["one"])), "delimited_columns.titles"),
        *((section(without(name)), "fixed_width.field") for name in ("amount_minor", "currency", "direction")),
        (section(fixed(FixedField(name="currency", width=3))), "fixed_width.field"),
        (section(fixed(FixedField(name="iban", width=3))), "fixed_width.field[12].name"),
        (
            section(fixed(FixedField(record="header", name="count", width=3, constant="7"))),
            "fixed_width.field[12].name",
        ),
        (section(fixed(FixedField(name="x", width=1, constant="xx"))), "fixed_width.field[12].constant"),
        (section(fixed(FixedField(name="purpose", width=5, pad="0"))), "fixed_width.field[12].pad"),
        (section(fixed(FixedField(name="purpose", width=5, values={"a": "b"}))), "fixed_width.field[12].values"),
        (section(fixed(date_format="%d.%m.%Y")), "fixed_width.field[2].width"),
    ],
)
def test_a_layout_that_cannot_work_is_named(wrong: AcquirerSection, key: str) -> None:
    """A layout that could not be counted again, or that no payment fits, is refused with the path of its key."""
    assert key in [found for found, _, _ in layout_problems(wrong)]


def test_codes_must_tell_values_apart() -> None:
    """Two values with one code could not be told apart in the bytes."""
    fields = [
        FixedField(name="direction", width=1, values={"CRDT": "C", "DBIT": "C"}) if each.name == "direction" else each
        for each in fixed().field
    ]
    assert [key for key, _, _ in layout_problems(section(FixedWidth(field=fields)))] == ["fixed_width.field[7].values"]


WRONG = """
[[acquirer]]
name = "northbank"
format = "delimited_columns"
results_list = "all"
final_status = "ACSC"
complete_when = "trailer"
sequence = "strict"
[acquirer.sftp]
host = "sftp.example.com"
user = "tieout"
key = "file:keys/client"
host_keys = ["ssh-ed25519 AAAA"]
[acquirer.encode.pgp]
recipients = ["-----BEGIN PGP"]
[acquirer.delimited_columns]
columns = ["end_to_end_id", "direction", "currency", "requested_date"]
"""


def test_the_configuration_is_refused_before_anything_starts() -> None:
    """A layout without amount, then a key that is no reference, are named with their path; the key itself is not shown."""
    with pytest.raises(WrongConfiguration, match=r"acquirer\[0\]\.delimited_columns\.columns"):
        decode(WRONG.encode(), "tieout.toml")
    with pytest.raises(WrongConfiguration, match=r"acquirer\[0\]\.encode\.pgp") as caught:
        decode(WRONG.replace('["end_to', '["amount", "end_to').encode(), "tieout.toml")
    assert "BEGIN PGP" not in str(caught.value)
