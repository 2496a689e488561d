"""A word about a file that is still uploading: nothing of it can be there, so nothing of it is placed any more, and people are asked."""

from __future__ import annotations

import json

import pytest

from payments.keys import file_chain
from payments.records import Attempt, OutboundFile
from payments.states import SPOKEN_HOLD
from runtime.ledger.audit import audit_records
from tests.unit.reconciliation.reconcile_texts import Pay, ack, results, say
from tests.unit.reconciliation.reconcile_world import World

PAYMENTS = [Pay("A"), Pay("B", 200, "USD", "DBIT")]


def under_way(world: World, state: str) -> OutboundFile:
    """A file whose first attempt is in this state."""
    sent = world.send(PAYMENTS, state="delivering", attempts=1)
    with world.sql.begin() as tx:
        tx.attempts.add(Attempt(sent.file_id, 1, state, ".x.part", "worker:1", world.clock.now()))
    return sent


def attempt_of(world: World, sent: OutboundFile) -> Attempt:
    with world.sql.begin() as tx:
        (found,) = tx.attempts.find(file_id=sent.file_id)
    return found


@pytest.mark.parametrize("word", ["accepted", "refused", "results"])
def test_a_word_about_a_file_that_is_uploading_stops_it(world: World, word: str) -> None:
    """The attempt is revoked, the file is sealed and held, in one transaction; neither delivered nor refused, and in the audit log."""
    sent = under_way(world, "started")
    text = (
        results(sent, [say(each) for each in PAYMENTS])
        if word == "results"
        else ack(sent, "RJCT" if word == "refused" else "ACTC")
    )
    world.take("f.ack", text)
    file = world.file(sent)
    assert (file.state, file.held.startswith(SPOKEN_HOLD), file.delivered_at) == ("sealed", True, None)
    attempt = attempt_of(world, sent)
    assert (attempt.state, attempt.ended_at) == ("revoked", world.clock.now())
    with world.sql.begin() as tx:
        acts = [(each.act, json.loads(each.body)) for each in audit_records(tx.connection, file_chain(sent.file_id))]
    assert acts[0] == ("attempt_revoked", {"attempt": 1})
    assert acts[1][0] == "held"


@pytest.mark.parametrize(("status", "state"), [("ACTC", "acknowledged"), ("RJCT", "refused")])
@pytest.mark.parametrize("attempt", ["rename_intended", "failed"])
def test_a_word_about_a_file_that_may_be_there_is_evidence(world: World, attempt: str, status: str, state: str) -> None:
    """Once its rename is intended the acquirer may have it: its word says what became of it, and the attempt is left to its worker."""
    sent = under_way(world, attempt)
    world.take("f.ack", ack(sent, status))
    assert (world.file(sent).state, world.file(sent).held) == (state, "")
    assert attempt_of(world, sent).state == attempt
