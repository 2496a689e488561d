"""What a fold does to mismatches that are known: added, changed, closed, reopened; never against what a person decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from payments.records import Mismatch
from payments.states import MISMATCH_TRANSITIONS, MismatchKind, MismatchState
from reconciliation.differences import compare
from tests.unit.reconciliation.reconcile_world import DAY, SIX

NOW = SIX + timedelta(hours=1)
M = MismatchState
OLD = Mismatch(
    id="m",
    acquirer="northbank",
    business_date=DAY,
    kind=str(MismatchKind.MISSING_AT_ACQUIRER),
    state=str(M.OPEN),
    opened_at=SIX,
    updated_at=SIX,
    assignee="ada",
    expected_minor=5,
    revision=3,
)
NEW = replace(OLD, kind=str(MismatchKind.STATUS_REJECTED), reported_minor=5, opened_at=NOW, assignee="", revision=0)


def test_what_is_new_is_added() -> None:
    """A mismatch that nobody knows is added as it is."""
    assert compare([NEW], [], NOW) == ([NEW], [])


def test_the_same_again_changes_nothing() -> None:
    """Folding again writes nothing, whatever the state."""
    for state in M:
        known = replace(OLD, state=str(state))
        wanted = [] if state != M.CLOSED_BY_LATE_RESULT else [str(M.REOPENED)]
        assert [each.state for each in compare([replace(OLD, opened_at=NOW)], [known], NOW)[1]] == wanted


@pytest.mark.parametrize(
    ("state", "becomes"),
    [
        (M.OPEN, M.OPEN),
        (M.ASSIGNED, M.ASSIGNED),
        (M.PROPOSED, M.ASSIGNED),
        (M.APPROVED, M.APPROVED),
        (M.REOPENED, M.REOPENED),
        (M.CLOSED_BY_LATE_RESULT, M.REOPENED),
        (M.RESOLVED, None),
        (M.WRITTEN_OFF, None),
        (M.CLOSED_BY_WITHDRAWAL, None),
    ],
)
def test_new_facts_keep_the_id_and_void_a_proposal(state: M, becomes: M | None) -> None:
    """Kind and figures change under the same id, owner and opening time; a proposal on other figures is void."""
    added, changed = compare([NEW], [replace(OLD, state=str(state))], NOW)
    assert added == []
    if becomes is None:
        assert changed == []
        return
    (found,) = changed
    assert (found.state, found.kind, found.reported_minor) == (str(becomes), NEW.kind, 5)
    assert (found.id, found.opened_at, found.assignee, found.revision) == ("m", SIX, "ada", 4)
    assert becomes == state or becomes in MISMATCH_TRANSITIONS[state]


@pytest.mark.parametrize("state", list(M))
def test_what_is_wanted_no_more_closes_unless_a_person_approved_or_ended_it(state: M) -> None:
    """closed_by_late_result only while no approved act exists; what is closed stays as it is."""
    _, changed = compare([], [replace(OLD, state=str(state))], NOW)
    closes = state in {M.OPEN, M.ASSIGNED, M.PROPOSED, M.REOPENED}
    assert [(each.state, each.closed_at) for each in changed] == (
        [(str(M.CLOSED_BY_LATE_RESULT), NOW)] if closes else []
    )
