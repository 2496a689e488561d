"""What reconcile does without objects that expired: it names them, takes nothing for empty, and goes on with the others."""

from __future__ import annotations

import pytest

from payments.deletions import fate_of
from payments.errors import Expired
from payments.keys import expected_key, reported_key
from runtime.store_knowing import KnowingStore
from tests.servers.deletion_notices import tell_deletion
from tests.unit.reconciliation.reconcile_texts import Pay, ack, results, say
from tests.unit.reconciliation.reconcile_world import World

A, B, C = Pay("A"), Pay("B", 200, "USD", "DBIT"), Pay("C", 5)


def take(world: World, key: str) -> bytes:
    """As a lifecycle rule would: what was stored, for who brings it back."""
    path = world.folder / "store" / key
    kept = path.read_bytes()
    path.unlink()
    tell_deletion(world.ledger, key)  # type: ignore[arg-type]
    return kept


def knowing(world: World) -> World:
    def end(key: str) -> object:
        with world.ledger.look() as tx:
            return fate_of(tx, key)

    world.store = KnowingStore(world.store, end)  # type: ignore[arg-type]
    return world


def test_expected_payments_that_expired_stop_their_file_only(world: World) -> None:
    """The other file is reconciled, the error names the object and its day, and once it is back everything comes right."""
    sent = {knowing(world).send([A]).file_id: A, world.send([B], sequence=2).file_id: B}
    with world.ledger.look() as tx:
        # The first in the order of the pass: whatever comes behind it must be reached all the same.
        first, second = (tx.files.get(each) for each in sorted(sent))
    assert first is not None
    assert second is not None
    key = expected_key("northbank", first.business_date, first.file_id)
    kept = take(world, key)
    for file in (first, second):
        world.collect(f"{file.sequence}.ack", ack(file))
        world.collect(f"{file.sequence}.result", results(file, [say(sent[file.file_id], "ACSC")]))
    world.read()
    for _ in range(2):
        with pytest.raises(Expired, match=f"object '{key}' expired by a lifecycle rule on 2027-06-01"):
            world.reconcile()
        assert world.counts(second) == (1, 0, 0)
    (world.folder / "store" / key).write_bytes(kept)
    world.work()
    assert world.counts(first) == world.counts(second) == (1, 0, 0)


def test_reported_events_that_expired_are_not_forgotten(world: World) -> None:
    """A later word on the file does not make it as if the earlier ones had never been said."""
    sent = knowing(world).send([A, B])
    early = world.collect("1.result", results(sent, [say(A, "ACSC")]))
    world.work()
    key = reported_key("northbank", early.business_date, early.sha256)
    take(world, key)
    world.collect("2.result", results(sent, [say(B, "ACSC")], n=2))
    world.read()
    with pytest.raises(Expired, match=key):
        world.reconcile()
    assert world.counts(sent)[0] == 1


@pytest.mark.parametrize(("numbers", "kinds"), [((1, 2), []), ((1, 3), ["file_missing"])])
def test_results_that_expired_after_they_were_read_are_not_needed(
    world: World, numbers: tuple[int, int], kinds: list[str]
) -> None:
    """Their numbers are in the ledger: a hole between them is found, and none where there is none."""
    sent = knowing(world).send([A, B, C])
    for number, pay in zip(numbers, (A, C), strict=True):
        at = f"2026-03-02T07:0{number}:00Z"
        take(world, world.take(f"f.result.{number}", results(sent, [say(pay)], n=number, at=at)).key)
    world.wait_until_due()
    assert world.kinds() == [*kinds, "missing_at_acquirer B"]
