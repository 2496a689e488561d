"""Chosen payments that the acquirer rejected go again: who may ask, what goes, what the books and mismatches say of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from payments.acting import Actor
from payments.config_results import Results
from payments.errors import NotAllowed, Tampered
from payments.keys import file_chain
from payments.records import OutboundFile
from payments.redeliveries import key_of
from reconciliation.prove import ProvePorts, prove
from reconciliation.trace import TracePorts, trace_payment
from runtime.ledger.audit import audit_records, faults
from tests.unit.reconciliation.reconcile_texts import Say, pain002
from tests.unit.transfer.assemble_world import TODAY, Pay, acquirer
from tests.unit.transfer.redeliver_world import BEN, RedeliverWorld


@pytest.fixture
def world(tmp_path: Path) -> RedeliverWorld:
    """Five payments in one file; the acquirer rejected b and c, settled a, and has not spoken of d and e."""
    world = RedeliverWorld(tmp_path, acquirer(send_ahead_days=5))
    world.run(*[Pay(key) for key in "abcde"])
    world.assemble()
    (file,) = world.deliver()
    world.said(file, {"a": "ACSC", "b": "RJCT", "c": "RJCT"})
    world.check()
    return world


def first(world: RedeliverWorld) -> OutboundFile:
    return next(file for file in world.files() if file.generation == 1)


def test_rejected_payments_go_into_a_new_file_of_the_next_generation(world: RedeliverWorld) -> None:
    """Two people send all rejected payments again: a new number, a link to the first file, the same references, tied books."""
    file = first(world)
    world.next_day()
    acted = world.agree(file)
    assert (acted.total.count, acted.left_out) == (2, {})
    assert world.counts()["mismatched"] == 2
    world.assemble()
    old, new = world.files()
    assert world.payments_of(new) == {"b", "c"}
    assert (new.sequence, new.generation, new.replaces) == (2, 2, old.file_id)
    assert new.business_date == TODAY + timedelta(days=1)
    assert (old.state, old.returned_in) == ("delivered", None)
    assert (old.total.count, old.mismatched.count) == (5, 2)
    counts = world.counts()
    assert {name: counts.get(name, 0) for name in ("assigned", "sealed", "delivered", "matched", "mismatched", "awaiting")} == {
        "assigned": 5, "sealed": 2, "delivered": 3, "matched": 1, "mismatched": 0, "awaiting": 2,
    }  # fmt: skip
    world.check()


def test_a_rejection_stays_open_until_the_payment_matches_in_its_new_file(world: RedeliverWorld) -> None:
    """The first mismatch names the new file, is money once, and closes when the payment matches there."""
    world.agree(first(world))
    world.assemble()
    assert world.open_kinds() == ["status_rejected b 1", "status_rejected c 1"]
    old, new = world.files()
    assert {each.detail["redelivered_in"] for each in world.all_mismatches()} == {new.name}
    world.deliver()
    world.said(new, {"b": "ACSC", "c": "RJCT"})
    assert world.open_kinds() == ["status_rejected c 1", "status_rejected c 2"]
    assert world.books().difference_minor == {"EUR/CRDT": -100}
    world.said(old, {"d": "ACSC", "e": "ACSC"})
    assert world.open_kinds() == ["status_rejected c 1", "status_rejected c 2"]
    assert {each.detail["redelivered_in"] for each in world.all_mismatches() if each.file_id == old.file_id} == {
        new.name
    }
    world.agree(new)
    world.assemble()
    third = world.files()[-1]
    assert (third.generation, third.sequence, third.replaces) == (3, 3, new.file_id)
    assert world.books().difference_minor == {"EUR/CRDT": -100}
    world.deliver()
    world.said(third, {"c": "ACSC"})
    said = world.books()
    assert (said.agrees, said.difference_minor, world.open_kinds()) == (True, {}, [])
    world.check()


def test_a_match_that_is_returned_opens_the_first_rejection_again(world: RedeliverWorld) -> None:
    """What closed because the payment matched elsewhere is open again when the payment comes back from there: money once."""
    world.agree(first(world), ["b"])
    world.assemble()
    new = world.files()[-1]
    world.deliver()
    world.said(new, {"b": "ACSC"})
    assert world.open_kinds() == ["status_rejected c 1"]
    world.said(new, {"b": "RTRN"})
    assert world.open_kinds() == ["returned b 2", "status_rejected b 1", "status_rejected c 1"]
    assert world.books().difference_minor == {"EUR/CRDT": -200}
    world.check()


def test_only_finally_rejected_payments_may_go_again(world: RedeliverWorld) -> None:
    """What was settled, is awaited, is not in the file or was accepted after its rejection is refused, by number and reason only."""
    file = first(world)
    for keys, why in (
        ("a", "1 of 1 payments cannot be sent again: 1 not finally rejected"),
        ("bcd", "1 of 3 payments cannot be sent again: 1 not finally rejected"),
        ("bxyz", "3 of 4 payments cannot be sent again: 3 not in this file"),
    ):
        with pytest.raises(NotAllowed, match=why) as caught:
            world.choose(file, keys)
        assert "REF-" not in f"{caught.value}{caught.value.next_step}"
    world.said(file, {"b": "ACSP"})
    with pytest.raises(NotAllowed, match="1 accepted after the rejection"):
        world.choose(file, "b")
    acted = world.choose(file)
    assert (acted.total.count, acted.left_out) == (1, {"accepted after the rejection": 1})
    world.said(file, {"c": "ACSC"})
    with pytest.raises(NotAllowed, match="nothing of it can be sent again"):
        world.choose(file)


def test_a_payment_that_the_source_changed_or_stopped_does_not_go_again(world: RedeliverWorld) -> None:
    """After a change or a stop at the source a rejected payment is not sent again by a list."""
    world.run(Pay("b", version=2), Pay("c", stopped=True))
    world.assemble()
    with pytest.raises(
        NotAllowed, match="2 of 2 payments cannot be sent again: 2 changed or stopped at the source since"
    ):
        world.choose(first(world), "bc")


def test_a_payment_goes_again_once_per_file(world: RedeliverWorld) -> None:
    """What was chosen before is refused, also before an assembly took it; what is left may go, into a file of its own."""
    file = first(world)
    world.agree(file, "b")
    with pytest.raises(NotAllowed, match="1 of 2 payments cannot be sent again: 1 redelivered before"):
        world.choose(file, "bc")
    world.assemble()
    assert world.choose(file).left_out == {"redelivered before": 1}
    assert world.choose(file, actor=BEN).done
    world.assemble()
    assert [(each.generation, each.sequence, world.payments_of(each)) for each in world.files()[1:]] == [
        (2, 2, {"b"}),
        (3, 3, {"c"}),
    ]
    assert len({each.file_id for each in world.files()}) == 3
    world.check()


def test_two_people_must_name_the_same_payments(world: RedeliverWorld) -> None:
    """Another list is another proposal; the same person twice, an unknown one, or new results in between agree on nothing."""
    file = first(world)
    assert not world.choose(file, "bc").done
    assert not world.choose(file, "b", BEN).done
    with pytest.raises(NotAllowed, match="a different person must agree"):
        world.choose(file, "bc")
    with pytest.raises(NotAllowed, match="unverified"):
        world.choose(file, "bc", Actor("someone", verified=False))
    world.said(file, {"d": "ACSC"})
    assert not world.choose(first(world), "bc", BEN).done
    assert world.redeliveries() == []
    acted = world.choose(first(world), ["c", "b", "c"])
    assert acted.done
    (kept,) = world.redeliveries()
    assert (kept.list_sha256, kept.total) == (acted.list_sha256, acted.total)
    with world.ledger.begin() as tx:
        done = [each for each in tx.decisions.find() if each.detail["step"] == "done"]
    assert [(each.actor, each.detail["list_sha256"], each.detail["payments"]) for each in done] == [
        ("anna", acted.list_sha256, 2)
    ]
    with world.ledger.engine.connect() as connection:
        assert list(faults(audit_records(connection))) == []
        told = [each for each in audit_records(connection, file_chain(file.file_id)) if acted.list_sha256 in each.body]
    assert [each.act for each in told][-1] == "redelivery_of_payments_asked"


@pytest.mark.parametrize(
    "state", ["planned", "sealed", "delivering", "in_doubt", "refused", "cancelled", "not_received"]
)
def test_single_payments_go_again_only_of_files_that_the_acquirer_has(world: RedeliverWorld, state: str) -> None:
    """In every other state the act is refused with what to do instead."""
    world.change(first(world), state=state)
    with pytest.raises(NotAllowed, match=f"is {state}") as caught:
        world.choose(first(world))
    assert caught.value.next_step


def test_nothing_is_sent_again_while_results_are_unread(world: RedeliverWorld) -> None:
    """A result that nobody has read may settle what was rejected: until then the act is refused."""
    world.collect(first(world), {"b": "ACSC"})
    with pytest.raises(NotAllowed, match="are not read yet"):
        world.choose(first(world))


def test_a_payment_in_an_ambiguous_result_does_not_go_again(tmp_path: Path) -> None:
    """Once two files held a reference, a nameless result may mean either: such a payment waits for a person."""
    world = RedeliverWorld(tmp_path, acquirer(results=Results(format="pain.002")))
    world.run(Pay("b"))
    world.assemble()
    for status in ("first", "second"):
        file = world.files()[-1]
        world.deliver()
        world.clock.at += timedelta(minutes=10)
        world.take_text(
            pain002(file.file_id, [Say("REF-b", "RJCT", minor=100)], at=f"{world.clock.at:%Y-%m-%dT%H:%M:%SZ}")
        )
        world.reconcile()
        if status == "first":
            world.agree(file)
            world.assemble()
    world.clock.at += timedelta(minutes=10)
    world.take_text(pain002(None, [Say("REF-b", "ACSC", minor=100)]))
    world.reconcile()
    assert world.open_kinds() == ["ambiguous_match REF-b", "status_rejected b 1", "status_rejected b 2"]
    with pytest.raises(NotAllowed, match="1 in a result that may mean another file"):
        world.choose(file)
    world.check()


def test_results_go_to_the_file_that_they_name(world: RedeliverWorld) -> None:
    """The same reference in two files: each result is told to the assignment that it names, and to no other."""
    world.agree(first(world), "bc")
    world.assemble()
    old, new = world.files()
    world.deliver()
    world.said(new, {"b": "ACSC", "c": "ACSC"})
    assert (world.again(new).matched.count, world.again(new).state) == (2, "reconciled")
    assert (world.again(old).matched.count, world.again(old).mismatched.count) == (1, 2)
    world.check()


def test_a_certificate_proves_the_list(world: RedeliverWorld) -> None:
    """`tieout prove` counts the list again from its bytes; one that is exchanged does not hold, and sends nothing."""
    file = first(world)
    world.agree(file)
    ports = ProvePorts(world.ledger, world.store, world.configuration)
    certificate, _ = prove(ports, file.file_id)
    kept = world.redeliveries()[0]
    own = [check for check in certificate.checks if "redelivered" in check.what or check.subject == key_of(kept)]
    assert len(own) == 6
    assert [check for check in own if not check.holds] == []
    path = world.folder / "store" / key_of(kept)
    table = pq.read_table(path)
    path.chmod(0o644)
    pq.write_table(table.slice(0, 1), path)
    certificate, _ = prove(ports, file.file_id)
    assert {"SHA-256", "hash of the list that was agreed on", "payments"} <= {each.what for each in certificate.failed}
    with pytest.raises(Tampered, match="is not the one that two people agreed on"):
        world.assemble()
    assert len(world.files()) == 1


def test_a_trace_tells_both_assignments(world: RedeliverWorld) -> None:
    """The chain of a payment that was sent again holds both of its files, each with its own outcome."""
    world.agree(first(world))
    world.assemble()
    new = world.files()[-1]
    world.deliver()
    world.said(new, {"b": "ACSC", "c": "ACSC"})
    (payment,) = trace_payment(TracePorts(world.ledger, world.store, world.configuration), "REF-b")["payments"]
    assert [(each["file"], each["match"]["outcome"]) for each in payment["files"]] == [
        (first(world).name, "mismatched"),
        (new.name, "matched"),
    ]
