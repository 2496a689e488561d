"""What the stand-in acquirer does not take, and how it says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.unit.local.acquirer_world import NOON, World, delimited, pain001, payments_of, text_of

NAME = "a.csv"
NO_DELAYS: dict[str, Any] = dict.fromkeys(("ack_delay_s", "result_delay_s", "late_delay_s", "return_delay_s"), 0)
Lines = list[list[str]]


def _set(line: int, field: int, value: str) -> Callable[[Lines], str]:
    def spoil(lines: Lines) -> str:
        lines[line][field] = value
        return text_of(lines)

    return spoil


SPOILED: dict[str, tuple[str, Callable[[Lines], str]]] = {
    "empty": ("FF01", lambda _: ""),
    "not ours": ("FF01", lambda _: "hello\n"),
    "another version": ("FF01", _set(0, 1, "TIEOUT9")),
    "another acquirer": ("FF01", _set(0, 2, "southbank")),
    "another name": ("FF01", _set(0, 3, "b.csv")),
    "no message id": ("FF01", _set(0, 4, "")),
    "sequence is no number": ("FF01", _set(0, 5, "one")),
    "sequence used": ("DU01", _set(0, 5, "0")),
    "sequence gap": ("NARR", _set(0, 5, "2")),
    "business date": ("DT01", _set(0, 6, "2026-02-30")),
    "business date form": ("DT01", _set(0, 6, "20260302")),
    "line number": ("FF01", _set(2, 1, "7")),
    "reference missing": ("FF01", _set(2, 2, "")),
    "reference twice": ("DU04", _set(2, 2, "REF-1-000001")),
    "direction": ("FF01", _set(2, 3, "CREDIT")),
    "amount negative": ("AM12", _set(2, 4, "-5.00")),
    "amount scientific": ("AM12", _set(2, 4, "1e3")),
    "amount with comma": ("AM12", _set(2, 4, "12,34")),
    "amount in other digits": ("AM12", _set(2, 4, "١٢.٣٤")),
    "amount too large": ("AM12", _set(2, 4, "1" * 18 + ".00")),
    "amount without whole part": ("AM12", _set(2, 4, ".50")),
    "amount with wrong decimals": ("AM12", _set(2, 4, "5.0000")),
    "currency": ("AM11", _set(2, 5, "eur")),
    "requested date": ("DT01", _set(2, 6, "tomorrow")),
    "trailer count": ("AM18", _set(-1, 1, "9")),
    "trailer date": ("DT01", _set(-1, 2, "2026-03-03")),
    "trailer sequence": ("FF01", _set(-1, 3, "2")),
    "trailer sum": ("AM10", _set(-1, 4, "EUR/CRDT=1.00")),
    "trailer sum unreadable": ("AM10", _set(-1, 4, "EUR/CRDT=1.0")),
    "trailer missing": ("FF01", lambda lines: text_of(lines[:-1])),
    "a field too many": ("FF01", lambda lines: text_of([*lines[:2], [*lines[2], ""], *lines[3:]])),
    "a payment lost": ("FF01", lambda lines: text_of([*lines[:2], *lines[3:]])),
    "the last payment lost": ("AM18", lambda lines: text_of([*lines[:-2], lines[-1]])),
    "cut in the middle": ("FF01", lambda lines: text_of(lines)[:-200]),
    "cut in quotes": ("FF01", lambda lines: text_of(lines)[: text_of(lines).rindex("March")]),
    "more behind the trailer": ("FF01", lambda lines: text_of(lines) + "FT\n"),
    "endless line": ("FF01", lambda lines: text_of(lines[:1]) + "PD," * 100_000),
    "no payments": ("AM18", lambda lines: text_of([lines[0], ["FT", "0", "2026-03-02", "1", ""]])),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_bad_file_is_refused_with_its_code_and_gets_no_results(tmp_path: Path, case: str) -> None:
    """Each way to spoil a file gives RJCT with the ISO code for it, no result, and a truth that agrees."""
    code, spoil = SPOILED[case]
    world = World(tmp_path, **NO_DELAYS)
    payments = [each | {"currency": "EUR"} for each in payments_of(10)]
    world.put(NAME, spoil(delimited(NAME, 1, payments)))
    assert world.work(NOON) is None
    assert list(world.answers()) == [f"{NAME}.ack"]
    _, verdict, count, found, text, following = world.acknowledgement(NAME)
    assert (verdict, count, found) == ("RJCT", "0", code)
    assert text
    assert "ACC" not in text
    (truth,) = world.truth()
    assert (truth["kind"], truth["verdict"], truth["code"]) == ("file", "RJCT", code)
    # A number is used up as soon as the header was read and in turn, as the partner's own count goes on as well.
    in_turn = truth["sequence"] == 1
    assert following == ("2" if in_turn else "1")


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused as unreadable."""
    world = World(tmp_path, **NO_DELAYS)
    (world.root / "inbox" / NAME).write_bytes(text_of(delimited(NAME, 1, payments_of(3))).encode() + b"\xff\xfe")
    world.work(NOON)
    assert world.acknowledgement(NAME)[3] == "FF01"


def test_the_sequence_grows_by_exactly_one_across_restarts(tmp_path: Path) -> None:
    """1, 2, then 4 is a gap and 2 is used, also for an acquirer that was restarted in between; 3 then goes through."""
    world = World(tmp_path, **NO_DELAYS)
    for name, sequence, verdict in (
        ("a.csv", 1, "ACTC"),
        ("b.csv", 2, "ACTC"),
        ("d.csv", 4, "RJCT"),
        ("x.csv", 2, "RJCT"),
        ("c.csv", 3, "ACTC"),
    ):
        world.restart()
        world.put(name, text_of(delimited(name, sequence, payments_of(5), message_id=f"id-{name}")))
        world.work(NOON)
        assert world.acknowledgement(name)[1] == verdict, name
    assert world.acknowledgement("c.csv")[5] == "4"


def test_a_message_id_is_taken_once(tmp_path: Path) -> None:
    """A second file with the message id of the first is refused as a duplicate."""
    world = World(tmp_path, **NO_DELAYS)
    for sequence, name in enumerate(("a.csv", "b.csv"), 1):
        world.put(name, text_of(delimited(name, sequence, payments_of(5), message_id="same")))
        world.work(NOON)
    assert world.acknowledgement("b.csv")[3] == "DU01"


def test_a_name_is_taken_once_and_the_first_file_stays_as_it_was(tmp_path: Path) -> None:
    """A file sent again under its name is refused beside the first, whose bytes and answers are untouched."""
    world = World(tmp_path, **NO_DELAYS)
    world.send(NAME, 1, payments_of(5))
    world.work(NOON)
    before, archived = world.answers(), (world.root / "archive" / NAME).read_bytes()
    for _ in range(2):
        world.restart()
        world.send(NAME, 2, payments_of(6))
        world.work(NOON)
    assert {name: content for name, content in world.answers().items() if ".again." not in name} == before
    assert (world.root / "archive" / NAME).read_bytes() == archived
    for again in (1, 2):
        assert world.lines(f"{NAME}.again.{again}.ack")[1][1:4] == ["RJCT", "0", "DU01"]
    world.send("b.csv", 2, payments_of(6))
    world.work(NOON)
    assert world.acknowledgement("b.csv")[1] == "ACTC"


@pytest.mark.parametrize("name", [".a.csv", "a.csv.tmp", "a.csv.part", "a.csv.filepart"])
def test_unfinished_files_are_left_alone(tmp_path: Path, name: str) -> None:
    """A temporary name is not picked up."""
    world = World(tmp_path, **NO_DELAYS)
    world.send(name, 1, payments_of(5))
    world.work(NOON)
    assert world.answers() == {}
    assert (world.root / "inbox" / name).exists()


def _replaced(old: str, new: str, count: int = -1) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, count)


SPOILED_PAIN: dict[str, tuple[str, Callable[[str], str]]] = {
    "count of the group": ("AM19", _replaced("<NbOfTxs>6<", "<NbOfTxs>5<")),
    "count of a block": ("AM20", _replaced("<NbOfTxs>3<", "<NbOfTxs>2<", 1)),
    "sum of the group": ("AM16", _replaced("<CtrlSum>", "<CtrlSum>1", 1)),
    "sum of a block": ("AM17", lambda text: "<CtrlSum>1".join(text.rsplit("<CtrlSum>", 1))),
    "decimals": ("CH20", _replaced("</InstdAmt>", "1</InstdAmt>", 1)),
    "negative amount": ("AM12", _replaced('Ccy="EUR">', 'Ccy="EUR">-', 1)),
    "scientific amount": ("AM12", _replaced("</InstdAmt>", "e3</InstdAmt>", 1)),
    "two points": ("AM12", _replaced("</InstdAmt>", ".1</InstdAmt>", 1)),
    "currency": ("AM11", _replaced('Ccy="EUR"', 'Ccy="Euro"', 1)),
    "no message id": ("FF01", _replaced("<MsgId>M</MsgId>", "")),
    "date": ("DT01", _replaced("2026-03-03", "2026-03-32")),
    "no reference": ("FF01", _replaced("EndToEndId", "InstrId")),
    "cut off": ("FF01", lambda text: text[:-100]),
    "empty": ("FF01", lambda _: ""),
    "document type": ("FF01", _replaced("<Document", '<!DOCTYPE x [<!ENTITY e "1">]><Document')),
    "no payments": ("AM18", lambda text: text.replace("CdtTrfTxInf", "DrctDbtTxInf").replace("PmtInf>", "Pmt>")),
}


@pytest.mark.parametrize("case", SPOILED_PAIN)
def test_a_bad_pain_file_is_refused_with_its_code(tmp_path: Path, case: str) -> None:
    """Counts, control sums, amounts, document types and broken XML are each refused with their ISO code."""
    code, spoil = SPOILED_PAIN[case]
    world = World(tmp_path, format="pain.001.001.09", **NO_DELAYS)
    world.put("p.xml", spoil(pain001("M", [each | {"currency": "EUR"} for each in payments_of(6)])))
    world.work(NOON)
    assert list(world.answers()) == ["p.ack.xml"]
    tree = etree.fromstring(world.answers()["p.ack.xml"])
    assert (tree.findtext(".//{*}GrpSts"), tree.findtext(".//{*}Rsn/{*}Cd")) == ("RJCT", code)


def test_a_file_that_the_client_takes_back_in_time_never_was(tmp_path: Path) -> None:
    """A name that vanishes between look and pick-up is not taken, and may come again."""
    world = World(tmp_path, **NO_DELAYS)
    world.desk.work([[NAME]], NOON)
    world.restart()
    world.send(NAME, 1, payments_of(5))
    world.work(NOON)
    assert world.acknowledgement(NAME)[1] == "ACTC"
