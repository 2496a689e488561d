"""docs/formats.md and the code agree: its example is a file that our own readers take, its records have the fields that we read."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from formats.delimited_in import EVENT_FIELDS, read_delimited
from formats.pain001 import NAMESPACE
from formats.recount import PD_FIELDS, recount
from formats.stated import STATUSES
from formats.validation import validate_file
from reconciliation.naming import WORDS
from tests.unit.docs.doc_pages import ROOT, fences, part, text_of

PAGE = ROOT / "docs" / "formats.md"


def records() -> dict[str, list[str]]:
    """The fields of each record that is laid out, by its first field."""
    lines = [line for _, body in fences(PAGE) for line in body.splitlines() if "<" in line]
    return {line.partition(",")[0]: line.split(",") for line in lines}


def example() -> str:
    return next(body for _, body in fences(PAGE) if body.startswith("FH,") and "<" not in body)


def test_the_example_of_a_file_is_such_a_file(tmp_path: Path) -> None:
    """What the page shows passes the check before sealing, and an auditor's recount finds its own count and sums."""
    path = tmp_path / "example.csv"
    path.write_text(example(), encoding="utf-8")
    validate_file("delimited", path)
    found = recount("delimited", path)
    assert found.count == int(found.stated["count"]) == 2
    assert dict(found.sums) == found.stated["sums"]


def test_the_example_of_a_file_has_the_fields_that_are_laid_out() -> None:
    """Each line of the example has as many fields as the layout above it names."""
    laid_out = records()
    for line in example().replace('"Payee, Sons"', "Payee").splitlines():
        assert len(line.split(",")) == len(laid_out[line[:2]])
    assert len(laid_out["PD"]) == PD_FIELDS


def test_results_have_the_fields_that_are_laid_out(tmp_path: Path) -> None:
    """RD is laid out with the fields that are read; a file made from the layouts is read whole and without problem."""
    laid_out = records()
    assert len(laid_out["RD"]) == len(EVENT_FIELDS)
    event = {
        "end to end id": "REF00001",
        "status": "ACSC",
        "amount": "10.01",
        "currency": "EUR",
        "direction": "CRDT",
        "sequence": "1",
        "created at": "2026-03-02T07:00:00Z",
        "count": "1",
        "sums": "EUR/CRDT=10.01",
    }
    lines = [
        ",".join(event.get(field[1:-1], "") if field.startswith("<") else field for field in laid_out[tag])
        for tag in ("RH", "RD", "RT")
    ]
    path = tmp_path / "example.result.1"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    reading = read_delimited(path, ZoneInfo("UTC"))
    assert [batch.num_rows for batch in reading]
    assert (reading.events, reading.unreadable, reading.problems, reading.complete) == (1, 0, [], True)


@pytest.mark.parametrize(("head", "events"), [("AH,", 0), ("RH,", 2)])
def test_the_examples_of_what_comes_back_are_read_whole(tmp_path: Path, head: str, events: int) -> None:
    """An acquirer who writes what the page shows is understood: nothing is unreadable, and count and sums agree."""
    (shown,) = [body for _, body in fences(PAGE) if body.startswith(head) and "<" not in body]
    path = tmp_path / "example"
    path.write_text(shown, encoding="utf-8")
    reading = read_delimited(path, ZoneInfo("UTC"))
    assert sum(batch.num_rows for batch in reading) == len(shown.splitlines())
    assert (reading.events, reading.unreadable, reading.problems, reading.complete) == (events, 0, [], True)


def test_the_words_on_a_whole_file_are_those_of_the_code() -> None:
    """The table of words names exactly the statuses that accept, accept in part, or refuse."""
    states = {"accepted": "acknowledged", "partial": "partially_accepted", "refused": "refused"}
    told: dict[str, str] = {}
    for line in part(text_of("docs/formats.md"), "A word on the whole file").splitlines():
        cells = line.split(" | ")
        state = re.search(r"`([a-z_]+)`", cells[-1])
        if line.startswith("| `") and state is not None:
            told |= dict.fromkeys(re.findall(r"`([A-Z]+)`", cells[0]), state[1])
    assert told == {status: states[word] for status, word in WORDS.items()}


def test_the_statuses_of_a_payment_are_those_of_the_code() -> None:
    """The table of statuses holds exactly those that a payment may have."""
    told = re.findall(r"^\| `([A-Z]+)` \|", part(text_of("docs/formats.md"), "Statuses of a payment"), re.MULTILINE)
    assert sorted(told) == sorted(STATUSES)


@pytest.mark.parametrize(
    "name", ["TIEOUT1", "pain.002", "pain.008.001.08", "Fixed width", "Delimited columns", NAMESPACE.rpartition(":")[2]]
)
def test_every_format_has_its_part(name: str) -> None:
    """Each format that is written or read has a heading of its own."""
    assert re.search(rf"^## {re.escape(name)}\b", text_of("docs/formats.md"), re.MULTILINE)
