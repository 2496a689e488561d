"""Assemble killed at every call of ledger and store, and two of them at once: same bytes, same ledger, one plan (I4, I5, T8)."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from payments.acting import Actor
from payments.errors import Busy
from payments.ports import Lease
from tests.unit.transfer.assemble_world import TODAY, AssembleWorld, Pay, acquirer
from tests.unit.transfer.mortal import Fate, Killed, MortalLedger, MortalStore
from transfer.acts import ActPorts, cancel, redeliver
from transfer.assemble import assemble

SECTIONS = (acquirer(rows_per_file_max=3), acquirer("south"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world in which the next assembly has everything: new rows, a pool, a change, a stop, a file that comes back."""
    folder = tmp_path_factory.mktemp("prepared") / "world"
    world = AssembleWorld(folder, *SECTIONS)
    world.run(*[Pay(f"k{at}", minor=at + 1) for at in range(5)], Pay("later", day=TODAY + timedelta(days=30)))
    world.assemble()
    world.run(Pay("k0", version=2), Pay("k4", stopped=True))
    world.assemble()
    ports, actor = ActPorts(world.ledger, world.clock), Actor("anna", verified=True)
    cancel(ports, world.files()[0].file_id, actor)
    redeliver(ports, world.files()[0].file_id, actor)
    world.run(Pay("n0"), Pay("n1"), Pay("n2"), Pay("n3"), Pay("s0", acquirer="south"), chunk_rows=2)
    world.ledger.engine.dispose()
    return folder


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, int]:
    """What an assembly that nobody disturbs leaves, and at how many points it could have died."""
    world = AssembleWorld(tmp_path_factory.mktemp("undisturbed") / "world", *SECTIONS, template=prepared)
    fate = Fate()
    assert assemble(world.ports(MortalLedger(world.ledger, fate), MortalStore(world.store, fate)))
    world.check_books()
    assert [file.generation for file in world.files() if file.acquirer == "north"] == [1, 2, 1, 1, 1]
    return world.facts(), fate.passed


def test_killed_anywhere_it_goes_on_to_the_same_bytes_and_the_same_ledger(
    prepared: Path, undisturbed: tuple[Any, int], tmp_path: Path
) -> None:
    """Dead before or after any effect and started again, assemble leaves the objects and records of an undisturbed one."""
    facts, points = undisturbed
    assert points > 25
    for dies_at in range(1, points + 1):
        world = AssembleWorld(tmp_path / str(dies_at), *SECTIONS, template=prepared)
        fate = Fate(dies_at)
        with pytest.raises(Killed):
            assemble(world.ports(MortalLedger(world.ledger, fate), MortalStore(world.store, fate)))
        world.restart()
        world.assemble()
        assert world.facts() == facts, f"died at point {dies_at}"
        world.ledger.engine.dispose()


def test_the_time_of_a_restart_enters_no_bytes(prepared: Path, undisturbed: tuple[Any, int], tmp_path: Path) -> None:
    """A plan made at one time and finished a day later gives the objects of an undisturbed assembly (I4)."""
    (objects, _), points = undisturbed
    world = AssembleWorld(tmp_path / "world", *SECTIONS, template=prepared)
    fate = Fate(points // 2)
    with pytest.raises(Killed):
        assemble(world.ports(MortalLedger(world.ledger, fate), MortalStore(world.store, fate)))
    assert [each.state for each in world.assemblies()] == ["done", "done", "planned"]
    world.restart()
    world.next_day()
    world.run(Pay("too-late"))
    with world.ledger.begin() as tx:
        late = tx.runs.find(state="curated")
    world.assemble()
    found = {key: data for key, data in world.facts()[0].items() if key in objects}
    assert found == objects
    assert len(late) == 1
    assert [each.state for each in world.assemblies()] == ["done"] * 4


class NoLeases:
    """Everybody gets the lease: as if each holder had been stopped for longer than its lease lasts."""

    def acquire(self, name: str, *, ttl: timedelta) -> Lease:
        return Lease(name, "anybody", 1)

    def renew(self, lease: Lease, *, ttl: timedelta) -> None: ...

    def release(self, lease: Lease) -> None: ...


class LeaselessLedger:
    def __init__(self, inner: Any) -> None:
        self.begin = inner.begin
        self.leases = NoLeases()


@pytest.mark.parametrize("leases", [True, False], ids=["leases", "leases-lost"])
@pytest.mark.parametrize("turn", range(3))
def test_two_assemblers_at_once_make_one_plan(
    prepared: Path, undisturbed: tuple[Any, int], tmp_path: Path, leases: bool, turn: int
) -> None:
    """Two workers woken at once leave one plan and one set of files, even when both believe to hold the lease."""
    world = AssembleWorld(tmp_path / "world", *SECTIONS, template=prepared)
    barrier, said = threading.Barrier(2), []

    def work(number: int) -> None:
        ledger: Any = world.open_ledger(f"worker:{number}")
        if not leases:
            ledger = LeaselessLedger(ledger)
        barrier.wait(30)
        try:
            said.append(assemble(world.ports(ledger)))
        except Busy:
            said.append(False)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(said) == 2
    world.restart()
    world.assemble()  # whoever was refused left its notice to the next look
    assert world.facts() == undisturbed[0]


WORKER = """
import sys
from pathlib import Path
from tests.unit.transfer.assemble_world import AssembleWorld
from tests.faults.test_assemble_crash import SECTIONS
from payments.errors import Busy
from transfer.assemble import assemble
world = AssembleWorld(Path(sys.argv[1]), *SECTIONS, fresh=False)
print("ready", flush=True)
sys.stdin.readline()
try:
    assemble(world.ports(world.open_ledger(sys.argv[2])))
except Busy:
    pass
"""


def test_two_processes_at_once_make_one_plan(prepared: Path, undisturbed: tuple[Any, int], tmp_path: Path) -> None:
    """The same with two processes, as `tieout run` starts them."""
    world = AssembleWorld(tmp_path / "world", *SECTIONS, template=prepared)
    root = Path(__file__).parents[2]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(world.folder), f"worker:{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
            text=True,
        )
        for number in range(2)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        assert [worker.wait(60) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate(timeout=10)
    world.assemble()
    assert world.facts() == undisturbed[0]
