"""Result files that cannot be used: set aside whole, with an alarm, and never in the way of their neighbours."""

from __future__ import annotations

import pytest

from payments.errors import Busy, SetAside
from reconciliation.read import parse_result_key, read
from tests.unit.reconciliation.reconcile_texts import Pay, ack, results, say
from tests.unit.reconciliation.reconcile_world import World

PAYMENTS = [Pay("A"), Pay("B", 200, "USD", "DBIT"), Pay("C", 3)]
ALL = [say(each) for each in PAYMENTS]


def spoiled(text: str, how: str) -> bytes:
    lines = text.encode().splitlines(keepends=True)
    match how:
        case "cut off":
            return b"".join(lines[:-1])
        case "cut off within a line":
            return b"".join(lines)[: -len(lines[-1]) - 20]
        case "count":
            return text.replace("RT,3", "RT,4").encode()
        case "sum":
            return text.replace("EUR/CRDT=10.53", "EUR/CRDT=10.54").encode()
        case "empty":
            return b""
        case "binary":
            return bytes(range(256)) * 5
        case "not utf-8":
            return b"".join(lines).replace(b"AQ1", b"\xff\xfe")
        case _:
            return b"name;amount\nA;1\n"


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("cut off", "file_unreadable"),
        ("cut off within a line", "file_unreadable"),
        ("count", "count_differs"),
        ("sum", "sum_differs"),
        ("empty", "file_unreadable"),
        ("binary", "file_unreadable"),
        ("not utf-8", "file_unreadable"),
        ("other format", "file_unreadable"),
    ],
)
def test_a_bad_file_is_set_aside_and_its_neighbours_go_on(world: World, how: str, kind: str) -> None:
    """Nothing of it is used, every line of it is counted, and the complete version that comes later ends the alarm."""
    sent, other = world.send(PAYMENTS), world.send([Pay("D")], sequence=2)
    text = results(sent, ALL)
    bad = world.collect("f.result.1", spoiled(text, how))
    world.take("g.result.1", results(other, [say(Pay("D"))]))
    assert (world.counts(sent), world.counts(other)) == ((0, 0, 3), (1, 0, 0))
    assert [(each.kind, each.result_sha256) for each in world.mismatches()] == [(kind, bad.sha256)]
    kept = world.result(bad)
    assert (kept.state, kept.unreadable) == ("unreadable", max(1, len(spoiled(text, how).rstrip(b"\n").split(b"\n"))))
    assert world.files.exists(kept.key)
    world.take("f.result.1", text)
    assert (world.counts(sent), world.kinds()) == ((3, 0, 0), [])
    assert [each.state for each in world.mismatches(is_open=False)] == ["closed_by_late_result"]


def test_the_complete_version_may_be_read_before_the_one_that_was_cut_off(world: World) -> None:
    """Workers read in any order: the alarm of the earlier version is ended all the same."""
    sent = world.send(PAYMENTS)
    text = results(sent, ALL)
    bad, good = world.collect("f.result.1", spoiled(text, "cut off")), world.collect("f.result.1", text)
    world.read(good, bad)
    world.reconcile()
    world.check()
    assert (world.counts(sent), world.kinds()) == ((3, 0, 0), [])
    assert [each.state for each in world.mismatches(is_open=False)] == ["closed_by_late_result"]


def test_a_cut_off_version_after_a_good_one_is_an_alarm(world: World) -> None:
    """A name whose content got worse is not excused by what it held before."""
    sent = world.send(PAYMENTS)
    text = results(sent, ALL)
    world.take("f.result.1", text)
    world.take("f.result.1", spoiled(text, "cut off"))
    assert (world.counts(sent), world.kinds()) == ((3, 0, 0), ["file_unreadable"])


def test_one_bad_line_costs_only_itself(world: World) -> None:
    """The line is unreadable and an alarm that names it; the others match, and no later version is invented."""
    sent = world.send(PAYMENTS)
    text = results(sent, ALL).replace("RD,2,B,ACSC,,2.00,USD", "RD,2,B,ACSC,,2.00,XXQ").replace("|USD/DBIT=2.00", "")
    result = world.take("f.result.1", text)
    (alarm,) = world.mismatches()
    assert (alarm.kind, "line 3" in alarm.detail["why"]) == ("file_unreadable", True)
    assert (world.counts(sent), world.result(result).unreadable) == ((2, 0, 1), 1)


def test_a_corrected_file_does_not_end_the_alarm_about_some_lines_of_it(world: World) -> None:
    """It is new content under a known name: what could not be read is used, what repeats is duplicate, both alarms stay."""
    sent = world.send(PAYMENTS)
    text = results(sent, ALL)
    world.take(
        "f.result.1", text.replace("RD,2,B,ACSC,,2.00,USD", "RD,2,B,ACSC,,2.00,XXQ").replace("|USD/DBIT=2.00", "")
    )
    world.take("f.result.1", text)
    assert world.counts(sent) == (3, 0, 0)
    found = sorted((each.kind, each.reference, each.detail.get("why", "")[:11]) for each in world.mismatches())
    assert found == [
        ("duplicate_result", "A", ""),
        ("duplicate_result", "C", ""),
        ("file_unreadable", "", "1 of 5 line"),
        ("file_unreadable", "", "new content"),
    ]


def test_stored_bytes_that_changed_are_set_aside(world: World) -> None:
    """What is not what was collected is not read, whatever it says; and reconcile does not wait for it for ever."""
    sent, other = world.send(PAYMENTS), world.send([Pay("D")], sequence=2)
    bad = world.collect("f.ack", ack(sent, "RJCT"))
    path = world.folder / "store" / bad.key
    path.write_text(ack(sent))
    world.collect("g.ack", ack(other))
    world.work()
    assert (world.file(sent).state, world.file(other).state) == ("delivered", "acknowledged")
    assert (world.kinds(), world.result(bad).state) == (["file_unreadable"], "unreadable")


def test_reconcile_waits_for_everything_that_was_collected(world: World) -> None:
    """The same polls give the same passes: a result that is stored and not yet read holds the pass back."""
    sent = world.send(PAYMENTS)
    first, second = world.collect("f.ack", ack(sent)), world.collect("f.result.1", results(sent, ALL))
    world.read(first)
    world.reconcile()
    assert world.file(sent).state == "delivered"
    world.read(second)
    world.reconcile()
    assert world.file(sent).state == "reconciled"


def test_a_result_is_read_once(world: World) -> None:
    """A notice that comes again reads nothing again; one that comes before the record asks to be repeated."""
    sent = world.send(PAYMENTS)
    result = world.take("f.result.1", results(sent, ALL))
    before = world.facts()
    world.read(result)
    world.reconcile()
    assert world.facts() == before
    key = result.key.replace(result.sha256, "0" * 64)
    with pytest.raises(Busy, match="not recorded yet"):
        read(world.read_ports, key)


@pytest.mark.parametrize("key", ["results/x", "results/northbank/today/abc/name", "results"])
def test_a_key_that_is_no_result_is_refused(key: str) -> None:
    """A foreign object in the store is named and set aside."""
    with pytest.raises(SetAside, match="is not a result"):
        parse_result_key(key)
