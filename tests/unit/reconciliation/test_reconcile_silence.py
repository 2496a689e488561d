"""What silence means: success only where a complete list of exceptions says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.unit.reconciliation.reconcile_texts import Pay, ack, pain002, results, say
from tests.unit.reconciliation.reconcile_world import PAIN, World

A, B, C = Pay("A"), Pay("B", 200, "USD", "DBIT"), Pay("C", 3)
ABC = [A, B, C]


@pytest.mark.parametrize("complete_when", ["trailer", "deadline"])
def test_silence_is_success_only_once_the_list_of_exceptions_is_complete(
    make: Callable[..., World], complete_when: str
) -> None:
    """Not on the acknowledgement alone: the list with its trailer must be here, or the deadline passed."""
    world = make(results_list="exceptions_only", complete_when=complete_when)
    sent = world.send(ABC)
    world.take("f.ack", ack(sent))
    assert world.counts(sent) == (0, 0, 3)
    world.take("f.result.1", results(sent, [say(B, "RJCT")]))
    assert world.counts(sent) == ((2, 1, 0) if complete_when == "trailer" else (0, 1, 2))
    world.wait_until_due()
    assert (world.counts(sent), world.kinds()) == ((2, 1, 0), ["status_rejected B"])
    rows = _rows(world, world.file(sent).matched_key)
    assert {row["end_to_end_id"]: row["how"] for row in rows} == {
        "A": "matched_implicitly", "B": "status_rejected", "C": "matched_implicitly",
    }  # fmt: skip


def test_silence_about_a_file_that_was_never_accepted_is_no_success(make: Callable[..., World]) -> None:
    """An acquirer that lists exceptions and says nothing at all has taken nothing."""
    world = make(results_list="exceptions_only", complete_when="deadline")
    sent = world.send(ABC)
    world.wait_until_due()
    assert world.kinds() == [f"missing_at_acquirer {each}" for each in "ABC"]
    assert world.counts(sent) == (0, 3, 0)


def test_a_word_on_the_whole_file_is_not_its_list_of_exceptions(make: Callable[..., World]) -> None:
    """A second report that says `pending` of the file lists nothing: it must not turn silence into success."""
    world = make(results_list="exceptions_only", results=PAIN)
    sent = world.send(ABC)
    world.take("a.xml", pain002(sent.file_id, group="ACTC"))
    world.take("b.xml", pain002(sent.file_id, group="PDNG", at="2026-03-02T08:00:00Z"))
    assert world.counts(sent) == (0, 0, 3)
    world.take("c.xml", pain002(sent.file_id, [say(A, "RJCT", reason="AC04")]))
    assert world.counts(sent) == (2, 1, 0)


@pytest.mark.parametrize("complete_when", ["trailer", "marker", "deadline"])
def test_a_list_of_exceptions_that_was_cut_off_is_never_used(make: Callable[..., World], complete_when: str) -> None:
    """Whatever closes the set: a file without its trailer has lost its end, and with it perhaps a rejection."""
    world = make(results_list="exceptions_only", complete_when=complete_when)
    sent = world.send(ABC)
    world.take("f.ack", ack(sent))
    text = results(sent, [say(A, "RJCT"), say(B, "RJCT")])
    world.take("f.result.1", "".join(text.splitlines(keepends=True)[:2]))
    assert (world.counts(sent), world.kinds()) == ((0, 0, 3), ["file_unreadable"])


def test_an_acquirer_that_lists_successes_only_is_silent_about_the_others(make: Callable[..., World]) -> None:
    """Absence is missing once results were due, and never an implicit match."""
    world = make(results_list="successes_only")
    sent = world.send(ABC)
    world.take("f.ack", ack(sent))
    world.take("f.result.1", results(sent, [say(A)]))
    assert world.counts(sent) == (1, 0, 2)
    world.wait_until_due()
    assert (world.counts(sent), world.kinds()) == ((1, 2, 0), ["missing_at_acquirer B", "missing_at_acquirer C"])


def _rows(world: World, key: str) -> list[dict[str, Any]]:
    with world.files.local(key) as path:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows
