"""`tieout reconcile`: arguments, exit status, the JSON object and the screen."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from payments.errors import WrongConfiguration
from payments.states import MismatchKind
from tieout import reconcile

LEFT = "reference,amount,currency,iban\nA,5.04,EUR,DE89370400440532013000\nB,7,JPY,x\n"
RIGHT = (
    "reference,amount,currency,iban\nA,5.0400,EUR,DE89370400440532013001\nB,7,JPY,x\nB,7,JPY,x\nC\u202e\x1b,1,EUR,x\n"
)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    (tmp_path / "left.csv").write_text(LEFT, encoding="utf-8")
    (tmp_path / "right.csv").write_text(RIGHT, encoding="utf-8")
    return [str(tmp_path / "left.csv"), str(tmp_path / "right.csv")]


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    reconcile.add_arguments(parser)
    return reconcile.run(parser.parse_args(arguments))


def test_json_is_one_object_and_differing_files_exit_1(paths: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints one object with every kind; files that differ exit 1; the guessed key is said on stderr."""
    assert run(*paths, "--json", "--limit", "1") == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["left"] == {"count": 2, "amount_minor": {"EUR/CRDT": 504, "JPY/CRDT": 7}}
    assert found["right"] == {"count": 4, "amount_minor": {"EUR/CRDT": 604, "JPY/CRDT": 14}}
    assert found["matched"] == {"count": 1, "amount_minor": {"JPY/CRDT": 7}}
    assert set(found["mismatches_by_kind"]) == set(MismatchKind)
    assert {kind: count for kind, count in found["mismatches_by_kind"].items() if count} == {
        "account_differs": 1,
        "duplicate_result": 1,
        "unknown_to_us": 1,
    }
    assert (found["key"], found["key_guessed"], found["agrees"]) == (["reference"], True, False)
    assert found["compared"] == ["amount", "currency", "iban"]
    assert found["mismatches_listed"] == len(found["mismatches"]) == 1
    assert "the key is guessed: reference" in captured.err
    assert "DE8937" not in captured.out + captured.err


def test_equal_files_exit_0(paths: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A file agrees with itself: status 0, nothing said on stderr when the key is given."""
    assert run(paths[0], paths[0], "--key", "reference") == 0
    captured = capsys.readouterr()
    assert captured.out.endswith("the files agree\n")
    assert captured.err == ""


def test_the_screen_names_sums_kinds_and_rows(paths: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The screen shows sums in major units, each kind with its count, masked values, and no control characters."""
    assert run(*paths, "--limit", "2") == 1
    out = capsys.readouterr().out
    assert "EUR/CRDT 5.04" in out
    assert "account_differs  A  (left row 1, right row 1); iban: …3000 / …3001" in out
    assert "and 1 more" in out
    assert run(*paths) == 1
    assert "C\\u202e\\u001b" in capsys.readouterr().out


def test_all_options_reach_the_compare(paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Key, compared columns, paired names and the output file are taken from the command line."""
    right = tmp_path / "right.csv"
    right.write_text(RIGHT.replace("reference", "ref no"), encoding="utf-8")
    output = tmp_path / "out.csv"
    options = ["--map", "reference=ref no", "--compare", "amount,currency", "--output", str(output)]
    assert run(*paths, "--key", "reference", *options, "--memory-limit-mb", "256", "--threads", "1") == 1
    assert "compared  amount, currency\n" in capsys.readouterr().out
    assert len(output.read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize("options", [["--map", "reference"], ["--map", "=x"], ["--key", "nothing"]])
def test_wrong_use_raises(paths: list[str], options: list[str]) -> None:
    """Options that cannot be met are wrong use, which the command line turns into exit status 2."""
    with pytest.raises(WrongConfiguration):
        run(*paths, *options)


def test_a_negative_limit_is_wrong_use(paths: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers below zero are refused by the parser itself, status 2."""
    with pytest.raises(SystemExit) as caught:
        run(*paths, "--limit", "-1")
    assert caught.value.code == 2
    assert "must not be negative" in capsys.readouterr().err
