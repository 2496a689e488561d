"""What an acknowledgement states of our file is compared with what was sent: a word that contradicts it is an alarm, never evidence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.reconciliation.reconcile_texts import Pay, ack, results, say
from tests.unit.reconciliation.reconcile_world import World

PAYMENTS = [Pay("A"), Pay("B", 200, "USD", "DBIT")]
HASH = "ab" * 32


def stated(text: str, *, count: int = 2, size: object = "", sha256: str = "") -> str:
    """The acknowledgement with the count, size and hash that the acquirer found."""
    return "\n".join(
        f"AK,{line.split(',')[1]},{count},,,{line.split(',')[5]},{size},{sha256}" if line.startswith("AK,") else line
        for line in text.split("\n")
    )


@pytest.mark.parametrize("state", ["delivering", "in_doubt", "delivered"])
@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"count": 3}, "count_differs"),
        ({"size": 101}, "file_unreadable"),
        ({"sha256": "cd" * 32}, "file_unreadable"),
        ("number", "sequence_gap"),
        ("name", "file_unreadable"),
    ],
)
def test_an_acknowledgement_of_something_else_is_no_evidence(
    world: World, state: str, wrong: dict[str, object] | str, kind: str
) -> None:
    """Another count, size, hash, number or name than we sent: an alarm, the file stays where it is; one that fits ends both."""
    sent = world.send(PAYMENTS, state=state, size=100, sha256=HASH, sequence=7)
    match wrong:
        case "number":
            text = ack(sent).replace(f"{sent.file_id},7,", f"{sent.file_id},6,")
        case "name":
            text = ack(sent).replace(sent.name, "northbank_20260302_000008_1.csv")
        case _:
            text = stated(ack(sent), **wrong)  # type: ignore[arg-type]
    bad = world.take("f.ack", text)
    assert (world.file(sent).state, world.kinds()) == (state, [kind])
    assert world.result(bad).disputed != ""
    world.take("f.2.ack", stated(ack(sent), size=100, sha256=HASH.upper()))
    assert (world.file(sent).state, world.kinds()) == ("acknowledged", [])


def test_another_number_does_not_matter_where_order_is_free(make: Callable[..., World]) -> None:
    """An acquirer that counts files in its own way is not held to our numbers."""
    world = make(sequence="free")
    sent = world.send(PAYMENTS, sequence=7)
    world.take("f.ack", ack(sent).replace(f"{sent.file_id},7,", f"{sent.file_id},6,"))
    assert world.file(sent).state == "acknowledged"


def test_a_refusal_is_believed_whatever_it_counts(world: World) -> None:
    """That other bytes arrived may be why the file was refused."""
    sent = world.send(PAYMENTS, size=100, sha256=HASH)
    world.take("f.ack", stated(ack(sent, "RJCT"), count=0, size=7, sha256="cd" * 32))
    assert (world.file(sent).state, world.kinds()) == ("refused", ["file_refused"])


def test_an_acknowledgement_of_two_files_at_once_is_one_of_neither(world: World) -> None:
    """The id of one file beside the name of another: no doubt ends, and people are told, also when it refuses."""
    first = world.send(PAYMENTS, state="in_doubt")
    second = world.send([Pay("C")], sequence=2, state="in_doubt")
    for status in ("ACCP", "RJCT"):
        bad = world.take(f"{status}.ack", ack(first, status).replace(first.name, second.name))
        assert world.result(bad).disputed == "it names our file by another name"
    assert [world.file(each).state for each in (first, second)] == ["in_doubt", "in_doubt"]
    assert world.kinds() == ["file_unreadable", "file_unreadable"]


def test_results_under_another_name_settle_payments_only(world: World) -> None:
    """Their payments are matched by reference and message id; that the file arrived is not proved by them."""
    sent = world.send(PAYMENTS, state="in_doubt")
    world.take("f.result.1", results(sent, [say(each) for each in PAYMENTS]).replace(sent.name, "other.csv"))
    assert (world.file(sent).state, world.file(sent).matched.count, world.kinds()) == (
        "in_doubt",
        2,
        ["file_unreadable"],
    )


@pytest.mark.parametrize("named", ["f.csv.gz.pgp", "f.csv.gz", "f.csv", ""])
def test_an_acquirer_may_name_a_file_as_it_is_called_unwrapped(world: World, named: str) -> None:
    """As sent, decrypted, unpacked, or by its message id alone: all of them are our file."""
    sent = world.send(PAYMENTS, state="in_doubt", name="f.csv.gz.pgp")
    world.take("f.ack", ack(sent).replace(sent.name, named))
    assert (world.file(sent).state, world.kinds()) == ("acknowledged", [])


def test_what_names_a_successor_that_has_not_left_is_compared_with_the_file_that_has(world: World) -> None:
    """A name that is used again means the same file for the evidence as for its results."""
    old = world.send(PAYMENTS, name="fixed.csv")
    world.send([Pay("C")], name="fixed.csv", generation=2, state="sealed")
    world.take("f.ack", ack(old).replace(old.file_id, ""))
    assert (world.file(old).state, world.kinds()) == ("acknowledged", [])


def test_a_later_gap_does_not_hide_a_word_about_another_number(world: World) -> None:
    """The alarm about one file ends with a word on that file, not with one on the next."""
    first, second = world.send(PAYMENTS), world.send([Pay("C")], sequence=2)
    world.take("f.ack", ack(first).replace(f"{first.file_id},1,", f"{first.file_id},2,"))
    world.take("g.ack", ack(second))
    assert (world.file(second).state, world.kinds()) == ("acknowledged", ["sequence_gap"])


def test_a_sealed_file_that_is_spoken_of_is_stopped_evidence_or_not(world: World) -> None:
    """Whoever speaks of a file that we believe never left may have it: it does not leave again by itself."""
    sent = world.send(PAYMENTS, state="sealed", size=100, sha256=HASH)
    world.take("f.ack", stated(ack(sent), size=99))
    assert (world.file(sent).state, "speaks of this file" in world.file(sent).held) == ("sealed", True)


def test_results_under_another_number_settle_payments_only(world: World) -> None:
    """Their payments are matched by reference and message id; that the file arrived is not proved by them."""
    sent = world.send(PAYMENTS, state="in_doubt", sequence=7)
    text = results(sent, [say(each) for each in PAYMENTS]).replace(f"{sent.file_id},7,", f"{sent.file_id},6,")
    world.take("f.result.1", text)
    assert (world.file(sent).state, world.file(sent).matched.count, world.kinds()) == ("in_doubt", 2, ["sequence_gap"])
