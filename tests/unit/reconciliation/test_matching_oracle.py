"""Matching against a naive one: random small files, random events over several result files, one event at a time in Python."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from payments.tables import EXPECTED, REPORTED
from reconciliation.engine import open_engine
from reconciliation.matching import Matched, Terms, Told, match_file
from tests.unit.reconciliation.matching_naive import (
    DAYS,
    FINAL,
    NAMES,
    STAGE,
    Event,
    Payment,
    expected_rows,
    naive,
    reported_row,
)

TIMES = st.one_of(st.none(), st.integers(6, 9).map(lambda hour: datetime(2026, 3, 2, hour, tzinfo=UTC)))
HUGE = (1 << 63) - 1
PAYMENTS = st.lists(
    st.builds(
        Payment,
        st.sampled_from(["A", "B", "C", "D"]),
        st.sampled_from([0, 100, 101, HUGE]),
        st.sampled_from(["EUR", "USD"]),
        st.sampled_from(["CRDT", "DBIT"]),
        st.sampled_from(DAYS),
        st.sampled_from(["X1", None]),
    ),
    unique_by=lambda each: each.reference,
    max_size=4,
)
NAMED = st.sampled_from(
    [
        ("id-ours", None, None),
        ("id-ours", "other.csv", 9),
        ("id-other", "ours.csv", 5),
        (None, "ours.csv", 9),
        (None, "other.csv", 5),
        (None, None, 5),
        (None, None, 6),
        (None, None, None),
    ]
)
EVENTS = st.builds(
    lambda named, **rest: Event(message=named[0], name=named[1], sequence=named[2], **rest),
    NAMED,
    reference=st.sampled_from(["A", "A", "A", " A ", "B", "B", "C", "D", "X", "a"]),
    status=st.sampled_from([*STAGE, "RJCT", "CANC", "RTRN", "ACSC", "ACSC"]),
    minor=st.sampled_from([100, 100, 101, 103, 0, HUGE, None]),
    currency=st.sampled_from(["EUR", "EUR", "USD", None]),
    direction=st.sampled_from(["CRDT", "CRDT", "DBIT", None]),
    requested=st.sampled_from([*DAYS, None]),
    account=st.sampled_from(["X1", "X2", None]),
    stated_at=TIMES,
    level=st.sampled_from(["TX", "TX", "TX", "TX", "GRP", "PMTINF"]),
    error=st.sampled_from([None, None, None, None, "amount is not a number"]),
    reason=st.sampled_from([None, "AC04", "AM04"]),
    about=st.sampled_from([None, "Q1", "Q2"]),
)
FILES = st.dictionaries(st.sampled_from(["aa", "bb", "cc"]), st.lists(EVENTS, max_size=7), max_size=3)
TERMS = st.builds(
    Terms,
    final_status=st.sampled_from(FINAL),
    tolerance_minor=st.sampled_from([0, 1, 2]),
    implicit=st.booleans(),
    overdue=st.booleans(),
)
ELSEWHERE = st.fixed_dictionaries({sha: st.sets(st.sampled_from(["A", "B", "C"])) for sha in ("aa", "bb", "cc")})


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder, open_engine(Path(folder), memory_limit_mb=128) as found:
        yield found


def matched_by_us(
    engine: Any,
    payments: list[Payment],
    files: dict[str, list[Event]],
    elsewhere: dict[str, set[str]],
    terms: Terms,
    *,
    turned: bool = False,
) -> Matched:
    """With `turned` the result files come in the other order, and so do the rows in them."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        pq.write_table(pa.Table.from_pylist(expected_rows(payments), schema=EXPECTED), at / "expected")
        told = []
        for sha, events in sorted(files.items(), reverse=turned):
            rows = [reported_row(line, event) for line, event in enumerate(events, 1)]
            pq.write_table(pa.Table.from_pylist(rows[::-1] if turned else rows, schema=REPORTED), at / sha)
            others = [Payment(each, 1, "EUR", "CRDT", DAYS[0], None) for each in sorted(elsewhere[sha])]
            pq.write_table(pa.Table.from_pylist(expected_rows(others), schema=EXPECTED), at / f"{sha}-other")
            told.append(Told(sha, at / sha, (at / f"{sha}-other",) if others else ()))
        return match_file(engine, at / "expected", told, names=NAMES, terms=terms, closed=True)


def compared(matched: Matched, uses: dict[tuple[str, int], str]) -> tuple[dict[str, Any], dict[tuple[str, int], str]]:
    """What matching found, in the words of the naive one; and the uses of events, checked against the counts."""
    kinds = {row["end_to_end_id"]: set(row["differing"]) for row in matched.differing}
    shas = {row["end_to_end_id"]: row["result_sha256"] for row in matched.differing}
    settled = {row["end_to_end_id"] for row in matched.settled}
    found = {}
    for row in matched.rows.to_pylist():
        reference = row["end_to_end_id"]
        found[reference] = {
            "outcome": (row["outcome"], row["how"]),
            **{name: row[name] for name in ("events", "status", "reason_code", "reported_minor")},
            **{name: row[name] for name in ("reported_currency", "acquirer_reference")},
            "differing": kinds.get(reference, set()),
            "result_sha256": shas.get(reference),
            "settled": reference in settled,
        }
    said = {(row["sha"], row["line"]): "unknown" for row in matched.unknown}
    said |= {(row["sha"], row["line"]): "duplicate" for row in matched.duplicates}
    counts = {(sha, use): count for sha, by_use in matched.uses.items() for use, count in by_use.items()}
    assert counts == Counter((sha, use) for (sha, _), use in uses.items())
    return found, said | {key: "applied" for key, use in uses.items() if use == "applied"}


QUIET = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLAIN = Event(
    "A", "ACSC", 100, "EUR", "CRDT", DAYS[0], "X1", None, "id-ours", None, None, "TX", None, None, None
)  # fmt: skip
OURS = Payment("A", 100, "EUR", "CRDT", DAYS[0], "X1")
STRICT = Terms("ACSC", 0, implicit=False, overdue=False)
NOWHERE: dict[str, set[str]] = {"aa": set(), "bb": set(), "cc": set()}


@QUIET
@given(payments=PAYMENTS, files=FILES, elsewhere=ELSEWHERE, terms=TERMS)
@example(
    payments=[OURS],
    files={"aa": [PLAIN], "bb": [PLAIN._replace(status="RTRN"), PLAIN]},
    elsewhere=NOWHERE,
    terms=STRICT,
)
@example(
    payments=[OURS], files={"aa": [PLAIN._replace(message=None)]}, elsewhere={**NOWHERE, "aa": {"A"}}, terms=STRICT
)
def test_matching_equals_the_naive_one(
    engine: Any,
    payments: list[Payment],
    files: dict[str, list[Event]],
    elsewhere: dict[str, set[str]],
    terms: Terms,
) -> None:
    """Every payment gets the outcome, and every event the use, that a reading of the rules one by one gives."""
    wanted, uses = naive(payments, files, elsewhere, terms)
    matched = matched_by_us(engine, payments, files, elsewhere, terms)
    found, said = compared(matched, uses)
    for reference, facts in found.items():
        if facts["outcome"][0] != "mismatched":
            wanted[reference] |= {"differing": facts["differing"], "result_sha256": facts["result_sha256"]}
    assert found == wanted
    assert said == uses
    assert matched.rows["line"].to_pylist() == list(range(1, len(payments) + 1))


@QUIET
@given(payments=PAYMENTS, files=FILES, terms=TERMS)
def test_neither_the_order_of_files_nor_of_rows_matters(
    engine: Any, payments: list[Payment], files: dict[str, list[Event]], terms: Terms
) -> None:
    """The same set of events gives the same rows, mismatches and uses, in whatever order they are stored and named."""
    first = matched_by_us(engine, payments, files, NOWHERE, terms)
    second = matched_by_us(engine, payments, files, NOWHERE, terms, turned=True)
    assert first.rows.equals(second.rows)
    assert first == second


@pytest.mark.parametrize("final", FINAL)
@pytest.mark.parametrize("status", list(STAGE))
def test_below_the_final_status_a_payment_awaits(engine: Any, final: str, status: str) -> None:
    """A status settles a payment from the acquirer's final status on; below it the stage is shown."""
    event = PLAIN._replace(status=status)
    matched = matched_by_us(engine, [OURS], {"aa": [event]}, NOWHERE, Terms(final, 0, implicit=True, overdue=True))
    (row,) = matched.rows.to_pylist()
    wanted = ("matched", "matched") if STAGE[status] >= STAGE[final] else ("awaiting", status)
    assert (row["outcome"], row["how"]) == wanted


@pytest.mark.parametrize(
    ("implicit", "overdue", "wanted"),
    [
        (False, False, ("awaiting", None)),
        (False, True, ("mismatched", "missing_at_acquirer")),
        (True, False, ("matched", "matched_implicitly")),
        (True, True, ("matched", "matched_implicitly")),
    ],
)
def test_what_silence_means(engine: Any, implicit: bool, overdue: bool, wanted: tuple[str, str | None]) -> None:
    """Silence is success only where a complete list of exceptions says so, and a mismatch once results were due."""
    matched = matched_by_us(engine, [OURS], {}, NOWHERE, Terms("ACSC", 0, implicit, overdue))
    (row,) = matched.rows.to_pylist()
    assert (row["outcome"], row["how"]) == wanted


@pytest.mark.parametrize(
    ("off", "wanted"), [(0, "matched"), (2, "matched_within_tolerance"), (-2, "matched_within_tolerance"), (3, None)]
)
def test_tolerance_is_inclusive_and_said(engine: Any, off: int, wanted: str | None) -> None:
    """An amount off by at most the tolerance matches and says so; one more minor unit is a mismatch."""
    event = PLAIN._replace(minor=100 + off)
    matched = matched_by_us(engine, [OURS], {"aa": [event]}, NOWHERE, Terms("ACSC", 2, implicit=False, overdue=False))
    (row,) = matched.rows.to_pylist()
    assert row["how"] == (wanted or "amount_differs")
    assert [each["differing"] for each in matched.differing] == ([] if wanted else [["amount_differs"]])
