"""Which acquirer takes a payment, which payments repeat a reference, and what the reference table adds."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.duplicates import repeated_references
from curation.reference import read_reference
from payments.config import ReferenceTable
from payments.errors import WrongConfiguration

AGENTS = b'\xef\xbb\xbfbic,country,name\nBNPAFRPPXXX,FR,"Bank, One"\n deutdeff ,DE,Bank Two\n'


def table(**changes: Any) -> ReferenceTable:
    fixed = {"path": "agents.csv", "key": "bic", "match": "creditor_agent", "take": "name"}
    return ReferenceTable(**{**fixed, **changes})


def test_the_first_route_that_holds_takes_the_payment(bench: Any) -> None:
    """Conditions are joined by and, values of one condition by or; the order of routes decides."""
    routes = [
        {"acquirer": "nobody", "source": ["other"]},
        {"acquirer": "giro", "currency": ["EUR"], "direction": ["CRDT"], "creditor_country": ["DE", "FR"]},
        {"acquirer": "dollar", "currency": ["USD", "GBP"]},
        {"acquirer": "rest", "direction": ["DBIT"], "source": ["legacy"]},
    ]
    rows = [{}, {"CCY": "GBP"}, {"DRCR": "D"}, {"PAYEE_ACCT": "NO9386011117947"}, {"CCY": "JPY", "AMT": "5"}]
    chunk = bench.curate(rows, route=routes)
    assert chunk.curated["acquirer"].to_pylist() == ["giro", "dollar", "rest"]
    assert bench.codes(rows, route=routes) == [[], [], [], ["AG03"], ["AG03"]]


def test_a_row_that_is_wrong_already_gets_no_route_reason(bench: Any) -> None:
    """Without a readable currency no route can be expected: one reason, not two."""
    assert bench.codes([{"CCY": "?"}, {"PAYEE_ACCT": "x"}], route=[{"acquirer": "a", "creditor_country": ["NO"]}]) == [
        ["AM11"],
        ["AC03"],
    ]


def test_a_stop_row_reaches_the_acquirer_without_its_country(bench: Any) -> None:
    """A stop row whose account cannot be read still passes the condition on the country, but no other."""
    routes = [{"acquirer": "giro", "creditor_country": ["NO"]}]
    assert bench.codes([{"STATE": "S", "PAYEE_ACCT": None}, {"STATE": "S"}], route=routes) == [[], ["AG03"]]
    assert bench.codes([{"PAYEE_ACCT": None}], route=routes, required=[]) == [["AG03"]]


def test_later_payments_with_the_same_reference_are_refused(bench: Any) -> None:
    """The second and third payment under one reference are refused and point at the first; versions are not."""
    rows = [
        {"PAY_NO": "A", "ORDER_REF": "R"},
        {"PAY_NO": "B", "ORDER_REF": "R"},
        {"PAY_NO": "A", "ORDER_REF": "R", "REV": "2"},
        {"PAY_NO": "C", "ORDER_REF": "R"},
        {"PAY_NO": "D", "ORDER_REF": "r"},
    ]
    raw = bench.raw(rows)
    assert bench.codes(raw) == [[], ["DU04"], [], ["DU04"], []]
    chunk = bench.curate(raw)
    assert chunk.quarantine["twin"].to_pylist() == [raw["_payment_id"][0].as_py()] * 2


def test_only_otherwise_valid_rows_hold_a_reference(bench: Any) -> None:
    """A refused row, a stop row, and a payment of another acquirer do not take a reference from others."""
    routes = [{"acquirer": "dollar", "currency": ["USD"]}, {"acquirer": "rest"}]
    first = [{"AMT": "0"}, {"STATE": "S"}, {"CCY": "USD"}]
    for other in first:
        rows = [{"PAY_NO": "A", "ORDER_REF": "R", **other}, {"PAY_NO": "B", "ORDER_REF": "R"}]
        assert bench.codes(rows, route=routes)[1] == []
    rows = [{"PAY_NO": "A", "ORDER_REF": "R"}, {"PAY_NO": "B", "ORDER_REF": "R", "STATE": "S"}]
    assert bench.codes(rows) == [[], []]


@given(
    st.lists(
        st.tuples(st.sampled_from("RST"), st.sampled_from("xy"), st.sampled_from("123"), st.booleans()), max_size=30
    )
)
def test_repeated_references_equal_a_plain_walk(rows: list[tuple[str, str, str, bool]]) -> None:
    """One pass with a dictionary finds the same rows and the same first holders."""
    holders: dict[tuple[str, str], str] = {}
    expected: list[str | None] = []
    for reference, acquirer, identity, candidate in rows:
        holder = holders.setdefault((reference, acquirer), identity) if candidate else identity
        expected.append(holder if holder != identity else None)
    columns = [pa.array([row[i] for row in rows], pa.string()) for i in range(3)]
    candidates = pa.array([row[3] for row in rows], pa.bool_()).to_numpy(zero_copy_only=False)
    repeated, twin = repeated_references(*columns, candidates)
    assert twin.to_pylist() == expected
    assert repeated.tolist() == [each is not None for each in expected]


def test_the_reference_table_is_joined(bench: Any) -> None:
    """Known values get what the table says; unknown ones get nothing, and are refused only where it is required."""
    rows = [{}, {"PAYEE_BIC": "DEUTDEFF"}, {"PAYEE_BIC": "NONEDEFF"}, {"PAYEE_BIC": None}, {"PAYEE_BIC": "bad"}]
    optional = bench.curate(rows, reference=read_reference(table(), AGENTS))
    assert optional.curated["enrichment"].to_pylist() == ["Bank, One", "Bank Two", None, None]
    required = read_reference(table(required=True), AGENTS)
    assert bench.codes(rows, reference=required) == [[], [], ["RC04"], ["RC04"], ["RC01"]]
    assert bench.codes([{"STATE": "S", "PAYEE_BIC": None}], reference=required) == [[]]


def test_the_reference_table_may_match_another_column(bench: Any) -> None:
    """It can be looked up by currency too, with that column's code."""
    reference = read_reference(table(match="currency", required=True), b"bic,name\nUSD,dollar\n")
    assert bench.codes([{}, {"CCY": "USD"}, {"CCY": "?"}], reference=reference) == [["AM03"], [], ["AM11"]]


@pytest.mark.parametrize(
    ("changes", "data", "message"),
    [
        ({"match": "colour"}, AGENTS, "match names 'colour'"),
        ({"take": "town"}, AGENTS, "has no column 'town'"),
        ({}, b"", "has no column 'bic'"),
        ({}, b"\xff\xfe", "not CSV in UTF-8"),
        ({}, b'bic,name\nA,"x\n', "not CSV in UTF-8"),
        ({}, b"bic,name\nA\n", "line 2: the key or the value is missing"),
        ({}, b"bic,name\nA,x\n ,y\n", "line 3: the key or the value is missing"),
        ({}, b"bic,name\nA,x\na,y\n", "line 3: this key stands there twice"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(changes: dict[str, Any], data: bytes, message: str) -> None:
    """A wrong name, a broken file and contradicting lines are errors that name the file and the line."""
    with pytest.raises(WrongConfiguration, match=message):
        read_reference(table(**changes), data)
