"""Assemble end to end on a real ledger and store: what is sent, what waits, what comes back, and that the books tie."""

from __future__ import annotations

import builtins
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from payments.config import Limits
from payments.errors import BooksOff
from payments.keys import run_chain
from payments.states import CLOSED_FILE_STATES, FileState
from runtime.ledger.audit import audit_records, faults
from tests.unit.transfer.assemble_world import TODAY, AssembleWorld, Pay, acquirer, refuse, take_back
from transfer import fold
from transfer.assembly_due import is_pending


def pending(world: AssembleWorld) -> bool:
    with world.ledger.begin() as tx:
        return is_pending(tx, world.configuration, world.clock.now())


def test_what_was_curated_is_sent_once_and_every_step_adds_up(tmp_path: Path) -> None:
    """I1: count, sum and hash of the run are those of file, expected and index; the sealed bytes hold each payment once."""
    world = AssembleWorld(tmp_path)
    rows = [Pay(f"k{at}", minor=at, direction="CRDT" if at % 3 else "DBIT") for at in range(25)]
    run = world.run(*rows, chunk_rows=10)
    world.assemble()
    (file,) = world.files()
    assert file.state == FileState.SEALED
    assert file.total == run.curated
    assert world.payments_of(file) == {row.key for row in rows}
    expected = world.expected(file)
    assert expected["line"].to_pylist() == list(range(1, 26))
    assert expected["end_to_end_id"].to_pylist() == [f"REF-k{at}" for at in range(25)]
    assert (file.sequence, file.name) == (1, "north_20260302_000001_1.csv")
    assert not pending(world)
    world.check_books()
    with world.ledger.engine.connect() as connection:
        assert list(faults(audit_records(connection))) == []


def test_nothing_is_planned_when_there_is_nothing(tmp_path: Path) -> None:
    """An assembly without runs, due pool or returned files leaves no record, however often it is woken."""
    world = AssembleWorld(tmp_path)
    world.assemble()
    world.run()
    world.assemble()
    world.assemble()
    assert [each.plan["files"] for each in world.assemblies()] == [[]]
    assert world.files() == []


def test_a_change_after_sealing_waits_is_told_once_and_ends_when_the_source_goes_back(tmp_path: Path) -> None:
    """A changed payment is not sent again: it waits, one mismatch says so, and closes when the old values return."""
    world = AssembleWorld(tmp_path)
    world.run(Pay("a"), Pay("b"))
    world.assemble()
    world.run(Pay("a", version=2))
    world.assemble()
    world.run(Pay("c"))
    world.assemble()
    assert world.outcomes(2) == {"a": ["unassigned:changed_after_sealed"]}
    assert world.outcomes(3) == {"a": ["unassigned:changed_after_sealed"], "c": ["assigned"]}
    assert world.mismatches() == {Pay("a").payment_id: ("changed_after_sealed", "open")}
    world.run(Pay("a"))
    world.assemble()
    assert world.outcomes(4) == {"a": ["superseded", "unchanged"]}
    assert world.mismatches() == {Pay("a").payment_id: ("changed_after_sealed", "closed_by_late_result")}
    world.check_books()


def test_a_stop_after_sealing_asks_for_a_recall(tmp_path: Path) -> None:
    """A payment stopped after its file was sealed is withdrawn and told as recall_needed; before that it is just withdrawn."""
    world = AssembleWorld(tmp_path)
    world.run(Pay("a"), Pay("b"), Pay("b", stopped=True))
    world.assemble()
    world.run(Pay("a", stopped=True))
    world.assemble()
    assert world.outcomes(1) == {"a": ["assigned"], "b": ["superseded", "withdrawn"]}
    assert world.outcomes(2) == {"a": ["withdrawn"]}
    assert world.mismatches() == {Pay("a").payment_id: ("recall_needed", "open")}


def test_future_dated_payments_wait_for_their_day_and_no_longer(tmp_path: Path) -> None:
    """A payment leaves on its day, or as many days before as the acquirer takes it; nothing is due until then."""
    world = AssembleWorld(tmp_path, acquirer(send_ahead_days=1))
    world.run(*[Pay(f"d{ahead}", day=TODAY + timedelta(days=ahead)) for ahead in range(5)])
    sent = []
    for _ in range(5):
        world.assemble()
        sent.append(sorted(world.payments_of(world.files()[-1])))
        assert not pending(world)
        world.next_day()
    assert sent == [["d0", "d1"], ["d2"], ["d3"], ["d4"], ["d4"]]
    world.check_books()


@pytest.mark.parametrize("why", ["stopped", "superseded", "changed_after_sealed"])
def test_a_row_that_will_never_leave_wakes_nobody_on_its_day(tmp_path: Path, why: str) -> None:
    """Only rows that really wait for a day make an assembly due then; else virtual time would stand still for ever."""
    world = AssembleWorld(tmp_path)
    later = TODAY + timedelta(days=2)
    match why:
        case "stopped":
            world.run(Pay("a", day=later, stopped=True))
        case "superseded":
            world.run(Pay("a", day=later), Pay("a", version=2))
        case _:
            world.run(Pay("a"))
            world.assemble()
            world.run(Pay("a", version=2, day=later))
    world.assemble()
    world.next_day(5)
    assert not pending(world)


def test_the_first_payment_keeps_a_reference_for_ever(tmp_path: Path) -> None:
    """A reference that was sent is never sent for another payment of that acquirer; the other points at its twin."""
    world = AssembleWorld(tmp_path, acquirer(), acquirer("south"))
    world.run(Pay("a", reference="R"), Pay("b", reference="R"), Pay("c", reference="R", acquirer="south"))
    world.assemble()
    world.run(Pay("d", reference="R"))
    world.assemble()
    assert world.outcomes(1) == {"a": ["assigned"], "b": ["duplicate"], "c": ["assigned"]}
    assert world.outcomes(2) == {"d": ["duplicate"]}
    assert set(world.index(2)["twin"].to_pylist()) == {Pay("a").payment_id}
    world.check_books()


def test_a_run_whose_books_are_off_is_stopped_and_its_neighbour_goes_out(tmp_path: Path) -> None:
    """A run that does not add up is stopped with a reason and nothing of it is sent; the next look sends the others."""
    world = AssembleWorld(tmp_path)
    world.run(Pay("a"))
    bad = world.run(Pay("b"), off_by=1)
    world.run(Pay("c"))
    with pytest.raises(BooksOff, match="run:legacy:2 promised 1 rows"):
        world.assemble()
    assert world.files() == []
    world.assemble()
    (file,) = world.files()
    assert world.payments_of(file) == {"a", "c"}
    with world.ledger.begin() as tx:
        stopped = tx.runs.get(bad.source, bad.ordinal)
    assert stopped is not None
    assert (stopped.state, stopped.assembly, stopped.note) == ("stopped", None, "books off at assembly")
    with world.ledger.engine.connect() as connection:
        chain = list(audit_records(connection, run_chain(bad.source, bad.ordinal)))
    assert [record.act for record in chain] == ["run_stopped"]


def test_a_file_that_its_format_refuses_is_held_and_its_neighbours_go(tmp_path: Path) -> None:
    """A debit cannot be said in pain.001: that file is held unsealed with the payment named, the others are sealed."""
    pain = acquirer("west", format="pain.001.001.09", file_name="{acquirer}_{sequence:06d}.xml", rows_per_file_max=2)
    world = AssembleWorld(tmp_path, acquirer(), pain)
    rows = [Pay(f"w{at}", acquirer="west", direction="DBIT" if at == 2 else "CRDT") for at in range(6)]
    world.run(Pay("n"), *rows)
    world.assemble()
    states = [(file.acquirer, file.sequence, file.state, bool(file.held)) for file in world.files()]
    assert states == [
        ("north", 1, "sealed", False),
        ("west", 1, "sealed", False),
        ("west", 2, "planned", True),
        ("west", 3, "sealed", False),
    ]
    held = world.files()[2]
    assert held.held.startswith("cannot be written: ")
    assert Pay("w2").payment_id in held.held
    assert "DE89" not in held.held
    assert not list(world.store.keys(f"outbound/west/{TODAY}/{held.file_id}"))
    assert not pending(world)
    world.check_books()


def test_a_file_above_a_limit_is_sealed_and_held(tmp_path: Path) -> None:
    """A file above the limit has its bytes and its number, and waits for a second person."""
    world = AssembleWorld(tmp_path, acquirer(limits=Limits(count=2), rows_per_file_max=3))
    world.run(*[Pay(f"k{at}") for at in range(5)])
    world.assemble()
    assert [(file.state, file.held) for file in world.files()] == [
        ("sealed", "limit: 3 payments, at most 2"),
        ("sealed", ""),
    ]


def test_a_configuration_changed_between_plan_and_restart_stops_the_plan(tmp_path: Path) -> None:
    """A plan that no longer follows from its inputs seals nothing and says so; put back, it goes on as planned."""
    world = AssembleWorld(tmp_path)
    before = world.configuration
    world.run(*[Pay(f"k{at}") for at in range(4)])
    from tests.unit.transfer.mortal import Fate, Killed, MortalLedger
    from transfer.assemble import assemble

    fate = Fate()

    class DiesAfterPlan:
        leases = world.ledger.leases

        def begin(self) -> Any:
            if world.assemblies():
                raise Killed
            return MortalLedger(world.ledger, fate).begin()

    with pytest.raises(Killed):
        assemble(world.ports(ledger=DiesAfterPlan()))
    world.restart()
    assert [each.state for each in world.assemblies()] == ["planned"]
    world.configuration = AssembleWorld(tmp_path / "other", acquirer(rows_per_file_max=3)).configuration
    with pytest.raises(BooksOff, match="no longer follows"):
        world.assemble()
    assert [file.state for file in world.files()] == ["planned"]
    world.configuration = before
    world.assemble()
    assert [file.state for file in world.files()] == ["sealed"]


@pytest.mark.parametrize("collide", [lambda _: 7, lambda value: builtins.hash(value) % 3])
def test_colliding_hashes_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collide: Any) -> None:
    """Two payments that only share a 64-bit hash are told apart by value: same outcomes, same files."""
    found = []
    for folder in ("plain", "colliding"):
        world = AssembleWorld(tmp_path / folder)
        play(world, random.Random(4), steps=4)
        found.append([world.outcomes(each.ordinal) for each in world.assemblies()])
        monkeypatch.setattr(fold, "hash", collide, raising=False)
    assert found[0] == found[1]


def play(world: AssembleWorld, rng: random.Random, *, steps: int) -> None:
    """Runs with versions, stops, shared references and routes, cancelled and refused files, days that pass."""
    for _ in range(steps):
        rows = []
        for _ in range(rng.randrange(1, 9)):
            key = f"k{rng.randrange(12)}"
            rows.append(
                Pay(
                    key,
                    version=rng.randrange(1, 4),
                    minor=rng.randrange(1, 500),
                    acquirer=rng.choice(["north", "north", "south"]),
                    reference=rng.choice(["", "", "SHARED-1", "SHARED-2"]),
                    day=world.clock.at.date() + timedelta(days=rng.choice([0, 0, 0, 2])),
                    stopped=rng.random() < 0.2,
                )
            )
        world.run(*rows, chunk_rows=3)
        world.assemble()
        for file in world.files():
            if file.state == FileState.SEALED and rng.random() < 0.4:
                rng.choice([take_back, refuse])(world, file)
        if rng.random() < 0.5:
            world.next_day()
    world.assemble()


@pytest.mark.parametrize("seed", range(14))
def test_no_history_sends_a_payment_twice_or_loses_one(tmp_path: Path, seed: int) -> None:
    """I2 and I3: whatever is changed, stopped, cancelled and refused, each payment is live at most once and every row counted."""
    world = AssembleWorld(tmp_path, acquirer(rows_per_file_max=4), acquirer("south", sequence="free"))
    play(world, random.Random(seed), steps=6)
    world.check_books()
    live: dict[str, str] = {}
    numbers: set[tuple[str, int]] = set()
    for file in world.files():
        rows = world.expected(file)
        assert rows.num_rows == file.total.count
        if file.state in CLOSED_FILE_STATES:
            continue
        assert (file.acquirer, file.sequence) not in numbers, "two live files have one number"
        numbers.add((file.acquirer, file.sequence))
        for payment in rows["payment_id"].to_pylist():
            assert live.setdefault(payment, file.file_id) == file.file_id, "a payment is live in two files"
    assert live
