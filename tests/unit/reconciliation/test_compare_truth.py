"""What agrees, what differs, and how: planted truths, precedence, sums and the two formats."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from payments.states import MismatchKind as Kind
from reconciliation.compare import Comparison, compare_files

HEADER = "reference,amount,currency,direction,status,requested_date,creditor_account,remittance"
BASE = ("A", "5.04", "EUR", "CRDT", "ACSC", "2026-03-02", "DE0012345678901234", "rent")
PLACES = dict(zip(HEADER.split(","), range(8), strict=True))


def row(**changes: str) -> str:
    values = list(BASE)
    for name, value in changes.items():
        values[PLACES[name]] = value
    return ",".join(values)


def compare(tmp_path: Path, left: list[str], right: list[str], **options: object) -> Comparison:
    """Two delimited files; every list begins with its header."""
    (tmp_path / "left.csv").write_text("\n".join(left) + "\n", encoding="utf-8")
    (tmp_path / "right.csv").write_text("\n".join(right) + "\n", encoding="utf-8")
    return compare_files(tmp_path / "left.csv", tmp_path / "right.csv", **options)  # type: ignore[arg-type]


def kinds(found: Comparison) -> dict[Kind, int]:
    return {kind: count for kind, count in found.mismatches_by_kind.items() if count}


def test_equal_files_agree(tmp_path: Path) -> None:
    """The same payments in another order agree, with equal sums on all three sides."""
    left, right = [row(reference="A"), row(reference="B", currency="JPY", amount="7")], [row(reference="A")]
    found = compare(tmp_path, [HEADER, *left], [HEADER, left[1], *right])
    assert found.agrees
    assert found.left == found.right == found.matched
    assert found.matched.to_json() == {"count": 2, "amount_minor": {"EUR/CRDT": 504, "JPY/CRDT": 7}}
    assert found.key == ("reference",)
    assert found.key_guessed
    assert set(found.mismatches_by_kind) == set(Kind)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"amount": "5.05"}, Kind.AMOUNT_DIFFERS),
        ({"currency": "USD"}, Kind.CURRENCY_DIFFERS),
        ({"direction": "DBIT"}, Kind.DIRECTION_DIFFERS),
        ({"status": "RJCT"}, Kind.STATUS_CONFLICT),
        ({"requested_date": "2026-03-03"}, Kind.DATE_DIFFERS),
        ({"creditor_account": "DE0012345678901235"}, Kind.ACCOUNT_DIFFERS),
        ({"remittance": "Rent"}, Kind.DATA_DIFFERS),
        ({"status": "RJCT", "currency": "USD", "amount": "1"}, Kind.STATUS_CONFLICT),
        ({"currency": "USD", "direction": "DBIT", "amount": "1"}, Kind.CURRENCY_DIFFERS),
        ({"direction": "DBIT", "amount": "1"}, Kind.DIRECTION_DIFFERS),
        ({"amount": "1", "creditor_account": "x", "requested_date": ""}, Kind.AMOUNT_DIFFERS),
        ({"creditor_account": "x", "requested_date": "", "remittance": ""}, Kind.ACCOUNT_DIFFERS),
        ({"requested_date": "", "remittance": ""}, Kind.DATE_DIFFERS),
    ],
)
def test_one_kind_by_precedence_and_all_fields(tmp_path: Path, changes: dict[str, str], kind: Kind) -> None:
    """A pair has the first kind of the precedence, and every field that differs is listed."""
    found = compare(tmp_path, [HEADER, row()], [HEADER, row(**changes)])
    assert kinds(found) == {kind: 1}
    assert [each.field for each in found.mismatches[0].fields] == [name for name in PLACES if name in changes]
    assert (found.left.count, found.right.count, found.matched.count) == (1, 1, 0)
    assert found.matched.amount_minor == {}


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        ("", "RJCT", Kind.STATUS_REJECTED),
        ("", "RTRN", Kind.RETURNED),
        ("", "ACSC", Kind.STATUS_CONFLICT),
        ("ACSC", "RTRN", Kind.STATUS_CONFLICT),
        ("ACSC", "", Kind.STATUS_CONFLICT),
    ],
)
def test_a_conflict_needs_two_statements(tmp_path: Path, ours: str, theirs: str, kind: Kind) -> None:
    """Where ours states no status, the acquirer's rejection or return says what happened; else the two conflict."""
    found = compare(tmp_path, [HEADER, row(status=ours)], [HEADER, row(status=theirs, amount="9")])
    assert kinds(found) == {kind: 1}


def test_missing_and_unknown(tmp_path: Path) -> None:
    """A key on one side only is missing at the acquirer or unknown to us; a null key never matches."""
    left = [row(reference="A"), row(reference="B"), row(reference=""), row(reference="  ")]
    right = [row(reference="A"), row(reference="C"), row(reference="")]
    found = compare(tmp_path, [HEADER, *left], [HEADER, *right])
    assert kinds(found) == {Kind.MISSING_AT_ACQUIRER: 3, Kind.UNKNOWN_TO_US: 2}
    assert [(each.left_row, each.right_row) for each in found.mismatches] == [
        (2, None),
        (3, None),
        (4, None),
        (None, 2),
        (None, 3),
    ]
    assert found.matched.amount_minor == {"EUR/CRDT": 504}


def test_one_null_and_equal_row_on_each_side_do_not_match(tmp_path: Path) -> None:
    """Two rows that are equal but for their absent key stay apart."""
    found = compare(tmp_path, [HEADER, row(reference="")], [HEADER, row(reference="")])
    assert kinds(found) == {Kind.MISSING_AT_ACQUIRER: 1, Kind.UNKNOWN_TO_US: 1}


def test_extra_copies_are_duplicates_and_the_first_may_match(tmp_path: Path) -> None:
    """Of identical keys the first row of each file is compared, every other one is a duplicate of its side."""
    left = [row(reference="A"), row(reference="A", amount="6"), row(reference="B"), row(reference="B")]
    right = [row(reference="A"), row(reference="A"), row(reference="A"), row(reference="C"), row(reference="C")]
    found = compare(tmp_path, [HEADER, *left], [HEADER, *right])
    assert kinds(found) == {
        Kind.DUPLICATE_SENT: 2,
        Kind.DUPLICATE_RESULT: 3,
        Kind.MISSING_AT_ACQUIRER: 1,
        Kind.UNKNOWN_TO_US: 1,
    }
    assert found.matched.count == 1
    swapped = compare(tmp_path, [HEADER, left[1], left[0]], [HEADER, right[0]])
    assert kinds(swapped) == {Kind.AMOUNT_DIFFERS: 1, Kind.DUPLICATE_SENT: 1}


def test_several_key_columns(tmp_path: Path) -> None:
    """A key of two columns matches on both, and a null in either part never matches."""
    header = "file,line,amount"
    left, right = ["f,1,1", "f,2,2", "g,1,3", "g,,4"], ["g,1,3", "f,1,1", "f,2,9", "g,,4"]
    found = compare(tmp_path, [header, *left], [header, *right], key=("FILE", " line"))
    assert kinds(found) == {Kind.AMOUNT_DIFFERS: 1, Kind.MISSING_AT_ACQUIRER: 1, Kind.UNKNOWN_TO_US: 1}
    assert found.key == ("file", "line")
    assert not found.key_guessed


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("5.0400", "5.04"),
        ("005.04", "5.04"),
        ("+5.04", "5.04"),
        ("-0.00", "0"),
        ("100", "100.000"),
        ("-5.10", "-5.1"),
        ("0.50", "00.5"),
        ("123456789012345678901234567890.10", "123456789012345678901234567890.1"),
        ("1e3", "1e3"),
    ],
)
def test_amounts_are_exact_decimals(tmp_path: Path, ours: str, theirs: str) -> None:
    """Two spellings of one decimal agree, of any length."""
    assert compare(tmp_path, ["id,amount", f"1,{ours}"], ["id,amount", f"1,{theirs}"]).agrees


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("1e3", "1000"),
        ('"12,34"', "12.34"),
        ("123456789012345678.01", "123456789012345678.02"),
        ("0.1", "0.10000000000000001"),
        (".5", "0.5"),
        ("5.", "5"),
        ("5", "-5"),
        ("\u0665", "5"),
        ("", "0"),
        ("1 000", "1000"),
    ],
)
def test_what_is_not_the_same_decimal_differs(tmp_path: Path, ours: str, theirs: str) -> None:
    """No float, no exponent, no comma: what is not exactly the same number differs."""
    found = compare(tmp_path, ["id,amount", f"1,{ours}"], ["id,amount", f"1,{theirs}"])
    assert kinds(found) == {Kind.AMOUNT_DIFFERS: 1}


def test_sums_use_the_decimals_of_each_currency(tmp_path: Path) -> None:
    """Yen have none, dinars three; 18 digits stay exact; what cannot be exact is unreadable beside the sum."""
    amounts = [
        ("999999999999999999.99", "EUR", "CRDT"),
        ("999999999999999999.99", "EUR", "CRDT"),
        ("1500", "JPY", "CRDT"),
        ("1500.00", "JPY", "CRDT"),
        ("0.001", "KWD", "DBIT"),
        ("1.5", "JPY", "CRDT"),
        ("0.0001", "KWD", "DBIT"),
        ("1e3", "EUR", "CRDT"),
        ("1", "XXX", "CRDT"),
        ("1", "eur", "CRDT"),
        ("1", "EUR", "C"),
        ("", "EUR", "CRDT"),
    ]
    lines = ["id,amount,currency,direction", *(f"{at},{','.join(each)}" for at, each in enumerate(amounts))]
    found = compare(tmp_path, lines, lines)
    assert found.agrees
    assert found.left.to_json() == {
        "count": 12,
        "amount_minor": {"EUR/CRDT": 2 * 99999999999999999999, "JPY/CRDT": 3000, "KWD/DBIT": 1},
        "unreadable": 7,
    }
    assert found.matched == found.left


def test_without_a_direction_the_sign_is_the_direction(tmp_path: Path) -> None:
    """Negative amounts are debits where no column says so; with one, the sign stays in the sum."""
    found = compare(tmp_path, ["id,amount,currency", "1,-5.00,EUR", "2,7,EUR"], ["id,amount,currency", "1,-5,EUR"])
    assert found.left.amount_minor == {"EUR/CRDT": 700, "EUR/DBIT": 500}
    assert found.matched.amount_minor == {"EUR/DBIT": 500}
    signed = ["id,amount,currency,direction", "1,-5,EUR,CRDT"]
    assert compare(tmp_path, signed, signed).left.amount_minor == {"EUR/CRDT": -500}


def test_leading_zeros_never_make_a_sum_unreadable(tmp_path: Path) -> None:
    """A number padded to any length is the same number in the compare and in the sums."""
    header = "id,amount,currency"
    found = compare(tmp_path, [header, f"1,{'0' * 40}5,EUR"], [header, "1,5,EUR"])
    assert found.agrees
    assert found.left == found.right


def test_minor_units_and_absent_columns(tmp_path: Path) -> None:
    """`amount_minor` is summed as it is; without amount or currency there is no sum."""
    minor = ["id,amount_minor,currency", "1,504,EUR"]
    assert compare(tmp_path, minor, minor).matched.amount_minor == {"EUR/CRDT": 504}
    bare = ["id,amount", "1,504"]
    found = compare(tmp_path, minor, bare)
    assert found.right.to_json() == {"count": 1, "amount_minor": None}
    assert found.left.amount_minor == {"EUR/CRDT": 504}


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("2026-03-02", "20260302", True),
        ("2026-03-02", "2026-03-02T00:00:00Z", True),
        ("2026-03-02", "2026-03-02 00:00:00", True),
        ("2026-03-02", "2026-03-02T01:00:00Z", False),
        ("2026-03-02", "02.03.2026", False),
        ("20261302", "2026-13-02", False),
        ("", "   ", True),
    ],
)
def test_dates_are_compared_as_dates(tmp_path: Path, ours: str, theirs: str, *, same: bool) -> None:
    """Both forms of ISO 8601 and a time of midnight are the same date; anything else is text."""
    found = compare(tmp_path, ["id,value_date", f"1,{ours}"], ["id,value_date", f"1,{theirs}"])
    assert kinds(found) == ({} if same else {Kind.DATE_DIFFERS: 1})


def test_outer_blanks_and_empty_text_do_not_count(tmp_path: Path) -> None:
    """Values and keys are compared without outer blanks, but inner blanks and case count."""
    header = "id,note,tag"
    assert compare(tmp_path, [header, "  1,a b ,"], [header, '1, a b,""']).agrees
    assert kinds(compare(tmp_path, [header, "1,a b,"], [header, "1,a  b,"])) == {Kind.DATA_DIFFERS: 1}
    assert kinds(compare(tmp_path, [header, "1,a,"], [header, "1,A,"])) == {Kind.DATA_DIFFERS: 1}


def test_compare_and_map_choose_the_columns(tmp_path: Path) -> None:
    """Only the named columns are compared; columns of different names are paired by hand."""
    left, right = ["ref,amount,note", "1,5,x"], ["Their Ref,value,NOTE", "1,6,y"]
    found = compare(tmp_path, left, right, renamed={"ref": "their ref", "amount": "value"})
    assert found.compared == ("amount", "note")
    assert kinds(found) == {Kind.AMOUNT_DIFFERS: 1}
    nothing = compare(tmp_path, left, right, renamed={"ref": "Their Ref"}, compare=())
    assert nothing.agrees
    assert nothing.compared == ()


def test_mapped_columns_are_summed_under_our_names(tmp_path: Path) -> None:
    """Amount and currency of the right file are found where the map says they are."""
    left, right = ["id,amount,currency", "1,5.00,EUR", "2,10.00,EUR"], ["ref,Value,CCY", "1,5,EUR", "2,10.0,EUR"]
    found = compare(tmp_path, left, right, renamed={"id": "ref", "amount": "Value", "currency": "CCY"}, key=("id",))
    assert found.agrees
    assert found.left.amount_minor == found.right.amount_minor == found.matched.amount_minor == {"EUR/CRDT": 1500}


def test_parquet_and_delimited_give_one_answer(tmp_path: Path) -> None:
    """The same payments typed in Parquet, as text in Parquet and as delimited text compare alike in every combination."""
    dates = ["2026-03-02", "2026-03-03", None, "2026-03-05"]
    amounts = ["5.04", "7.50", "100.00", None]
    text = pa.table({"ID": ["1", "2", "3", "4"], "Amount": amounts, "currency": ["EUR"] * 4, "value_date": dates})
    typed = pa.table(
        {
            "id": pa.array([1, 2, 3, 4], pa.int64()),
            "amount": pa.array([None if a is None else Decimal(a) for a in amounts], pa.decimal128(18, 4)),
            "currency": pa.array(["EUR"] * 4).dictionary_encode(),
            "value_date": pa.array(dates).cast(pa.date32()),
        }
    )
    pq.write_table(text, tmp_path / "text.parquet")
    pq.write_table(typed, tmp_path / "typed.parquet")
    (tmp_path / "ours.csv").write_text(
        "id;amount;currency;value_date\n1;5.04;EUR;20260302\n2;7.5;EUR;2026-03-03\n3;100;EUR;\n4;;EUR;2026-03-05\n"
    )
    forms = [tmp_path / name for name in ("text.parquet", "typed.parquet", "ours.csv")]
    answers = [compare_files(left, right) for left in forms for right in forms]
    assert all(each.agrees for each in answers)
    assert {str(each.left.to_json()) for each in answers} == {
        "{'count': 4, 'amount_minor': {'EUR/CRDT': 11254}, 'unreadable': 1}"
    }


def test_times_flags_and_floating_point_in_parquet(tmp_path: Path) -> None:
    """Times compare as instants, flags without case, floats by their shortest text, which is said in a note."""
    table = pa.table(
        {
            "id": pa.array([1.0, 2.0]),
            "amount": pa.array([0.1, 12.30]),
            "at": pa.array([1772431200, 1772434800], pa.timestamp("s", tz="UTC")).cast(pa.timestamp("us", tz="UTC")),
            "urgent": pa.array([True, False]),
        }
    )
    pq.write_table(table, tmp_path / "left.parquet")
    (tmp_path / "right.csv").write_text(
        "id,amount,at,urgent\n1,0.10,2026-03-02T06:00:00Z,True\n2,12.3,2026-03-02T08:00:00+01:00,FALSE\n"
    )
    found = compare_files(tmp_path / "left.parquet", tmp_path / "right.csv")
    assert found.agrees
    assert any("amount is floating point" in note for note in found.notes)


def test_a_wrong_pass_over_cannot_stay_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a pair with different amounts taken for equal, the sums of what is left would not tie: BooksOff."""
    from payments.errors import BooksOff
    from reconciliation import compare_sql

    monkeypatch.setattr(compare_sql, "_kinds", lambda _plan: "WHEN r.n IS NULL THEN 'missing_at_acquirer'")
    with pytest.raises(BooksOff, match="does not tie"):
        compare(tmp_path, ["id,amount,currency", "1,5,EUR"], ["id,amount,currency", "1,6,EUR"])
