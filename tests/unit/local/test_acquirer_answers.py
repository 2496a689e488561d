"""What the stand-in acquirer answers to good files, and when."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from local.acquirer.settings import KINDS
from tests.unit.local.acquirer_world import NOON, SHARES, World, major, pain001, payments_of, sums_of

NAME = "northbank_20260302_000001_1.csv"
NO_DELAYS: dict[str, Any] = dict.fromkeys(("ack_delay_s", "result_delay_s", "late_delay_s", "return_delay_s"), 0)
XSD = Path(__file__).parents[2] / "data" / "xsd" / "pain.002.001.12.xsd"


def _money(line: list[str]) -> tuple[str, str, str]:
    return line[5], line[6], line[7]


def test_every_answer_comes_when_it_is_due_and_not_before(tmp_path: Path) -> None:
    """Acknowledgement and the three results appear at their delays, and the next due time is said each time."""
    world = World(tmp_path)
    world.send(NAME, 1, payments_of(300))
    seen, due = [], world.work(NOON)
    while due is not None:
        world.work(due - timedelta(seconds=1))
        before = set(world.answers())
        following = world.work(due)
        seen.append((due - NOON, sorted(set(world.answers()) - before)))
        due = following
    assert seen == [
        (timedelta(seconds=60), [f"{NAME}.ack"]),
        (timedelta(seconds=3600), [f"{NAME}.result.1"]),
        (timedelta(seconds=21_600), [f"{NAME}.result.2"]),
        (timedelta(seconds=72_000), [f"{NAME}.result.3"]),
    ]
    assert world.lines(f"{NAME}.result.3")[0][5:] == ["2026-03-03T08:00:00Z", "3"]
    assert (world.root / "archive" / NAME).exists()
    assert not list((world.root / "inbox").iterdir())


def test_acknowledgement_names_file_count_and_next_sequence(tmp_path: Path) -> None:
    """A good file is acknowledged with ACTC, its count and the next number."""
    world = World(tmp_path, **NO_DELAYS)
    world.send(NAME, 1, payments_of(10))
    assert world.work(NOON) is None
    head = ["AH", "TIEOUT1", NAME, "id1", "1", "2026-03-02", "2026-03-02T12:00:00Z"]
    assert world.lines(f"{NAME}.ack") == [head, ["AK", "ACTC", "10", "", "", "2"], ["AT", "1"]]


def test_without_plants_every_payment_is_confirmed_as_it_was_sent(tmp_path: Path) -> None:
    """With no shares the one result file repeats every payment with ACSC, quotes and all, and its trailer agrees."""
    world = World(tmp_path, shares={}, **NO_DELAYS)
    payments = payments_of(5000)
    world.send(NAME, 1, payments)
    world.work(NOON)
    found = world.results(NAME, 1)
    assert [(each[1], each[2], each[3], each[4]) for each in found] == [
        (str(line), each["reference"], "ACSC", "") for line, each in enumerate(payments, 1)
    ]
    for line, sent in zip(found, payments, strict=True):
        assert _money(line) == (major(sent["minor"], sent["currency"]), sent["currency"], sent["direction"])
        assert line[8:10] == [sent["requested"], sent["account"]]
        assert line[11] == "2026-03-02T12:00:00Z"
    assert len({line[10] for line in found}) == 5000
    sums = "|".join(f"{key}={major(minor, key[:3])}" for key, minor in sorted(sums_of(payments).items()))
    assert world.lines(f"{NAME}.result.1")[-1] == ["RT", "5000", sums]
    assert sorted(world.answers()) == [f"{NAME}.ack", f"{NAME}.result.1"]


def test_every_kind_is_planted_as_often_as_its_share_and_at_most_one_per_payment(tmp_path: Path) -> None:
    """Each planted kind has its share, give or take one, and no payment has two."""
    world = World(tmp_path, **NO_DELAYS)
    world.send(NAME, 1, payments_of(1000))
    world.work(NOON)
    counted = Counter(each["kind"] for each in world.truth(*KINDS))
    assert set(counted) == set(KINDS)
    for kind, share in SHARES.items():
        assert abs(counted[kind] - share * 1000) <= 1, kind
    references = [each["end_to_end_id"] for each in world.truth(*KINDS)]
    assert len(set(references)) == len(references)


def test_results_say_exactly_what_the_truth_says(tmp_path: Path) -> None:
    """For every payment the lines of all result files are the ones that its planted kind means, and no others."""
    world = World(tmp_path, **NO_DELAYS)
    payments = payments_of(1000)
    world.send(NAME, 1, payments)
    world.work(NOON)
    planted = {each["end_to_end_id"]: each for each in world.truth(*KINDS)}
    said: dict[str, list[tuple[int, str, str, tuple[str, str, str]]]] = {}
    for number in (1, 2, 3):
        for line in world.results(NAME, number):
            said.setdefault(line[2], []).append((number, line[3], line[4], _money(line)))
    for sent in payments:
        money = (major(sent["minor"], sent["currency"]), sent["currency"], sent["direction"])
        truth = planted.get(sent["reference"], {"kind": "confirmed"})
        assert said.pop(sent["reference"], []) == _meant(truth, money), truth
    invented = {each["end_to_end_id"]: each for each in world.truth("invented")}
    assert set(said) == set(invented)
    for reference, lines in said.items():
        each = invented[reference]
        assert lines == [(1, "ACSC", "", (each["amount"], "EUR", "CRDT"))]


def _meant(truth: dict[str, Any], money: tuple[str, str, str]) -> list[tuple[int, str, str, tuple[str, str, str]]]:
    yes, code = (1, "ACSC", "", money), truth.get("reason_code", "")
    match truth["kind"]:
        case "confirmed":
            return [yes]
        case "rejected":
            return [(1, "RJCT", code, money)]
        case "amount_changed":
            assert 1 <= abs(truth["reported_minor"] - truth["amount_minor"]) <= 999
            return [(1, "ACSC", "", (truth["reported_amount"], *money[1:]))]
        case "currency_changed":
            assert truth["reported_currency"] != money[1]
            return [(1, "ACSC", "", (money[0], truth["reported_currency"], money[2]))]
        case "repeated":
            return [yes, yes]
        case "returned":
            return [yes, (3, "RTRN", code, money)]
        case "late":
            return [(2, *yes[1:])]
        case "conflicting":
            return [yes, (1, "RJCT", code, money)]
    assert truth["kind"] == "omitted"
    return []


def test_trailers_sum_what_their_files_list(tmp_path: Path) -> None:
    """Count and sums of each trailer are those of the RD lines above it, planted differences included."""
    world = World(tmp_path, **NO_DELAYS)
    world.send(NAME, 1, payments_of(1000))
    world.work(NOON)
    for number in (1, 2, 3):
        lines = world.results(NAME, number)
        sums: Counter[str] = Counter()
        for line in lines:
            sums[f"{line[6]}/{line[7]}"] += int(line[5].replace(".", ""))
        shown = {key: int(amount.replace(".", "")) for key, amount in _sums(world.lines(f"{NAME}.result.{number}")[-1])}
        assert shown == dict(sums)
        assert [line[1] for line in lines] == [str(each) for each in range(1, len(lines) + 1)]


def _sums(trailer: list[str]) -> list[tuple[str, str]]:
    assert trailer[0] == "RT"
    return [(key, amount) for key, _, amount in (part.partition("=") for part in trailer[2].split("|"))]


def test_truth_accounts_for_every_payment_and_every_cent(tmp_path: Path) -> None:
    """Confirmed and planted payments of a file add up to the file, by count and by sum."""
    world = World(tmp_path, **NO_DELAYS)
    payments = payments_of(777)
    world.send(NAME, 1, payments)
    world.work(NOON)
    (file,), (confirmed,) = world.truth("file"), world.truth("confirmed")
    assert (file["verdict"], file["count"], file["sums"]) == ("ACTC", 777, sums_of(payments))
    sums = Counter(confirmed["sums"])
    planted = [each for each in world.truth(*KINDS) if each["kind"] != "invented"]
    for each in planted:
        sums[f"{each['currency']}/{each['direction']}"] += each["amount_minor"]
    assert dict(sums) == file["sums"]
    assert confirmed["count"] + len(planted) == 777
    assert "NL91" not in (world.directory / "truth" / "acquirer.jsonl").read_text()


def test_truth_is_written_before_its_answer(tmp_path: Path) -> None:
    """What a later result says is not in the truth while that result is not due."""
    world = World(tmp_path)
    world.send(NAME, 1, payments_of(300))
    world.work(NOON)
    assert world.truth() == []
    world.work(NOON + timedelta(seconds=3600))
    assert {"file", "confirmed", "rejected"} <= {each["kind"] for each in world.truth()}
    assert world.truth("late", "returned") == []
    world.work(NOON + timedelta(seconds=72_000))
    assert len(world.truth("late")) == len(world.truth("returned")) == 9


def test_another_seed_or_name_decides_otherwise(tmp_path: Path) -> None:
    """Two names of the same content get different plans."""
    world = World(tmp_path, **NO_DELAYS)
    world.send("a.csv", 1, payments_of(500))
    world.work(NOON)
    world.send("b.csv", 2, payments_of(500))
    world.work(NOON)
    lines = {each["file"]: set[int]() for each in world.truth("rejected")}
    for each in world.truth("rejected"):
        lines[each["file"]].add(each["line"])
    assert lines["a.csv"] != lines["b.csv"]


def test_exceptions_only_lists_no_plain_success(tmp_path: Path) -> None:
    """Such a list leaves confirmed payments out and plants nothing that silence would turn into a yes."""
    world = World(tmp_path, results_list="exceptions_only", **NO_DELAYS)
    world.send(NAME, 1, payments_of(1000))
    world.work(NOON)
    kinds = Counter(each["kind"] for each in world.truth(*KINDS))
    assert set(kinds) == set(KINDS) - {"omitted", "repeated", "late"}
    listed = Counter(line[2] for line in world.results(NAME, 1))
    expected: Counter[str] = Counter()
    for each in world.truth("rejected", "amount_changed", "currency_changed", "invented"):
        expected[each["end_to_end_id"]] += 1
    for each in world.truth("conflicting"):
        expected[each["end_to_end_id"]] += 2
    assert listed == expected
    assert {line[3] for line in world.results(NAME, 3)} == {"RTRN"}


def test_successes_only_lists_no_rejection(tmp_path: Path) -> None:
    """Such a list has no RJCT line; a rejected payment is simply absent."""
    world = World(tmp_path, results_list="successes_only", **NO_DELAYS)
    world.send(NAME, 1, payments_of(1000))
    world.work(NOON)
    listed = {line[2] for line in world.results(NAME, 1)}
    assert world.truth("conflicting") == []
    assert not listed & {each["end_to_end_id"] for each in world.truth("rejected", "omitted")}
    assert {line[3] for line in world.results(NAME, 1)} == {"ACSC"}


@pytest.mark.parametrize("results_list", ["all", "exceptions_only"])
def test_pain_answers_are_valid_and_say_what_was_planted(tmp_path: Path, results_list: str) -> None:
    """A pain.001 gets pain.002 files that the official schema accepts, the group's status in the acknowledgement only."""
    world = World(tmp_path, format="pain.001.001.09", results_list=results_list, **NO_DELAYS)
    payments = [each | {"currency": "EUR", "direction": "CRDT"} for each in payments_of(400)]
    world.put("giro_1.xml", pain001("MSG1", payments))
    world.work(NOON)
    schema = etree.XMLSchema(etree.parse(XSD))
    names = list(world.answers())
    assert names == ["giro_1.ack.xml", "giro_1.result.1.xml", "giro_1.result.2.xml", "giro_1.result.3.xml"][:2] + (
        ["giro_1.result.2.xml"] if results_list == "all" else []
    ) + ["giro_1.result.3.xml"]
    trees = {name: etree.fromstring(content) for name, content in world.answers().items()}
    for tree in trees.values():
        schema.assertValid(tree)
        assert tree.findtext(".//{*}OrgnlMsgId") == "MSG1"
    assert trees["giro_1.ack.xml"].findtext(".//{*}GrpSts") == "ACTC"
    first = trees["giro_1.result.1.xml"]
    assert first.find(".//{*}GrpSts") is None
    said = Counter(each.findtext("{*}TxSts") for each in first.iterfind(".//{*}TxInfAndSts"))
    assert said["RJCT"] == len(world.truth("rejected", "conflicting"))
    reasons = {each.text for each in first.iterfind(".//{*}StsRsnInf/{*}Rsn/{*}Cd")}
    assert reasons == {each["reason_code"] for each in world.truth("rejected", "conflicting")}
    listed = {each.findtext("{*}OrgnlEndToEndId") for each in first.iterfind(".//{*}TxInfAndSts")}
    confirmed = {each["reference"] for each in payments} - {each["end_to_end_id"] for each in world.truth(*KINDS)}
    assert confirmed <= listed if results_list == "all" else not confirmed & listed
    assert len(confirmed) == world.truth("confirmed")[0]["count"]
