"""What was given up can be looked at and goes back into its queue, on the ledger's queue and on SQS."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from payments.errors import Unreachable, WrongConfiguration
from payments.keys import ChunkKey
from payments.records import Chunk
from runtime import aws
from runtime.dead_letters import DEAD, LetterQueue, counts, dead_letters, move_back
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.ledger.queue import LedgerQueue
from runtime.notices import notice
from runtime.queue_sqs import SqsQueue
from runtime.wakes import wake
from tests.contract.ledger_world import NOON, StandingClock, empty_database, opened, sample

NOW, LONG = timedelta(), timedelta(seconds=60)
RAW = ChunkKey("legacy", NOON.date(), 1, 1).raw
KINDS = ("ledger-sqlite", "ledger-postgresql", "sqs")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SqlLedger]:
    """A ledger in which the chunk of `RAW` says why it was stopped."""
    with empty_database("sqlite", tmp_path, str) as url, opened(url) as engine:
        upgrade(engine)
        ledger = SqlLedger(engine, StandingClock())
        with ledger.begin() as tx:
            tx.chunks.add(sample(Chunk, source="legacy", run=1, ordinal=1, note="its bytes are not those"))
        yield ledger


@pytest.fixture(params=KINDS)
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LetterQueue]:
    """A queue that gives a message up after one receive."""
    if request.param == "sqs":
        yield deployed(request.getfixturevalue("moto_endpoint"))
        return
    with ExitStack() as stack:
        kind = request.param.removeprefix("ledger-")
        server = lambda: request.getfixturevalue("postgres_url")  # noqa: E731
        engine = stack.enter_context(opened(stack.enter_context(empty_database(kind, tmp_path / "queue", server))))
        upgrade(engine)
        yield LedgerQueue(engine, receives_max=1)


def deployed(endpoint: str) -> SqsQueue:
    """Queues as `cdk` makes them: each with a dead-letter queue of its own, by name."""
    prefix, client = f"{uuid.uuid4().hex[:8]}-", aws.client("sqs", endpoint=endpoint, in_region="eu-central-1")
    for name in ("curate", "deliver", "read"):
        dead = client.create_queue(QueueName=prefix + name + DEAD)["QueueUrl"]
        arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rule = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "1"}}'
        client.create_queue(QueueName=prefix + name, Attributes={"RedrivePolicy": rule})
    return SqsQueue(prefix, endpoint, "eu-central-1")


def give_up(queue: LetterQueue, name: str, *bodies: str) -> None:
    """Send and receive until each lies among the dead letters."""
    for body in bodies:
        queue.send(name, body)
        [message] = queue.receive(name, limit=1, visibility=LONG)
        queue.release(name, message.receipt, delay=NOW)
        assert queue.receive(name, limit=1, visibility=LONG) == []


def test_a_look_says_what_was_given_up_and_changes_nothing(queue: LetterQueue, world: SqlLedger) -> None:
    """Queue by queue: how many, since when, what they are about, and why where the ledger knows; looking takes nothing."""
    give_up(queue, "curate", notice("b", RAW, 1), "{")
    give_up(queue, "deliver", wake("north"))
    for _ in range(3):
        with world.look() as tx:
            found = dead_letters(tx, queue, ["curate", "deliver", "read"])
        assert [(each.queue, each.count, set(each.about)) for each in found] == [
            ("curate", 2, {RAW, "unknown"}),
            ("deliver", 1, {"north"}),
        ]
        assert [each.reason for each in found] == ["its bytes are not those", ""]
        assert all(each.oldest_at is not None for each in found)
    assert counts(queue, ["curate", "deliver", "read"]) == {"curate": 2, "deliver": 1}


def test_what_was_given_up_goes_back_as_a_new_message(queue: LetterQueue) -> None:
    """Each is received in its own queue again with its count begun anew, and none stays among the dead letters."""
    bodies = [wake(f"north-{number}") for number in range(12)]
    give_up(queue, "deliver", *bodies)
    assert sorted(move_back(queue, "deliver")) == sorted(bodies)
    assert counts(queue, ["deliver"]) == {}
    found = [m for _ in range(2) for m in queue.receive("deliver", limit=10, visibility=LONG)]
    assert sorted(each.body for each in found) == sorted(bodies)
    assert {each.receives for each in found} == {1}
    assert list(move_back(queue, "deliver")) == []


def test_no_more_go_than_were_asked_for(queue: LetterQueue) -> None:
    """A limit is kept, and the rest stays."""
    give_up(queue, "read", *(wake(f"north-{number}") for number in range(3)))
    assert len(list(move_back(queue, "read", limit=2))) == 2
    assert queue.depth("read") == (2, 0)
    assert counts(queue, ["read"]) == {"read": 1}


def test_a_letter_that_cannot_be_sent_is_not_lost(queue: LetterQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is deleted when it was sent, not before: broken off, what was not sent is still there, and counted."""
    give_up(queue, "deliver", *(wake(f"north-{number}") for number in range(3)))
    send, sent, told = queue.send, list[str](), list[str]()

    def breaks(name: str, body: str, **more: Any) -> None:
        if sent:
            raise Unreachable("the queue does not answer")
        send(name, body, **more)
        sent.append(body)

    monkeypatch.setattr(queue, "send", breaks)
    with pytest.raises(Unreachable):
        told.extend(move_back(queue, "deliver"))
    assert len(told) == 1
    assert queue.depth("deliver") == (1, 0)
    assert counts(queue, ["deliver"]) == {"deliver": 2}


def test_on_aws_no_queue_is_made(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is deployed a look is an error, and makes nothing."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", moto_endpoint)
    prefix = uuid.uuid4().hex
    with pytest.raises(WrongConfiguration, match=f"{prefix}-curate-dead does not exist"):
        counts(SqsQueue(f"{prefix}-", "", "eu-central-1"), ["curate"])
    found = aws.client("sqs", endpoint=moto_endpoint, in_region="eu-central-1").list_queues(QueueNamePrefix=prefix)
    assert found.get("QueueUrls", []) == []
