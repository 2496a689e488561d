"""When a message that failed comes again: on a queue of SQS, and after which rests."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from functions import batch
from functions.resting import RESTS_S, SET_ASIDE_S, rest_s
from functions.topology import RECEIVES_MAX, TOPOLOGY, Stage
from payments.errors import AskPerson, SetAside, Unreachable, WrongConfiguration
from payments.ports import Message
from runtime import aws
from runtime.queue_sqs import SqsQueue
from runtime.wakes import acquirer_of, wake
from tests.servers.process import free_port, until

REGION = "eu-central-1"
STAGE = "deliver"
HIDDEN = timedelta(hours=6)
"""Whatever comes again in a test comes because somebody said so."""


class Queued:
    """A world as far as it matters here: its acts fail as they are told, and its queue is one of SQS with dead letters."""

    def __init__(self, endpoint: str) -> None:
        prefix = f"tieout-{uuid.uuid4().hex[:8]}-"
        self.configuration = SimpleNamespace(queue=SimpleNamespace(prefix=prefix))
        self.queue = SqsQueue(prefix, endpoint, REGION)
        self.failing: list[Exception] = []
        self.done: list[str] = []
        self._sqs = aws.client("sqs", endpoint=endpoint, in_region=REGION)
        dead = self._sqs.create_queue(QueueName=f"{prefix}{STAGE}-dead")["QueueUrl"]
        told = self._sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
        redrive = {"deadLetterTargetArn": told["QueueArn"], "maxReceiveCount": RECEIVES_MAX}
        self._sqs.create_queue(QueueName=prefix + STAGE, Attributes={"RedrivePolicy": json.dumps(redrive)})

    acquirer_in = staticmethod(acquirer_of)

    def deliver_when_due(self, name: str, _may_begin: object) -> None:
        if self.failing:
            raise self.failing.pop(0)
        self.done.append(name)

    def receive(self) -> list[Message]:
        return self.queue.receive(STAGE, limit=10, visibility=HIDDEN)

    def hand_over(self, messages: list[Message]) -> list[str]:
        """What Lambda does with messages that it received: calls the function, deletes what is not answered as failed."""
        from functions.deliver import handler

        answer = handler({"Records": [self._record(each) for each in messages]}, None)
        failed = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
        for each in messages:
            if each.body not in failed:
                self.queue.delete(STAGE, each.receipt)
        return failed

    def _record(self, message: Message) -> dict[str, Any]:
        return {
            "messageId": message.body,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": str(message.receives)},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{REGION}:000000000000:{self.configuration.queue.prefix}{STAGE}",
            "awsRegion": REGION,
        }


@pytest.fixture
def queued(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queued]:
    world = Queued(moto_endpoint)
    batch.use(world)  # type: ignore[arg-type]
    monkeypatch.setattr(batch, "_rests", [])  # as in a function: nobody else puts messages back
    yield world
    batch._worlds.clear()


def received(world: Queued, count: int = 1) -> list[Message]:
    found: list[Message] = []

    def all_of_them() -> bool:
        found.extend(world.receive())
        return len(found) == count

    until(all_of_them, f"{count} messages to come", 30)
    return found


def test_a_rest_for_every_receive_but_the_last() -> None:
    """Rests grow, and after the last receive there is none: the dead-letter queue takes the message at once."""
    assert len(RESTS_S) == RECEIVES_MAX - 1
    assert sorted(RESTS_S) == list(RESTS_S)
    assert rest_s(RECEIVES_MAX, Unreachable("x"), most=900) == 0


@pytest.mark.parametrize("error", [Unreachable("x"), WrongConfiguration("x"), AskPerson("x"), RuntimeError("x")])
def test_an_outage_of_minutes_does_not_use_up_the_receives(error: Exception) -> None:
    """Whatever a message meets that may pass, it has five minutes at least before it is given up, and seconds at first."""
    shortest = [rest_s(receives, error, most=900, chance=lambda: 0.0) for receives in range(1, RECEIVES_MAX)]
    longest = [rest_s(receives, error, most=900, chance=lambda: 1.0) for receives in range(1, RECEIVES_MAX)]
    assert sum(shortest) >= 300
    assert longest == list(RESTS_S)
    assert longest[0] <= 5
    assert all(least < most for least, most in zip(shortest, longest, strict=True))


@pytest.mark.parametrize("stage", TOPOLOGY, ids=lambda stage: stage.name)
def test_no_rest_is_longer_than_its_queue_would_hide_the_message(stage: Stage) -> None:
    """To say when a message comes again never makes it later."""
    for receives in range(1, RECEIVES_MAX + 1):
        assert rest_s(receives, Unreachable("x"), most=stage.visibility_s, chance=lambda: 1.0) <= stage.visibility_s


def test_what_is_bad_is_given_up_soon() -> None:
    """A message that nobody will ever be able to handle does not keep people waiting for its alarm."""
    assert {rest_s(receives, SetAside("x"), most=900) for receives in range(1, RECEIVES_MAX)} == {SET_ASIDE_S}


def test_a_failed_message_comes_again_by_itself(queued: Queued) -> None:
    """After a passing fault the same message is done within seconds, though its queue would hide it for hours."""
    queued.failing = [Unreachable("the ledger does not answer")]
    queued.queue.send(STAGE, wake("northbank"))
    assert queued.hand_over(received(queued)) == [wake("northbank")]
    assert queued.queue.depth(STAGE) == (0, 1), "it rests first"
    [again] = received(queued)
    assert again.receives == 2
    assert queued.hand_over([again]) == []
    assert (queued.done, queued.queue.depth(STAGE)) == (["northbank"], (0, 0))


def test_neighbours_of_a_failed_message_are_done_once(queued: Queued) -> None:
    """In one batch only the message that failed comes again."""
    for name in ("northbank", "giro"):
        queued.queue.send(STAGE, wake(name))
    both = received(queued, 2)
    queued.failing = [Unreachable("not now")]
    [failed] = queued.hand_over(both)
    queued.hand_over(received(queued))
    assert sorted(queued.done) == ["giro", "northbank"]
    assert queued.done[-1] in failed


def test_what_is_no_message_of_ours_becomes_a_dead_letter(queued: Queued) -> None:
    """It fails as often as any other, within seconds, and then lies in the dead-letter queue."""
    queued.queue.send(STAGE, "poison")
    for receives in range(1, RECEIVES_MAX + 1):
        [message] = received(queued)
        assert message.receives == receives
        assert queued.hand_over([message]) == ["poison"]
    until(lambda: not queued.receive() and queued.queue.depth(f"{STAGE}-dead")[0] == 1, "the dead letter", 30)


def test_a_queue_that_cannot_be_told_changes_nothing(queued: Queued, caplog: pytest.LogCaptureFixture) -> None:
    """The message is answered as failed all the same, and comes again after its visibility."""
    queued.failing = [Unreachable("not now")]
    queued.queue.send(STAGE, wake("northbank"))
    [message] = received(queued)
    queued.queue = SqsQueue(queued.configuration.queue.prefix, f"http://127.0.0.1:{free_port()}", REGION)
    with caplog.at_level(logging.INFO):
        assert queued.hand_over([message]) == [wake("northbank")]
    assert "when its queue shows it" in caplog.text
