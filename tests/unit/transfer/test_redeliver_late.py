"""A payment that is settled after all when it was to go again: it is left out, its file is stopped, or the alarm is raised."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from payments.errors import Busy, NotAllowed
from payments.keys import expected_key, mismatch_id
from payments.records import Mismatch
from payments.states import FileState
from payments.tables import EXPECTED
from tests.unit.transfer.assemble_world import START, TODAY, Pay, refuse, take_back
from tests.unit.transfer.deliver_world import DeliverWorld
from tests.unit.transfer.redeliver_world import BEN, RedeliverWorld
from transfer.acts import ActPorts, release
from transfer.assemble import assemble


@pytest.fixture
def world(tmp_path: Path) -> RedeliverWorld:
    """Three payments in one file, all of them rejected, and all of them asked for again by two people."""
    world = RedeliverWorld(tmp_path)
    world.run(*[Pay(key) for key in "abc"])
    world.assemble()
    (file,) = world.deliver()
    world.said(file, dict.fromkeys("abc", "RJCT"))
    world.agree(file)
    return world


def test_what_is_settled_before_the_assembly_is_left_out(world: RedeliverWorld) -> None:
    """A settlement between the agreement and the assembly keeps its payment back, in sight; the others go."""
    world.said(world.files()[0], {"b": "ACSC"})
    assert "settled_after_redelivery b 1" in world.open_kinds()
    world.assemble()
    assert world.payments_of(world.files()[-1]) == {"a", "c"}
    assert world.outcomes(2)["b"] == ["unassigned:settled"]
    world.check()
    world.run(Pay("d"), Pay("b", version=2))
    world.assemble()
    assert world.outcomes(3)["b"] == ["superseded", "unassigned:settled"]
    assert world.payments_of(world.files()[-1]) == {"d"}
    assert world.books().difference_minor == {"EUR/CRDT": -200}
    world.check()


def test_what_is_settled_while_its_new_file_waits_stops_that_file(world: RedeliverWorld) -> None:
    """The new file is held and nobody can release it; cancelled and redelivered, it goes without what was settled."""
    world.assemble()
    old, new = world.files()
    world.said(old, {"b": "ACSC"})
    assert world.deliver() == []
    assert world.again(new).held == "settled: 1 of its payments were settled under an earlier assignment"
    with pytest.raises(NotAllowed, match="settled: 1 of its payments") as caught:
        release(ActPorts(world.ledger, world.clock), new.file_id, BEN)
    assert "Cancel and redeliver" in caught.value.next_step
    take_back(world, new)
    world.assemble()
    third = world.files()[-1]
    assert (third.sequence, third.generation, world.payments_of(third)) == (2, 3, {"a", "c"})
    assert world.outcomes(3)["b"] == ["unassigned:settled"]
    assert world.deliver() == [world.again(third)]
    world.said(third, dict.fromkeys("ac", "ACSC"))
    assert world.open_kinds() == ["settled_after_redelivery b 1", "status_conflict b 1"]
    assert world.books().difference_minor == {}
    world.check()


def test_what_is_settled_after_its_new_file_left_is_an_alarm(world: RedeliverWorld) -> None:
    """Settled in both files: the alarm of the highest severity stands, and the money is there once too often."""
    world.assemble()
    old, new = world.files()
    world.deliver()
    world.said(new, dict.fromkeys("abc", "ACSC"))
    world.said(old, {"b": "ACSC"})
    assert world.open_kinds() == ["settled_after_redelivery b 1"]
    (alarm,) = [each for each in world.all_mismatches() if each.kind == "settled_after_redelivery"]
    assert alarm.detail["severity"] == "highest"
    assert world.books().difference_minor == {"EUR/CRDT": 100}
    world.check()


def test_the_order_of_results_does_not_matter(world: RedeliverWorld) -> None:
    """Settled first in the old file, then in the new one, the same mismatches stand as the other way round."""
    world.assemble()
    old, new = world.files()
    world.deliver()
    world.said(old, {"b": "ACSC"})
    world.said(new, dict.fromkeys("abc", "ACSC"))
    assert world.open_kinds() == ["settled_after_redelivery b 1"]
    assert world.books().difference_minor == {"EUR/CRDT": 100}
    world.check()


def test_a_settlement_between_gathering_and_planning_makes_the_assembly_look_again(world: RedeliverWorld) -> None:
    """A plan that does not know of a settlement is not committed: the assembly starts anew, and leaves the payment out."""

    class SettlesMeanwhile:
        """A store in which the first list that is read lets the acquirer speak."""

        def __init__(self) -> None:
            self.spoken = False

        def __getattr__(self, name: str) -> Any:
            if name == "local" and not self.spoken:
                self.spoken = True
                world.said(world.files()[0], {"b": "ACSC"})
            return getattr(world.store, name)

    with pytest.raises(Busy, match="settled a payment"):
        assemble(world.ports(store=SettlesMeanwhile()))
    world.assemble()
    assert world.payments_of(world.files()[-1]) == {"a", "c"}
    world.check()


def test_a_settled_payment_of_a_whole_file_is_left_out_too(tmp_path: Path) -> None:
    """Of a refused file that goes again, a payment that was settled all the same stays behind."""
    world = RedeliverWorld(tmp_path)
    world.run(Pay("a"), Pay("b"))
    world.assemble()
    (file,) = world.deliver()
    refuse(world, file)
    world.said(file, {"b": "ACSC"})
    world.assemble()
    assert world.payments_of(world.files()[-1]) == {"a"}
    assert world.outcomes(2) == {"a": ["assigned"], "b": ["unassigned:settled"]}
    world.check()


def test_a_file_refused_later_goes_again_without_what_went_before(tmp_path: Path) -> None:
    """When the rest of a file is redelivered as a whole, its chosen payments, which are live elsewhere, are not among it."""
    world = RedeliverWorld(tmp_path)
    world.run(*[Pay(key) for key in "abcd"])
    world.assemble()
    (file,) = world.deliver()
    world.said(file, {"a": "RJCT", "b": "RJCT"})
    world.agree(file, "a")
    world.assemble()
    world.agree(world.again(file), "b")
    refuse(world, file)
    world.check()
    world.assemble()
    assert [world.payments_of(each) for each in world.files()] == [set("abcd"), {"a"}, set("bcd")]
    assert [each.generation for each in world.files()] == [1, 2, 3]
    world.check()


class LateWorld(DeliverWorld):
    """A sealed file of one payment, and the alarm that this payment was settled before."""

    def expect(self, payment: str) -> None:
        file = self.file()
        values: dict[str, Any] = dict.fromkeys(EXPECTED.names)
        values |= {
            "line": 1,
            "payment_id": payment,
            "file_id": file.file_id,
            "source": "legacy",
            "business_date": TODAY,
        }
        values |= {"run": 1, "chunk": 0, "row": 0, "row_hash": hashlib.sha256(b"x").digest(), "end_to_end_id": "REF"}
        values |= {"direction": "CRDT", "amount_minor": 1, "currency": "EUR", "requested_date": TODAY}
        path = self.folder / "expected"
        pq.write_table(pa.Table.from_pylist([values], schema=EXPECTED), path)
        self.store.put_file(expected_key(file.acquirer, file.business_date, file.file_id), path)

    def settle(self, payment: str, file_id: str = "earlier") -> None:
        mismatch = Mismatch(
            id=mismatch_id("closed", file_id, payment),
            acquirer="north",
            business_date=TODAY,
            kind="settled_after_redelivery",
            state="open",
            opened_at=START,
            updated_at=START,
            file_id=file_id,
            payment_id=payment,
        )
        with self.ledger.begin() as tx:
            tx.mismatches.add(mismatch)


def test_a_file_with_a_settled_payment_does_not_leave(tmp_path: Path) -> None:
    """Delivery looks before it sends a byte: the file is held, and the server sees nothing of it."""
    world = LateWorld(tmp_path)
    world.expect("p")
    world.settle("p")
    world.deliver()
    assert (world.file().state, world.server.uploads) == (FileState.SEALED, [])
    assert world.file().held.startswith("settled: 1 ")


def test_a_settlement_during_the_upload_stops_the_rename(tmp_path: Path) -> None:
    """Delivery looks once more before the rename: what was uploaded is removed, the attempt is revoked, the file is held."""
    world = LateWorld(tmp_path)
    world.expect("p")
    world.server.hooks[("upload", "after")] = lambda: world.settle("p")
    world.deliver()
    assert (world.file().state, world.server.placed, world.inbox()) == (FileState.SEALED, [], [])
    assert world.file().held.startswith("settled: 1 ")
    assert [each.state for each in world.attempts(world.file())] == ["revoked"]


def test_settlements_of_others_stop_nothing(tmp_path: Path) -> None:
    """A file goes when what was settled is none of its payments, or is said of its own assignment."""
    world = LateWorld(tmp_path)
    world.expect("p")
    world.settle("other")
    world.settle("p", world.file().file_id)
    world.deliver()
    assert world.states() == ["delivered"]
