"""Redelivery of chosen payments killed at every effect, and by chance over many days: same bytes, tied books, never twice."""

from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from payments.errors import NotAllowed
from tests.unit.transfer.assemble_world import Pay, refuse, take_back
from tests.unit.transfer.mortal import Fate, Killed, MortalLedger, MortalStore
from tests.unit.transfer.redeliver_world import BEN, RedeliverWorld
from transfer.acts_chosen import ChosenPorts, redeliver_payments
from transfer.assemble import assemble

SEEDS = range(5)
STEPS = 40


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person proposed to send b, c and d again; e was settled after its rejection and is left out."""
    folder = tmp_path_factory.mktemp("asked") / "world"
    world = RedeliverWorld(folder)
    world.run(*[Pay(key) for key in "abcde"])
    world.assemble()
    (file,) = world.deliver()
    world.said(file, {"a": "ACSC", **dict.fromkeys("bcde", "RJCT")})
    world.run(Pay("x"), Pay("b", version=2))
    assert not world.choose(file, "bcd").done
    world.ledger.engine.dispose()
    return folder


def agree(world: RedeliverWorld, ledger: Any, store: Any) -> None:
    file = world.files()[0]
    redeliver_payments(ChosenPorts(ledger, store, world.clock), file.file_id, ["REF-b", "REF-c", "REF-d"], BEN)


def work(world: RedeliverWorld, ledger: Any, store: Any) -> None:
    """Everything from the agreement of the second person to the match in the new file."""
    if not world.redeliveries():
        agree(world, ledger, store)
    assemble(world.ports(ledger, store))
    world.deliver()
    with world.ledger.begin() as tx:
        waiting = tx.results.count(state="collected") + tx.results.count(state="read", reconciled=False)
        told = tx.results.count()
    if told == 1:
        world.collect(world.files()[1], {"b": "ACSC", "c": "RJCT", "d": "ACSC"})
        waiting = 1
    if waiting:
        world.reconcile(ledger, store)


def records(world: RedeliverWorld) -> dict[str, list[dict[str, Any]]]:
    """The records without revisions: a step that was killed behind its effect is done once more."""
    with world.ledger.begin() as tx:
        found: dict[str, list[Any]] = {
            "files": tx.files.find(),
            "redeliveries": tx.redeliveries.find(),
            "assemblies": tx.assemblies.find(),
            "sequences": tx.sequences.find(),
            "mismatches": tx.mismatches.find(),
        }
    return {name: [{**asdict(each), "revision": 0} for each in known] for name, known in found.items()}


def test_killed_anywhere_it_goes_on_to_the_same_bytes_and_the_same_ledger(asked: Path, tmp_path: Path) -> None:
    """Dead before or after any effect and started again, the same files, lists, mismatches and books are there (I4, I5)."""
    world = RedeliverWorld(tmp_path / "undisturbed", template=asked)
    fate = Fate()
    work(world, MortalLedger(world.ledger, fate), MortalStore(world.store, fate))
    objects, said = world.facts()[0], records(world)
    assert world.open_kinds() == ["status_rejected c 1", "status_rejected c 2", "status_rejected e 1"]
    assert [world.payments_of(file) for file in world.files()] == [set("abcde"), set("bcd"), {"x"}]
    world.check()
    points = fate.passed
    assert points > 25
    for dies_at in range(1, points + 1):
        world = RedeliverWorld(tmp_path / str(dies_at), template=asked)
        fate = Fate(dies_at)
        with pytest.raises(Killed):
            work(world, MortalLedger(world.ledger, fate), MortalStore(world.store, fate))
        world.restart()
        work(world, world.ledger, world.store)
        assert (world.facts()[0], records(world)) == (objects, said), f"died at point {dies_at}"
        world.check()
        world.ledger.engine.dispose()


class Chance:
    """A source, an acquirer and people who do anything at any time. It remembers what was told, to judge by itself."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.world, self.random = RedeliverWorld(folder), random.Random(seed)
        self.versions: dict[str, int] = {}
        self.told: dict[
            tuple[str, str], list[str]
        ] = {}  # (file_id, key) -> statuses in the order of the acquirer's times
        self.chosen: set[tuple[str, str]] = set()
        self.sent_again = 0

    def step(self) -> None:
        act = self.random.choices(
            [
                self.extract,
                self.assemble,
                self.die,
                self.deliver,
                self.answer,
                self.choose,
                self.refuse,
                self.take_back,
            ],
            [2, 6, 2, 6, 7, 7, 1, 1],
        )[0]
        act()
        self.world.clock.at += self.world.clock.at.resolution * 60_000_000
        self.world.check()

    def extract(self) -> None:
        fresh = [f"k{len(self.versions) + at}" for at in range(self.random.randint(1, 3))]
        known = self.random.sample(sorted(self.versions), min(len(self.versions), self.random.randint(0, 1)))
        rows = []
        for key in (*fresh, *known):
            self.versions[key] = self.versions.get(key, 0) + 1
            is_stopped = key in known and self.random.random() < 0.3
            rows.append(Pay(key, version=self.versions[key], stopped=is_stopped))
        self.world.run(*rows)

    def assemble(self) -> None:
        self.world.assemble()

    def die(self) -> None:
        fate = Fate(self.random.randint(1, 12))
        try:
            assemble(self.world.ports(MortalLedger(self.world.ledger, fate), MortalStore(self.world.store, fate)))
        except Killed:
            self.world.restart()
            self.world.assemble()

    def deliver(self) -> None:
        for file in self.world.deliver():
            for key in self.world.payments_of(file):
                settled = [words for (name, told), words in self.told.items() if told == key and name != file.file_id]
                assert not any("ACSC" in words for words in settled), f"{key} was settled before, and left again"
                self.sent_again += bool(settled)

    def answer(self) -> None:
        gone = [file for file in self.world.files() if file.state in {"delivered", "acknowledged", "refused"}]
        if not gone:
            return
        file = self.random.choice(gone)
        keys = sorted(self.world.payments_of(file))
        words = {
            key: self.random.choice(["ACSC", "RJCT", "RJCT", "RJCT", "RJCT", "ACSP"])
            for key in keys
            if self.random.random() < 0.7
        }
        if words:
            self.world.said(file, words)
            for key, word in words.items():
                self.told.setdefault((file.file_id, key), []).append(word)

    def choose(self) -> None:
        files = [file for file in self.world.files() if file.state in {"delivered", "acknowledged"}]
        if not files:
            return
        file = self.random.choice(files)
        rejected = [key for (name, key), words in self.told.items() if name == file.file_id and words[-1] == "RJCT"]
        keys = (
            None if self.random.random() < 0.5 else self.random.sample(rejected, self.random.randint(0, len(rejected)))
        )
        try:
            self.world.agree(file, keys)
        except NotAllowed:
            return
        redelivery = self.world.redeliveries()
        assert any(each.file_id == file.file_id for each in redelivery)
        for key in keys or ():
            words = self.told[(file.file_id, key)]
            assert words[-1] == "RJCT"
            assert "ACSC" not in words
            assert (file.file_id, key) not in self.chosen
            self.chosen.add((file.file_id, key))

    def refuse(self) -> None:
        files = [file for file in self.world.files() if file.state == "delivered" and file.returned_in is None]
        if files:
            refuse(self.world, self.random.choice(files))

    def take_back(self) -> None:
        files = [file for file in self.world.files() if file.state == "sealed"]
        if files:
            take_back(self.world, self.random.choice(files))


def test_whatever_happens_no_payment_is_live_twice_and_the_books_tie(tmp_path: Path) -> None:
    """Random rejections, late results, choices, kills and source changes: I1 and I2 hold after each, nothing settled leaves again."""
    sent_again = 0
    for seed in SEEDS:
        chance = Chance(tmp_path / str(seed), seed)
        for _ in range(STEPS):
            chance.step()
        sent_again += chance.sent_again
        chance.world.ledger.engine.dispose()
    assert sent_again, "nothing was ever sent again"
