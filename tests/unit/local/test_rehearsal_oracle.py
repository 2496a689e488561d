"""The oracle of the rehearsals: it lets every honest end pass, and names every lie."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from local.hostile_watch import Content
from local.rehearsal_oracle import Told, compare
from payments.books import Total
from payments.companions import Companion
from payments.records import Attempt, OutboundFile, Receipt

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
SHA = "a" * 64
FILE = OutboundFile(
    file_id="f" * 24,
    acquirer="north",
    business_date=date(2026, 3, 2),
    window="w",
    split=0,
    generation=1,
    sequence=1,
    name="a.csv",
    format="delimited",
    state="sealed",
    assembly=1,
    created_at=NOW,
    config_hash="c",
    total=Total(1, {"EUR/CRDT": 1}),
    size=5,
    sha256=SHA,
)
RECEIPT = Receipt(FILE.file_id, 1, "inbox/a.csv", 5, SHA, "rename confirmed", "SHA256:x", NOW)
WHOLE = Content(5, SHA)
PART = Content(2, "b" * 64)
ONE = [("a.csv", WHOLE)]

MARKER = Companion(FILE.file_id, "north", "marker", "a.csv.done", "placed", NOW)
EMPTY = Content(0, hashlib.sha256(b"").hexdigest())


def attempt(state: str) -> tuple[Attempt, ...]:
    return (Attempt(FILE.file_id, 1, state, ".f-1.part", "worker:1", NOW),)


def told(
    state: str, *, receipt: Receipt | None = None, tries: tuple[Attempt, ...] = (), kept: str = SHA, note: str = ""
) -> Told:
    file = replace(FILE, state=state, note=note, attempts=len(tries))
    return Told(file, tries, receipt, kept)


@pytest.mark.parametrize(
    ("said", "hands"),
    [
        (told("sealed"), []),
        (told("sealed", tries=attempt("failed"), note="cut off"), []),
        (told("sealed", tries=attempt("revoked")), []),
        (told("delivering", tries=attempt("started"), note="x"), []),
        (told("delivering", tries=attempt("rename_intended"), note="x"), ONE),
        (told("delivered", receipt=RECEIPT, tries=attempt("done")), ONE),
        (told("reconciled", receipt=RECEIPT, tries=attempt("done")), ONE),
        (told("in_doubt", tries=attempt("doubtful"), note="lost"), ONE),
        (told("in_doubt", tries=attempt("doubtful"), note="lost"), []),
    ],
)
def test_an_honest_end_has_no_contradiction(said: Told, hands: list[tuple[str, Content]]) -> None:
    """What the ledger claims and the acquirer has agree, doubts included."""
    assert compare([said], hands, {name: [content] for name, content in hands}) == []


@pytest.mark.parametrize(
    ("said", "hands", "contents", "says"),
    [
        (told("delivered", receipt=RECEIPT), [], {}, "does not have it"),
        (told("delivered", receipt=RECEIPT), [("a.csv", PART)], {}, "does not have it"),
        (told("delivered", receipt=RECEIPT), ONE * 2, {}, "has it 2 times"),
        (told("in_doubt", note="lost"), ONE * 2, {}, "has it 2 times"),
        (told("delivered"), ONE, {}, "without a receipt"),
        (told("delivered", receipt=replace(RECEIPT, sha256="c" * 64)), ONE, {}, "without a receipt"),
        (told("delivered", receipt=replace(RECEIPT, verified_by="")), ONE, {}, "without a receipt"),
        (told("sealed", receipt=RECEIPT), [], {}, "yet it has a receipt"),
        (told("in_doubt", receipt=RECEIPT, note="lost"), [], {}, "yet it has a receipt"),
        (told("sealed"), ONE, {}, "sealed, and the acquirer has it"),
        (told("delivering", tries=attempt("started"), note="x"), ONE, {}, "delivering, and the acquirer has it"),
        (told("cancelled"), ONE, {}, "cancelled, and the acquirer has it"),
        (told("in_doubt"), [], {}, "nothing says why"),
        (told("sealed", tries=attempt("failed")), [], {}, "nothing says why"),
        (told("sealed", kept=""), [], {}, "source object"),
        (told("delivered", receipt=RECEIPT), ONE, {"a.csv": [PART, WHOLE]}, "saw 1 contents that the ledger"),
        (told("sealed"), [], {"b.csv": [WHOLE]}, "b.csv: the acquirer saw 1"),
    ],
)
def test_a_lie_is_named(
    said: Told, hands: list[tuple[str, Content]], contents: dict[str, list[Content]], says: str
) -> None:
    """Each claim that the hands deny, each copy too many, each part that was seen and each silence is a contradiction."""
    found = compare([said], hands, contents)
    assert len(found) == 1
    assert says in found[0]


@pytest.mark.parametrize(
    ("state", "copies", "faults"), [("placed", 1, 0), ("doubtful", 0, 0), ("placed", 0, 1), ("due", 2, 1)]
)
def test_a_marker_is_there_once_when_it_is_called_placed(state: str, copies: int, faults: int) -> None:
    """One marker beside its file agrees; none though it is called placed, or two whatever it is called, do not."""
    known = replace(told("delivered", receipt=RECEIPT, tries=attempt("done")), beside=replace(MARKER, state=state))
    hands = ONE + [(MARKER.name, EMPTY)] * copies
    contents = {"a.csv": [WHOLE], MARKER.name: [EMPTY]}
    assert len(compare([known], hands, contents)) == faults
