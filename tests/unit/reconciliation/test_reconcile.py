"""Reconcile end to end on a real ledger and store: acknowledgements, late results, returns, repeats, strangers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from payments.books import Total
from tests.unit.reconciliation.reconcile_texts import Pay, Say, ack, results, say
from tests.unit.reconciliation.reconcile_world import DUE, World

A, B, C = Pay("A"), Pay("B", 200, "USD", "DBIT"), Pay("C", 3)
ABC = [A, B, C]
ALL = [say(each) for each in ABC]


def test_an_accepted_file_whose_payments_all_settle_is_reconciled(world: World) -> None:
    """delivered, acknowledged, reconciled: and the totals move from awaiting to matched by count, sum and digest."""
    sent = world.send(ABC)
    world.take("f.ack", ack(sent))
    assert (world.file(sent).state, world.counts(sent)) == ("acknowledged", (0, 0, 3))
    world.take("f.result.1", results(sent, ALL))
    file = world.file(sent)
    assert (file.state, file.matched, file.awaiting) == ("reconciled", sent.total, Total())
    assert world.statement().agrees
    assert world.statement().incoming == {
        "lines": 8, "control": 5, "events": 3, "unreadable": 0,
        "applied": 3, "unknown": 0, "duplicate": 0, "ambiguous": 0, "withdrawn": 0,
    }  # fmt: skip


def test_a_refused_file_closes_its_payments_and_raises_file_refused(world: World) -> None:
    """RJCT of the whole file: its rows count as refused, no row is a mismatch, the reason code is kept."""
    sent = world.send(ABC)
    world.take("f.ack", ack(sent, "RJCT", reason="AM18"))
    (mismatch,) = world.mismatches()
    assert (world.file(sent).state, mismatch.kind) == ("refused", "file_refused")
    assert mismatch.detail["reason_code"] == "AM18"
    terms = world.statement().terms
    assert (terms["refused"].count, terms["delivered"].count) == (3, 0)
    world.wait_until_due()
    assert world.kinds() == ["file_refused"]


def test_part_accepts_some_and_rejects_others(world: World) -> None:
    """PART makes a file partially accepted; its rejected payments are mismatches with the acquirer's code."""
    sent = world.send(ABC)
    world.take("f.ack", ack(sent, "PART"))
    assert world.file(sent).state == "partially_accepted"
    world.take("f.result.1", results(sent, [say(A), say(B, "RJCT", reason="AC04"), say(C)]))
    (mismatch,) = world.mismatches()
    assert (mismatch.kind, mismatch.reference, mismatch.detail["reason_code"]) == ("status_rejected", "B", "AC04")
    assert (world.file(sent).state, world.counts(sent)) == ("partially_accepted", (2, 1, 0))


def test_an_acceptance_is_followed_by_a_partial_one(world: World) -> None:
    """First the technical yes, then PART after checking: the later word stands."""
    sent = world.send(ABC)
    world.take("f.ack", ack(sent))
    world.take("f.2.ack", ack(sent, "PART", at="2026-03-02T06:30:00Z"))
    assert world.file(sent).state == "partially_accepted"


def test_a_return_after_a_match_reopens_the_file(world: World) -> None:
    """reconciled goes back to where it came from, and the payment is a mismatch of kind returned."""
    sent = world.send(ABC)
    world.take("f.ack", ack(sent))
    world.take("f.result.1", results(sent, ALL))
    world.take("f.result.2", results(sent, [say(A, "RTRN", reason="AC06")], n=2, at="2026-03-03T07:00:00Z"))
    (mismatch,) = world.mismatches()
    assert (mismatch.kind, mismatch.reference) == ("returned", "A")
    assert (world.file(sent).state, world.counts(sent)) == ("acknowledged", (2, 1, 0))
    assert world.statement().difference_minor == {"EUR/CRDT": -1050}


def test_a_late_result_closes_missing_at_acquirer(world: World) -> None:
    """What was missing when results were due is closed by the result that came late; the id stays."""
    sent = world.send(ABC)
    world.take("f.ack", ack(sent))
    world.take("f.result.1", results(sent, [say(A), say(B)]))
    assert world.mismatches() == []
    world.wait_until_due()
    assert world.kinds() == ["missing_at_acquirer C"]
    world.take("f.result.2", results(sent, [say(C)], n=2))
    assert world.kinds() == []
    (closed,) = world.mismatches(is_open=False)
    assert (closed.state, closed.reference) == ("closed_by_late_result", "C")
    assert closed.closed_at is not None
    assert world.file(sent).state == "reconciled"


def test_a_late_rejection_keeps_the_mismatch_under_another_kind(world: World) -> None:
    """A mismatch keeps its id when its kind changes."""
    sent = world.send(ABC)
    world.wait_until_due()
    before = {each.reference: each.id for each in world.mismatches()}
    world.take("f.result.1", results(sent, [say(A, "RJCT")]))
    assert {each.reference: each.id for each in world.mismatches()} == before
    assert world.kinds() == ["missing_at_acquirer B", "missing_at_acquirer C", "status_rejected A"]


def test_a_payment_below_the_final_status_is_overdue_and_still_awaiting(world: World) -> None:
    """ACSP is no ACSC: when results are due the payment goes on awaiting, and its file is marked overdue."""
    sent = world.send([A])
    world.take("f.result.1", results(sent, [say(A, "ACSP")]))
    world.wait_until_due()
    assert (world.counts(sent), world.file(sent).overdue, world.kinds()) == ((0, 0, 1), True, [])


def test_a_line_that_comes_twice_matches_once(world: World) -> None:
    """The second copy is a duplicate_result beside the row, which is matched all the same."""
    sent = world.send(ABC)
    world.take("f.result.1", results(sent, [say(A), *ALL]))
    assert (world.counts(sent), world.kinds()) == ((3, 0, 0), ["duplicate_result A"])


def test_the_same_results_in_a_second_file_are_all_duplicates(world: World) -> None:
    """The same lines under another number are counted as duplicates, each with its mismatch, and match nothing twice."""
    sent = world.send(ABC)
    world.take("f.result.1", results(sent, ALL))
    world.take("f.result.2", results(sent, ALL, n=2))
    assert world.counts(sent) == (3, 0, 0)
    assert world.kinds() == ["duplicate_result A", "duplicate_result B", "duplicate_result C"]
    assert world.statement().incoming["duplicate"] == 3


def test_a_reference_that_nobody_knows_is_unknown_to_us(world: World) -> None:
    """An invented payment is a mismatch of its own; no row of ours moves, and the difference shows its money."""
    sent = world.send(ABC)
    world.take("f.result.1", results(sent, [*ALL, Say("INVENTED", minor=77)]))
    assert (world.counts(sent), world.kinds()) == ((3, 0, 0), ["unknown_to_us INVENTED"])
    assert world.statement().difference_minor == {"EUR/CRDT": 77}


def test_results_for_a_file_that_was_never_sent(world: World) -> None:
    """Every event of them is unknown to us, even where the reference is one of ours."""
    sent = world.send([A])
    world.take("never.result.1", results(None, [say(A), say(B)]))
    assert (world.counts(sent), world.kinds()) == ((0, 0, 1), ["unknown_to_us A", "unknown_to_us B"])


def test_an_acknowledgement_of_a_file_that_was_never_sent_is_an_alarm(world: World) -> None:
    """It holds no payment, and must not pass in silence for that."""
    sent = world.send([A])
    stranger = ack(sent).replace(sent.file_id, "f" * 24).replace(sent.name, "never.csv").replace(",1,2026", ",99,2026")
    world.take("never.csv.ack", stranger)
    assert (world.file(sent).state, world.kinds()) == ("delivered", ["unknown_to_us"])


def test_a_message_id_that_is_not_ours_is_not_helped_by_a_name_that_is(world: World) -> None:
    """The strongest name decides: events that contradict themselves are unknown to us, and each is counted once."""
    sent = world.send([A])
    world.take("f.result.1", results(sent, [say(A)]).replace(sent.file_id, "f" * 24))
    assert (world.counts(sent), world.kinds()) == ((0, 0, 1), ["unknown_to_us A"])


@pytest.mark.parametrize("status", ["XXXX", "", "acsc", "PART"])
def test_a_status_that_we_do_not_know_is_never_an_acceptance(world: World, status: str) -> None:
    """The line is unreadable and an alarm, the payment goes on awaiting; its neighbours match."""
    sent = world.send(ABC)
    world.take("f.result.1", results(sent, [say(A, status), say(B), say(C)]))
    assert (world.counts(sent), world.kinds()) == ((2, 0, 1), ["file_unreadable"])
    world.wait_until_due()
    assert world.kinds() == ["file_unreadable", "missing_at_acquirer A"]


@pytest.mark.parametrize("status", ["XXXX", "PDNG", "RTRN", ""])
def test_an_acknowledgement_that_says_something_else_accepts_nothing(world: World, status: str) -> None:
    """The file stays delivered: only the words that accept or refuse a file move it."""
    sent = world.send(ABC)
    world.take("f.ack", ack(sent, status))
    assert world.file(sent).state == "delivered"


def test_a_refusal_beats_an_acceptance_whichever_was_said_last(make: Callable[..., World]) -> None:
    """A file that was refused once stays refused, in either order of arrival: only people may undo that."""
    for order in ((0, 1), (1, 0)):
        world = make()
        sent = world.send(ABC)
        said = (ack(sent, "RJCT", at="2026-03-02T06:01:00Z"), ack(sent, "ACTC", at="2026-03-02T06:05:00Z"))
        for each in order:
            world.take(f"f.{each}.ack", said[each])
        assert (world.file(sent).state, world.kinds()) == ("refused", ["file_refused"])


@pytest.mark.parametrize("state", ["in_doubt", "delivering"])
def test_an_acknowledgement_ends_the_doubt(world: World, state: str) -> None:
    """A file that may or may not have arrived is delivered when the acquirer names it, from the time that was heard."""
    sent = world.send(ABC, state=state)
    heard = world.collect("f.ack", ack(sent))
    world.clock.later()
    world.work()
    file = world.file(sent)
    assert (file.state, file.delivered_at) == ("acknowledged", heard.collected_at)
    assert file.results_due_at == heard.collected_at + DUE
    world.take("f.result.1", results(sent, ALL))
    assert world.file(sent).state == "reconciled"


def test_an_acknowledgement_that_came_before_the_delivery_was_recorded_still_counts(world: World) -> None:
    """The reply to the rename was slow, the acknowledgement fast: what names our file is never a stranger."""
    sent = world.send(ABC, state="delivering")
    heard = world.collect("f.ack", ack(sent))
    late, file = world.clock.later(), world.file(sent)
    with world.sql.begin() as tx:
        tx.files.change(file, state="delivered", delivered_at=late, results_due_at=late + DUE)
    world.work()
    assert heard.collected_at < late
    assert (world.file(sent).state, world.kinds()) == ("acknowledged", [])


def test_a_sealed_file_that_the_acquirer_names_is_held(world: World) -> None:
    """We know that it did not leave, and they speak of it: a person must look before anything is sent."""
    sent = world.send(ABC, state="sealed")
    world.take("f.ack", ack(sent))
    file = world.file(sent)
    assert file.state == "sealed"
    assert "acquirer speaks of this file" in file.held


def test_the_old_positive_result_after_a_redelivery(world: World) -> None:
    """Money may have moved twice: an alarm beside the row, and the new file goes on awaiting."""
    old = world.send(ABC, state="not_received", returned_in=2)
    world.clock.later()
    new = world.send(ABC, generation=2)
    world.take("f.result.1", results(old, [say(A), say(B, "RJCT")]))
    (alarm,) = world.mismatches()
    assert (alarm.kind, alarm.reference, alarm.detail["severity"]) == ("settled_after_redelivery", "A", "highest")
    assert (world.file(old).state, world.counts(new)) == ("not_received", (0, 0, 3))


def test_positive_results_of_a_refused_file_are_alarms_in_either_order(make: Callable[..., World]) -> None:
    """Refused and settled contradict each other, whichever was heard first, also in the same pass."""
    found = []
    for order in ((0, 1), (1, 0), None):
        world = make()
        sent = world.send([A, B])
        said = (ack(sent, "RJCT"), results(sent, [say(A)]))
        for each in order or ():
            world.take(f"f.{each}", said[each])
        if order is None:
            for each, text in enumerate(said):
                world.collect(f"f.{each}", text)
            world.work()
        found.append((world.file(sent).state, world.kinds()))
    assert found == [("refused", ["file_refused", "settled_after_redelivery A"])] * 3
