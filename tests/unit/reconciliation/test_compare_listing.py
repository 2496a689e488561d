"""The mismatches as listed on a screen and as written to a file."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from reconciliation.compare import compare_files
from reconciliation.compare_columns import masked

LEFT = """id,amount,creditor_account,creditor_name,note
1,-5.00,DE89370400440532013000,Ada,=cmd|calc
2,6,DE89370400440532013000,Bob,pay DE89370400440532013000
3,7,x,Cy,\uff0b1
"""
RIGHT = """id,amount,creditor_account,creditor_name,note
1,-6.00,FR1420041010050500013M02606,Ada,@sum
2,6,DE89370400440532013000,Bob B,pay DE89370400440532013000 now
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "left.csv").write_text(LEFT, encoding="utf-8")
    (tmp_path / "right.csv").write_text(RIGHT, encoding="utf-8")
    return tmp_path / "left.csv", tmp_path / "right.csv"


def test_the_listing_masks_and_limits(files: tuple[Path, Path]) -> None:
    """Accounts and names show their ends at most, also inside other text; amounts stay; `limit` bounds the list."""
    found = compare_files(*files, limit=2)
    shown = [each.to_json() for each in found.mismatches]
    assert [each["kind"] for each in shown] == ["amount_differs", "data_differs"]
    assert shown[0]["fields"] == [
        {"field": "amount", "left": "-5.00", "right": "-6.00"},
        {"field": "creditor_account", "left": "…3000", "right": "…2606"},
        {"field": "note", "left": "=cmd|calc", "right": "@sum"},
    ]
    assert "DE8937" not in str(shown)
    assert "Bob" not in str(shown)
    assert compare_files(*files, limit=0).mismatches == ()


def test_the_csv_output_holds_all_and_no_formula(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Every mismatch with its values as given; cells that a spreadsheet would run are quoted, negative amounts are not."""
    compare_files(*files, limit=0, output=tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["kind"] for row in rows] == ["amount_differs", "data_differs", "missing_at_acquirer"]
    assert rows[0]["differing"] == "amount|creditor_account|note"
    assert (rows[0]["row_left"], rows[0]["row_right"], rows[0]["key_id"]) == ("1", "1", "1")
    assert (rows[0]["left_note"], rows[0]["right_note"], rows[2]["left_note"]) == ("'=cmd|calc", "'@sum", "'\uff0b1")
    assert rows[0]["left_amount"] == "-5.00"
    assert rows[0]["left_creditor_account"] == "DE89370400440532013000"
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600


def test_the_parquet_output_holds_values_as_given(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Parquet needs no guard against formulas; an older file of that name is replaced."""
    (tmp_path / "out.parquet").write_bytes(b"old")
    compare_files(*files, output=tmp_path / "out.parquet")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["left_note"] for row in rows] == ["=cmd|calc", "pay DE89370400440532013000", "\uff0b1"]
    assert rows[2]["row_right"] is None


def test_two_runs_write_the_same_bytes(files: tuple[Path, Path], tmp_path: Path) -> None:
    """The same inputs give the same bytes."""
    for name in ("one.csv", "two.csv"):
        compare_files(*files, output=tmp_path / name)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


@pytest.mark.parametrize(
    ("name", "value", "is_key", "shown"),
    [
        ("creditor_account", "DE89370400440532013000", False, "…3000"),
        ("iban", "short", False, "…"),
        ("iban", "DE89370400440532013000", True, "…3000"),
        ("card_number", "4111111111111111", False, "…1111"),
        ("reference", "4111111111111111", True, "4111111111111111"),
        ("note", "card 4111 1111 1111 1111", False, "…1111"),
        ("amount", "123456789012345678.90", False, "123456789012345678.90"),
        ("note", None, False, None),
    ],
)
def test_masking(name: str, value: str | None, shown: str | None, *, is_key: bool) -> None:
    """Columns of accounts, cards and names are always masked, other text where it looks like them, keys and amounts never."""
    assert masked(name, value, is_key=is_key) == shown
