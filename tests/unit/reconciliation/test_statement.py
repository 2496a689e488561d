"""The statement: the terms of the books from the ledger's roll-ups, whether they tie, and by how much we differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payments.books import EQUATIONS, INCOMING_TERMS, TERMS, Total
from payments.records import Assembly, Chunk, Mismatch, OutboundFile, ResultBooks, ResultFile, Run
from payments.states import FileState, MismatchKind, MismatchState
from reconciliation.statement import difference, statement
from tests.unit.reconciliation.reconcile_world import DAY, SIX, World


def total(count: int, minor: int = 0, key: str = "EUR/CRDT", mark: int = 0) -> Total:
    """`mark` stands for the multiset hash of the rows."""
    return Total(count, {key: minor} if minor else {}, digest=(mark, 0, 0, 0))


TEN = total(10, 1000, mark=10)
FILE = OutboundFile(
    file_id="f1",
    acquirer="northbank",
    business_date=DAY,
    window="w",
    split=1,
    generation=1,
    sequence=1,
    name="one.csv",
    format="delimited",
    state="acknowledged",
    assembly=1,
    created_at=SIX,
    config_hash="c",
    total=total(6, 600, mark=6),
    matched=total(4, 400, mark=4),
    mismatched=total(1, 100, mark=1),
    awaiting=total(1, 100, mark=1),
)
RUN = Run("legacy", 1, DAY, "assembled", None, [1], SIX, "c", chunks=1, extracted=total(12, 1200, mark=12))
RUN = replace(RUN, curated=TEN, quarantined=total(2, 200, mark=2), assembly=1)
OUTCOMES = {
    "assigned": total(6, 600, mark=6),
    "unassigned": total(1, 100, mark=1),
    "duplicate": total(1, 100, mark=1),
    "superseded": total(1, 100, mark=1),
    "unchanged": Total(),
    "withdrawn": total(1, 100, mark=1),
}


def books(world: World, *files: OutboundFile, run: Run = RUN, outcomes: dict[str, Total] = OUTCOMES) -> None:
    """One run, its assembly, these files."""
    stored = {name: each.to_json(digest=True) for name, each in outcomes.items() if name != "unassigned"}
    pool = outcomes["unassigned"]
    with world.sql.begin() as tx:
        tx.runs.add(run)
        if run.assembly:
            tx.assemblies.add(Assembly(1, "done", SIX, "c", {}, stored, pool))
        for each in files or (FILE,):
            tx.files.add(each)


def test_the_books_of_a_ledger_tie(world: World) -> None:
    """Every term is where the records say, all equations hold, and an empty ledger ties as well."""
    assert world.statement().ties
    books(world)
    found = world.statement()
    counts = {term: found.terms[term].count for term in TERMS}
    assert counts == {
        "extracted": 12, "curated": 10, "quarantined": 2,
        "assigned": 6, "unassigned": 1, "duplicate": 1, "superseded": 1, "unchanged": 0, "withdrawn": 1,
        "planned": 0, "sealed": 0, "in_doubt": 0, "refused": 0, "delivered": 6, "cancelled": 0,
        "matched": 4, "mismatched": 1, "awaiting": 1,
    }  # fmt: skip
    assert (found.faults, found.ties, found.agrees) == ((), True, True)


@pytest.mark.parametrize(
    ("state", "term"),
    [
        ("planned", "planned"), ("sealed", "sealed"), ("delivering", "sealed"), ("in_doubt", "in_doubt"),
        ("delivered", "delivered"), ("acknowledged", "delivered"), ("partially_accepted", "delivered"),
        ("reconciled", "delivered"), ("refused", "refused"), ("cancelled", "cancelled"), ("not_received", "cancelled"),
    ],
)  # fmt: skip
def test_every_state_of_a_file_has_its_term(world: World, state: str, term: str) -> None:
    """The rows of a file are counted once, under the term of its state, and only a delivered file has outcomes."""
    books(world, replace(FILE, state=state))
    found = world.statement()
    assert found.ties
    assert found.terms[term] == FILE.total
    assert found.terms["matched"].count == (4 if term == "delivered" else 0)
    assert found.files == {each: int(each == state) for each in FileState}


@pytest.mark.parametrize("left", [left for left, _ in EQUATIONS])
@pytest.mark.parametrize("off", ["count", "sum", "digest"])
def test_books_that_are_off_do_not_tie(world: World, left: str, off: str) -> None:
    """One row, one cent or one swapped row too much on either side of an equation is named."""
    wrong = {"count": Total(1), "sum": total(0, 1), "digest": total(0, mark=1)}[off]
    run, file, outcomes = RUN, FILE, dict(OUTCOMES)
    match left:
        case "extracted":
            run = replace(run, extracted=run.extracted + wrong)
        case "curated":
            outcomes["duplicate"] += wrong
        case "assigned":
            # The rows of a file count as assigned by its record: what is off shows against the assembly.
            file = replace(file, total=file.total + wrong, awaiting=file.awaiting + wrong)
        case _:
            file = replace(file, matched=file.matched + wrong)
    books(world, file, run=run, outcomes=outcomes)
    found = world.statement()
    named = {"assigned": "curated"}.get(left, left)
    assert [each.partition(" ")[0] for each in found.faults] == [named]
    assert not found.ties


def test_rows_that_went_back_to_the_pool_count_there(world: World) -> None:
    """A refused file whose rows were taken back counts nowhere; its successor counts them."""
    old = replace(FILE, state="refused", returned_in=2)
    books(world, old, replace(FILE, file_id="f2", generation=2))
    found = world.statement()
    assert (found.ties, found.terms["assigned"].count, found.terms["refused"].count) == (True, 6, 0)
    assert found.files["refused"] == 1


def test_rows_on_their_way_are_in_flight(world: World) -> None:
    """A chunk enters extracted, curated and quarantined in one step; before that it is in flight, and the books tie."""
    run = replace(RUN, state="open", assembly=None, extracted=Total(), curated=Total(), quarantined=Total())
    done = Chunk("legacy", 1, 1, "curated", None, [1], 4, extracted=total(4, 40), curated=total(3, 30))
    with world.sql.begin() as tx:
        tx.runs.add(run)
        tx.chunks.add(replace(done, quarantined=total(1, 10)))
        tx.chunks.add(Chunk("legacy", 1, 2, "stored", [1], [2], 5, extracted=total(5, 50)))
    found = world.statement()
    counts = [found.terms[term].count for term in ("extracted", "curated", "quarantined", "unassigned")]
    assert (found.ties, counts, found.in_flight) == (True, [4, 3, 1, 3], total(5, 50))


def test_a_stopped_run_is_a_fault(world: World) -> None:
    """Books that were found off at a stage stay off, and say why."""
    books(world, run=replace(RUN, ordinal=2, state="stopped", note="chunk 3 lost a row"))
    assert world.statement().faults == ("run legacy/000002 is stopped: chunk 3 lost a row",)


@pytest.mark.parametrize("lost", ["events", "applied"])
def test_incoming_books_that_are_off_do_not_tie(world: World, lost: str) -> None:
    """A line or an event that went nowhere is named."""
    result = ResultFile("northbank", "aa", "r", "k", DAY, 1, SIX, "read", lines=5, control=2, events=3, reconciled=True)
    uses = ResultBooks("northbank", "aa", "f1", applied=2)
    strange = ResultBooks("northbank", "aa", "", unknown=1)
    flying = ResultFile("northbank", "bb", "s", "k2", DAY, 1, SIX, "read", lines=9, control=1, events=1)
    with world.sql.begin() as tx:
        tx.results.add(result if lost == "applied" else replace(result, events=2))
        tx.result_books.add(replace(uses, applied=1) if lost == "applied" else uses)
        tx.result_books.add(strange)
        tx.results.add(flying)
        tx.result_books.add(ResultBooks("northbank", "bb", "f1", applied=1))
    found = world.statement()
    assert found.faults[0] == "incoming: lines does not add up" if lost == "events" else True
    assert any("incoming: events does not add up" in each for each in found.faults)
    assert (found.results_in_flight, found.incoming["lines"]) == (1, 5)


def mismatch(kind: MismatchKind, expected: int | None, reported: int | None, **detail: Any) -> Mismatch:
    return Mismatch(
        id=f"{kind}-{expected}-{reported}-{sorted(detail)}",
        acquirer="northbank",
        business_date=DAY,
        kind=str(kind),
        state="open",
        opened_at=SIX,
        updated_at=SIX,
        expected_minor=expected,
        reported_minor=reported,
        currency="EUR",
        direction="CRDT",
        detail=detail,
    )


K = MismatchKind


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (mismatch(K.AMOUNT_DIFFERS, 100, 130), {"EUR/CRDT": 30}),
        (mismatch(K.CURRENCY_DIFFERS, 100, 100, reported_currency="USD"), {"EUR/CRDT": -100, "USD/CRDT": 100}),
        (mismatch(K.DIRECTION_DIFFERS, 100, 100, reported_direction="DBIT"), {"EUR/CRDT": -100, "EUR/DBIT": 100}),
        (mismatch(K.MISSING_AT_ACQUIRER, 100, None), {"EUR/CRDT": -100}),
        (mismatch(K.STATUS_REJECTED, 100, 100), {"EUR/CRDT": -100}),
        (mismatch(K.RETURNED, 100, 100), {"EUR/CRDT": -100}),
        (mismatch(K.STATUS_CONFLICT, 100, 100), {"EUR/CRDT": -100}),
        (mismatch(K.ACCOUNT_DIFFERS, 100, None), {}),
        (mismatch(K.DATE_DIFFERS, 100, 100), {}),
        (mismatch(K.UNKNOWN_TO_US, None, 77, status="ACSC"), {"EUR/CRDT": 77}),
        (mismatch(K.UNKNOWN_TO_US, None, 77, status="RJCT"), {}),
        (mismatch(K.DUPLICATE_RESULT, None, 77, status="ACSC"), {"EUR/CRDT": 77}),
        (mismatch(K.DUPLICATE_RESULT, None, 77, status="RTRN"), {}),
        (mismatch(K.AMBIGUOUS_MATCH, None, 77, status="ACSC"), {"EUR/CRDT": 77}),
        (mismatch(K.SETTLED_AFTER_REDELIVERY, 100, 100, status="ACSC"), {"EUR/CRDT": 100}),
    ],
)
def test_what_each_kind_adds_to_the_difference(found: Mismatch, wanted: dict[str, int]) -> None:
    """Reported minus expected: money that is with the acquirer and not in our books, or the other way round."""
    assert difference([found]) == wanted
    assert difference([found, replace(found, currency="", reported_minor=5)]) == wanted


def test_the_json_object_has_every_term_and_every_kind(world: World) -> None:
    """Design section 7: terms at the top level, I1b under incoming, every kind and every state present."""
    books(world, replace(FILE, total=replace(FILE.total, unreadable=0)))
    with world.sql.begin() as tx:
        for number, state in enumerate(MismatchState):
            tx.mismatches.add(replace(mismatch(K.RETURNED, 100, 100), id=str(number), state=str(state)))
    with world.sql.begin() as tx:
        found = statement(tx).to_json()
    for term in TERMS:
        assert set(found[term]) - {"unreadable"} == {"count", "amount_minor"}
    assert found["curated"] == {"count": 10, "amount_minor": {"EUR/CRDT": 1000}}
    assert set(found["incoming"]) == set(INCOMING_TERMS)
    assert all(isinstance(each, int) for each in found["incoming"].values())
    assert found["mismatches_by_kind"] == {str(kind): 5 if kind == K.RETURNED else 0 for kind in MismatchKind}
    assert set(found["files"]) == {str(state) for state in FileState}
    assert (found["ties"], found["agrees"], found["difference_minor"]) == (True, False, {"EUR/CRDT": -500})
    assert (found["faults"], found["in_flight"]) == ([], {"count": 0, "amount_minor": {}})
