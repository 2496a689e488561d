"""What is particular to the queue on SQS: its limits, missing queues, a service that does not answer."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from payments.errors import NotAllowed, Unreachable, WrongConfiguration
from runtime.queue_sqs import SqsQueue
from tests.servers.process import free_port

REGION = "eu-central-1"


@pytest.fixture
def queue(moto_endpoint: str) -> SqsQueue:
    return SqsQueue(f"{uuid.uuid4().hex[:8]}-", moto_endpoint, REGION)


@pytest.mark.parametrize("limit", [0, -1, 11])
def test_limit_is_one_to_ten(queue: SqsQueue, limit: int) -> None:
    """SQS gives at most ten messages at once, and asking for more is refused, not cut down."""
    with pytest.raises(NotAllowed, match="1 to 10"):
        queue.receive("work", limit=limit, visibility=timedelta(seconds=1))


def test_times_beyond_the_limits_of_sqs_are_refused(queue: SqsQueue) -> None:
    """A delay above 15 minutes, a visibility above 12 hours and times below zero are refused."""
    queue.send("work", "x", delay=timedelta(minutes=15))
    with pytest.raises(NotAllowed, match="work"):
        queue.send("work", "x", delay=timedelta(minutes=15, microseconds=1))
    with pytest.raises(NotAllowed, match="work"):
        queue.send("work", "x", delay=timedelta(seconds=-1))
    with pytest.raises(NotAllowed, match="work"):
        queue.receive("work", limit=1, visibility=timedelta(hours=12, seconds=1))
    with pytest.raises(NotAllowed, match="work"):
        queue.release("work", "receipt", delay=timedelta(days=1))


@pytest.mark.parametrize("size", [0, (256 << 10) + 1])
def test_message_of_wrong_size_is_refused(queue: SqsQueue, size: int) -> None:
    """An empty message and one above 256 KiB are refused before they are sent."""
    with pytest.raises(NotAllowed, match=f"{size} bytes"):
        queue.send("work", "x" * size)


def test_part_of_a_second_is_rounded_up(queue: SqsQueue) -> None:
    """A visibility below a second hides the message all the same."""
    queue.send("work", "x")
    assert len(queue.receive("work", limit=10, visibility=timedelta(milliseconds=1))) == 1
    assert queue.depth("work") == (0, 1)


def test_made_up_receipt_is_no_error(queue: SqsQueue) -> None:
    """A receipt that nobody knows changes nothing."""
    queue.send("work", "x")
    queue.delete("work", "made-up")
    queue.release("work", "made-up", delay=timedelta())
    assert queue.depth("work") == (1, 0)


def test_missing_queue_on_aws_is_a_wrong_configuration(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an endpoint of its own a missing queue is never made: somebody must deploy it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", moto_endpoint)
    name = uuid.uuid4().hex
    with pytest.raises(WrongConfiguration, match=f"queue tieout-{name} does not exist") as raised:
        SqsQueue("tieout-", "", REGION).send(name, "x")
    assert "Deploy" in raised.value.next_step
    with pytest.raises(WrongConfiguration, match="does not exist"):
        SqsQueue("tieout-", "", REGION).depth(name)


def test_queue_made_by_one_process_serves_another(moto_endpoint: str, queue: SqsQueue) -> None:
    """Two adapters with one prefix share their queues."""
    queue.send("work", "shared")
    other = SqsQueue(queue._prefix, moto_endpoint, REGION)
    assert other.depth("work") == (1, 0)


def test_service_that_does_not_answer_is_unreachable() -> None:
    """Nobody listening is an error that names the queue and is tried again."""
    with pytest.raises(Unreachable, match="queue tieout-work"):
        SqsQueue("tieout-", f"http://127.0.0.1:{free_port()}", REGION).send("work", "x")


def test_region_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a region from anywhere the error says what to set."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(WrongConfiguration) as raised:
        SqsQueue("tieout-").depth("work")
    assert "AWS_REGION" in raised.value.next_step
