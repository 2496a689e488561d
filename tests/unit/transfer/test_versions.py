"""The fold of versions against an oracle that was written without looking at it, and its promises one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from payments.states import Outcome, PoolReason
from transfer.versions import Assigned, Findings, Row, fold_versions

CONTENTS = [b"a", b"b", b"c"]
ACQUIRERS = ["north", "south"]
REFERENCES = ["R1", "R2", "R3"]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Row], dict[str, Assigned], list[Assigned]]:
    """A few payments with earlier assignments, and new rows of theirs in any order; some rows come back from a file."""
    earlier, holders, rows = {}, [], []
    for number in range(draw(st.integers(1, 4))):
        payment = f"p{number}"
        route = st.tuples(st.sampled_from(ACQUIRERS), st.sampled_from(REFERENCES))
        if draw(st.booleans()):
            where = draw(route)
            if where not in {(each.acquirer, each.reference) for each in holders}:
                stopped = draw(st.booleans())
                earlier[payment] = Assigned(payment, draw(st.sampled_from(CONTENTS)), *where, f"f{number}", stopped)
                holders.append(replace(earlier[payment], stopped=False))
        if payment in earlier and draw(st.booleans()):
            was = earlier[payment]
            rows.append(Row(0, payment, was.content_hash, was.acquirer, was.reference, False, was.file_id))
        for _ in range(draw(st.integers(0, 4))):
            stopped = draw(st.integers(0, 3)) == 0
            rows.append(Row(0, payment, draw(st.sampled_from(CONTENTS)), *draw(route), stopped))
    back = [row for row in rows if row.returned_from]
    fresh = draw(st.permutations([row for row in rows if not row.returned_from]))
    for position, row in enumerate([*back, *fresh]):
        row.position = position
    return [*back, *fresh], earlier, holders


def oracle(rows: list[Row], earlier: dict[str, Assigned], holders: list[Assigned]) -> dict[int, tuple[str, str]]:
    """Position -> (outcome or "send", twin): asks about every row what its neighbours in time say, without any state."""
    said: dict[int, tuple[str, str]] = {}
    for row in rows:
        mine = [each for each in rows if each.payment_id == row.payment_id]
        before = [each for each in mine if each.position < row.position]
        after = [each for each in mine if each.position > row.position]
        came_back = any(each.returned_from for each in mine)
        sealed = earlier.get(row.payment_id)
        live = sealed is not None and not came_back
        if row.returned_from and sealed is not None and sealed.stopped:
            said[row.position] = (Outcome.SUPERSEDED, "")
        elif row.stopped:
            said[row.position] = (Outcome.WITHDRAWN, "")
        elif (live and sealed is not None and row.content_hash == sealed.content_hash) or _standing(
            before, sealed, live=live
        ) == row.content_hash:
            said[row.position] = (Outcome.UNCHANGED, "")
        elif _displaced(row, after):
            said[row.position] = (Outcome.SUPERSEDED, "")
        elif live:
            said[row.position] = (Outcome.UNASSIGNED, "")
        else:
            said[row.position] = ("send", "")
    _claim_references(rows, holders, said)
    return said


def _standing(before: list[Row], sealed: Assigned | None, *, live: bool) -> bytes | None:
    """The content that stands, not yet sealed, when a row comes: the last one said, unless it was stopped or sealed already."""
    for row in reversed(before):
        if row.stopped or (row.returned_from and sealed is not None and sealed.stopped):
            return None
        if live and sealed is not None and row.content_hash == sealed.content_hash:
            return None
        return row.content_hash
    return None


def _displaced(row: Row, after: list[Row]) -> bool:
    return any(each.stopped or each.content_hash != row.content_hash for each in after)


def _claim_references(rows: list[Row], holders: list[Assigned], said: dict[int, tuple[str, str]]) -> None:
    owner = {(each.acquirer, each.reference): each.payment_id for each in holders}
    for row in rows:
        if said[row.position][0] != "send":
            continue
        first = owner.setdefault((row.acquirer, row.reference), row.payment_id)
        if first != row.payment_id:
            said[row.position] = (Outcome.DUPLICATE, first)


def folded(rows: list[Row], earlier: dict[str, Assigned], holders: list[Assigned]) -> Findings:
    return fold_versions(rows, earlier, holders)


@given(histories())
@settings(max_examples=500, deadline=None)
def test_every_row_has_the_outcome_that_the_oracle_gives_it(
    history: tuple[list[Row], dict[str, Assigned], list[Assigned]],
) -> None:
    """Whatever versions, stops, returns and references come in, each row ends as the rules of design section 4 say."""
    rows, earlier, holders = history
    wanted = oracle(rows, earlier, holders)
    folded(rows, earlier, holders)
    assert {row.position: (row.outcome or "send", row.twin) for row in rows} == wanted


@given(histories())
@settings(max_examples=250, deadline=None)
def test_at_most_one_row_of_a_payment_is_sent_and_none_while_one_is_out(
    history: tuple[list[Row], dict[str, Assigned], list[Assigned]],
) -> None:
    """I2: one row at most may be sent per payment and per reference, and none of a payment whose assignment is live."""
    rows, earlier, holders = history
    findings = folded(rows, earlier, holders)
    sent = [row for row in rows if not row.outcome]
    assert max(Counter(row.payment_id for row in sent).values(), default=0) <= 1
    assert max(Counter((row.acquirer, row.reference) for row in sent).values(), default=0) <= 1
    back = {row.payment_id for row in rows if row.returned_from}
    assert not {row.payment_id for row in sent} & (set(earlier) - back)
    taken = {(each.acquirer, each.reference): each.payment_id for each in holders}
    assert all(taken.get((row.acquirer, row.reference), row.payment_id) == row.payment_id for row in sent)
    for row in sent:
        last = [each for each in rows if each.payment_id == row.payment_id and each.outcome != Outcome.UNCHANGED][-1]
        assert last is row, "an older state of the payment would be sent"
    positions = {row.position: row for row in sent} | {row.position: row for row in rows if row.twin}
    for position, file in findings.successors.items():
        row = positions[position]
        old = earlier[row.payment_id]
        assert (old.file_id, old.acquirer) == (file, row.acquirer), "a number would move to another acquirer"


@given(histories())
@settings(max_examples=150, deadline=None)
def test_what_the_source_changed_after_sealing_is_found(
    history: tuple[list[Row], dict[str, Assigned], list[Assigned]],
) -> None:
    """A stop of a live payment is a finding, a changed content is one, and a payment that came back is none."""
    rows, earlier, holders = history
    findings = folded(rows, earlier, holders)
    live = set(earlier) - {row.payment_id for row in rows if row.returned_from}
    assert set(findings.recall_needed) == {row.payment_id for row in rows if row.stopped and row.payment_id in live}
    changed = {row.payment_id for row in rows if row.reason == PoolReason.CHANGED_AFTER_SEALED}
    assert set(findings.changed_after_sealed) == changed
    assert not set(findings.reverted) & changed
    assert set(findings.reverted) <= live


def test_a_pool_row_that_was_reported_before_is_not_reported_again() -> None:
    """A changed row waits in the pool through many assemblies and is found once."""
    sealed = Assigned("p", b"a", "north", "R1", "f")
    row = Row(0, "p", b"b", "north", "R1", False, was=PoolReason.CHANGED_AFTER_SEALED)
    findings = folded([row], {"p": sealed}, [sealed])
    assert (row.outcome, row.reason) == (Outcome.UNASSIGNED, PoolReason.CHANGED_AFTER_SEALED)
    assert findings.changed_after_sealed == {}


def test_a_payment_that_was_stopped_while_its_file_was_out_does_not_come_back() -> None:
    """The row of a returned file is not sent again once the source stopped the payment; a newer version is."""
    sealed = Assigned("p", b"a", "north", "R1", "f", stopped=True)
    back = Row(0, "p", b"a", "north", "R1", False, returned_from="f")
    folded([back], {"p": sealed}, [sealed])
    assert back.outcome == Outcome.SUPERSEDED
    back, newer = replace(back, outcome=""), Row(1, "p", b"b", "north", "R1", False)
    findings = folded([back, newer], {"p": sealed}, [sealed])
    assert (back.outcome, newer.outcome) == (Outcome.SUPERSEDED, "")
    assert findings.successors == {1: "f"}
