"""Planning: how rows become files, and what each file is called, numbered, dated and held for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from payments.books import Total
from payments.config import AcquirerSection, Limits
from payments.errors import WrongConfiguration
from payments.keys import file_id
from payments.records import OutboundFile
from payments.states import FileState
from tests.unit.transfer.assemble_world import START, TODAY, AssembleWorld, Pay, acquirer
from transfer.candidates import of_run
from transfer.fold import fold
from transfer.planning import (
    NO_FILE,
    Division,
    Draft,
    Numbers,
    business_date,
    divide,
    file_name,
    number_files,
    over_limit,
)

TEN = Total(10, {"EUR/CRDT": 1_000, "EUR/DBIT": 50, "JPY/CRDT": 7})


def numbered(
    drafts: list[Draft], *, replaced: dict[str, OutboundFile] | None = None, **given: object
) -> list[OutboundFile]:
    names = {draft.acquirer for draft in drafts}
    known = {
        "assembly": 7,
        "created_at": START,
        "acquirers": {name: acquirer(name) for name in names},
        "replaced": replaced or {},
        "usual": {},
        "numbers": Numbers({}, dict.fromkeys(names, 5)),
        "config_hash": "c",
    }
    return number_files(drafts, **{**known, **given})  # type: ignore[arg-type]


def divided(world: AssembleWorld, sections: dict[str, AcquirerSection], *runs: list[Pay]) -> Division:
    keys = []
    for rows in runs:
        run = world.run(*rows, chunk_rows=3)
        with world.ledger.begin() as tx:
            chunks = tx.chunks.find(source=run.source, run=run.ordinal)
        from payments.keys import ChunkKey

        keys += [ChunkKey(run.source, run.business_date, run.ordinal, each.ordinal) for each in chunks]
    slices = of_run(keys)
    folded = fold(world.store, slices, [], dict.fromkeys(sections, date(2030, 1, 1)))
    return divide(world.store, slices, folded, sections)


def test_files_are_filled_in_order_up_to_the_limit_of_the_acquirer(tmp_path: object) -> None:
    """Seven payments at three per file give three files per acquirer, in order, each row in one file, sums kept."""
    world = AssembleWorld(tmp_path)  # type: ignore[arg-type]
    sections = {"north": acquirer(rows_per_file_max=3), "south": acquirer("south", rows_per_file_max=100)}
    rows = [Pay(f"n{at}", minor=at + 1) for at in range(7)] + [Pay(f"s{at}", acquirer="south") for at in range(4)]
    division = divided(world, sections, rows)
    assert [(draft.acquirer, draft.rows) for draft in division.drafts] == [
        ("north", 3),
        ("north", 3),
        ("north", 1),
        ("south", 4),
    ]
    places = np.concatenate(division.file_of).tolist()
    assert places == [0, 0, 0, 1, 1, 1, 2, 3, 3, 3, 3]
    assert [draft.total.amount_minor["EUR/CRDT"] for draft in division.drafts] == [6, 15, 7, 400]
    assert sum((draft.total.count for draft in division.drafts), 0) == 11
    assert division.pool == Total()


def test_rows_that_are_not_sent_are_in_no_file(tmp_path: object) -> None:
    """A stopped row, a duplicate and a row for nobody we know are in no draft and counted once each."""
    world = AssembleWorld(tmp_path)  # type: ignore[arg-type]
    rows = [Pay("a"), Pay("b", stopped=True), Pay("c", reference="REF-a"), Pay("d", acquirer="gone")]
    division = divided(world, {"north": acquirer()}, rows)
    assert np.concatenate(division.file_of).tolist() == [0, NO_FILE, NO_FILE, NO_FILE]
    assert {name: each.count for name, each in division.outcomes.items()} == {
        "assigned": 1,
        "withdrawn": 1,
        "duplicate": 1,
    }
    assert division.pool.count == 1


def test_new_files_take_the_next_numbers_and_free_ones_first() -> None:
    """Numbers that nobody uses any more are used before new ones, so that strict order has no hole for ever."""
    drafts = [
        Draft("north", total=TEN),
        Draft("north", total=TEN),
        Draft("north", total=TEN),
        Draft("south", total=TEN),
    ]
    numbers = Numbers({"north": [2]}, {"north": 5, "south": 1})
    files = numbered(drafts, numbers=numbers)
    assert [(file.acquirer, file.sequence) for file in files] == [
        ("north", 2),
        ("north", 5),
        ("north", 6),
        ("south", 1),
    ]
    assert len({file.file_id for file in files}) == 4
    assert [file.file_id for file in files[:1]] == [file_id("north", TODAY, "w00000007", 0, 1)]
    assert {file.state for file in files} == {FileState.PLANNED}
    assert all(file.awaiting == file.total == TEN for file in files)


@pytest.mark.parametrize(
    ("state", "day", "sequence"),
    [(FileState.CANCELLED, date(2026, 2, 27), 3), (FileState.REFUSED, TODAY, 5), (FileState.NOT_RECEIVED, TODAY, 5)],
)
def test_a_replacement_keeps_the_number_only_of_a_file_that_never_left(
    state: FileState, day: date, sequence: int
) -> None:
    """A cancelled file's successor has its number and date; a redelivery has a new number and today's date."""
    old = replace(
        numbered([Draft("north", total=TEN)])[0],
        state=state,
        sequence=3,
        business_date=date(2026, 2, 27),
        window="w00000003",
        split=4,
        generation=2,
    )
    new = numbered([Draft("north", replaces=old.file_id, total=TEN)], replaced={old.file_id: old})[0]
    assert (new.business_date, new.sequence) == (day, sequence)
    assert (new.window, new.split, new.generation, new.replaces) == ("w00000003", 4, 3, old.file_id)
    assert new.name == f"north_{day:%Y%m%d}_{sequence:06d}_3.csv"
    assert new.file_id != old.file_id


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        ("America/Los_Angeles", datetime(2026, 3, 3, 7, 30, tzinfo=UTC), date(2026, 3, 2)),
        ("Pacific/Auckland", datetime(2026, 3, 2, 12, tzinfo=UTC), date(2026, 3, 3)),
        ("America/New_York", datetime(2026, 3, 8, 7, 30, tzinfo=UTC), date(2026, 3, 8)),
    ],
)
def test_the_business_date_is_the_acquirers(zone: str, at: datetime, day: date) -> None:
    """T10: at 23:30 in Los Angeles the name carries the date of Los Angeles, whatever UTC says."""
    section = acquirer(zone=zone)
    assert business_date(section, at) == day
    assert f"{day:%Y%m%d}" in numbered([Draft("north", total=TEN)], created_at=at, acquirers={"north": section})[0].name


@pytest.mark.parametrize(
    "template", ["{sequence", "{account}", "{0}", "{business_date:%Y%m%d}/{sequence}", "a b", "{sequence:%d}"]
)
def test_a_file_name_that_is_not_harmless_is_refused(template: str) -> None:
    """A template with an unknown word, a slash or a blank names itself and what is allowed."""
    with pytest.raises(WrongConfiguration, match=r"acquirer north: file_name"):
        file_name(acquirer(file_name=template), TODAY, 1, 1)


@pytest.mark.parametrize(
    ("limits", "usual", "why"),
    [
        (Limits(), [1] * 20, ""),
        (Limits(count=10), [], ""),
        (Limits(count=9), [], "limit: 10 payments, at most 9"),
        (Limits(amount_minor={"EUR": 1_050}), [], ""),
        (Limits(amount_minor={"EUR": 1_049}), [], "limit: 1050 minor units of EUR, at most 1049"),
        (Limits(amount_minor={"EUR/DBIT": 49}), [], "limit: 50 minor units of EUR/DBIT, at most 49"),
        (Limits(amount_minor={"JPY": 7, "USD": 1}), [], ""),
        (Limits(multiple_of_usual=3), [3, 3, 3, 3, 300], "limit: 10 payments, more than 3 times the usual"),
        (Limits(multiple_of_usual=3), [3, 3, 3, 3], ""),
        (Limits(multiple_of_usual=3), [4, 4, 4, 4, 4], ""),
    ],
)
def test_a_file_above_a_limit_is_held_with_the_reason(limits: Limits, usual: list[int], why: str) -> None:
    """Count, sum per currency or direction, and a multiple of the usual hold a file; at the limit it still leaves."""
    assert over_limit(limits, TEN, usual) == why
    section = acquirer(limits=limits)
    file = numbered([Draft("north", total=TEN)], acquirers={"north": section}, usual={"north": usual})[0]
    assert file.held == why
