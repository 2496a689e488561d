"""A queue on Amazon SQS. A message that was received too often goes to the dead-letter queue by the queue's own redrive rule."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from payments.errors import NotAllowed, WrongConfiguration
from payments.ports import Message
from runtime import aws
from runtime.dead_letters import Letter

RECEIVE_MAX = 10
BODY_BYTES_MAX = 256 << 10
DELAY_MAX = timedelta(minutes=15)
VISIBILITY_MAX = timedelta(hours=12)
PEEK_S = 30
NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
NOT_OURS_ANY_MORE = frozenset(
    {
        "ReceiptHandleIsInvalid",
        "InvalidParameterValue",
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
    }
)
"""Answers to a receipt whose time ran out: somebody else has the message, or has deleted it."""
DEPTH = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible")


class SqsQueue:
    """The Queue port: `queue` is called `prefix` + `queue` in SQS. Times are rounded up to whole seconds.

    With an `endpoint` (a local stand-in for SQS) queues are made when missing; on AWS they must exist.
    Errors: Unreachable; WrongConfiguration for a queue that does not exist; NotAllowed beyond SQS's limits.
    """

    def __init__(self, prefix: str, endpoint: str = "", region: str = "") -> None:
        self._prefix = prefix
        self._endpoint = endpoint
        self._region = region
        self._urls: dict[str, str] = {}

    def send(self, queue: str, body: str, *, delay: timedelta = timedelta()) -> None:
        size = len(body.encode())
        if not 0 < size <= BODY_BYTES_MAX:
            raise NotAllowed(f"queue {queue}: a message of {size} bytes; 1 to {BODY_BYTES_MAX} are allowed")
        seconds = _seconds(queue, delay, DELAY_MAX)
        url = self._url(queue)
        with aws.translated(self._named(queue)):
            self._client.send_message(QueueUrl=url, MessageBody=body, DelaySeconds=seconds)

    def receive(self, queue: str, *, limit: int, visibility: timedelta) -> list[Message]:
        """Asks once and does not wait: SQS may answer with fewer messages than there are, even with none."""
        if not 1 <= limit <= RECEIVE_MAX:
            raise NotAllowed(f"queue {queue}: {limit} messages at once; 1 to {RECEIVE_MAX} are allowed")
        seconds = _seconds(queue, visibility, VISIBILITY_MAX)
        url = self._url(queue)
        with aws.translated(self._named(queue)):
            answer = self._client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=limit,
                VisibilityTimeout=seconds,
                WaitTimeSeconds=0,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        return [
            Message(each["Body"], each["ReceiptHandle"], int(each["Attributes"]["ApproximateReceiveCount"]))
            for each in answer.get("Messages", [])
        ]

    def peek(self, queue: str, *, limit: int) -> list[Letter]:
        """Each is received and given back at once: for queues that nothing else receives from, such as dead letters."""
        url, found = self._url(queue), list[dict[str, Any]]()
        with aws.translated(self._named(queue)):
            while len(found) < limit:
                answer = self._client.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=min(RECEIVE_MAX, limit - len(found)),
                    VisibilityTimeout=PEEK_S,
                    WaitTimeSeconds=0,
                    MessageSystemAttributeNames=["SentTimestamp"],
                )
                if not answer.get("Messages"):
                    break
                found += answer["Messages"]
        for each in found:
            self.release(queue, each["ReceiptHandle"], delay=timedelta())
        return [
            Letter(e["Body"], datetime.fromtimestamp(int(e["Attributes"]["SentTimestamp"]) / 1000, UTC)) for e in found
        ]

    def delete(self, queue: str, receipt: str) -> None:
        """A receipt whose time ran out deletes nothing for certain: the message may come again."""
        self._by_receipt(queue, "delete_message", ReceiptHandle=receipt)

    def release(self, queue: str, receipt: str, *, delay: timedelta) -> None:
        """A receipt whose time ran out changes nothing."""
        seconds = _seconds(queue, delay, VISIBILITY_MAX)
        self._by_receipt(queue, "change_message_visibility", ReceiptHandle=receipt, VisibilityTimeout=seconds)

    def depth(self, queue: str) -> tuple[int, int]:
        """(visible or delayed, in flight), as SQS estimates them."""
        url = self._url(queue)
        with aws.translated(self._named(queue)):
            found = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=list(DEPTH))["Attributes"]
        visible, delayed, in_flight = (int(found.get(name, 0)) for name in DEPTH)
        return visible + delayed, in_flight

    @cached_property
    def _client(self) -> Any:
        return aws.client("sqs", endpoint=self._endpoint, in_region=self._region)

    def _by_receipt(self, queue: str, operation: str, **arguments: Any) -> None:
        from botocore.exceptions import ClientError

        url = self._url(queue)
        with aws.translated(self._named(queue)):
            try:
                getattr(self._client, operation)(QueueUrl=url, **arguments)
            except ClientError as error:
                if aws.code_of(error) not in NOT_OURS_ANY_MORE:
                    raise

    def _url(self, queue: str) -> str:
        if queue not in self._urls:
            self._urls[queue] = self._found(self._prefix + queue)
        return self._urls[queue]

    def _found(self, name: str) -> str:
        from botocore.exceptions import ClientError

        with aws.translated(f"queue {name}"):
            try:
                return str(self._client.get_queue_url(QueueName=name)["QueueUrl"])
            except ClientError as error:
                if aws.code_of(error) not in NO_QUEUE:
                    raise
                if not self._endpoint:
                    raise WrongConfiguration(
                        f"queue {name} does not exist in this account and region",
                        next_step="Deploy the stacks, or correct `prefix` and the region of `url` under [queue].",
                    ) from error
            return str(self._client.create_queue(QueueName=name)["QueueUrl"])

    def _named(self, queue: str) -> str:
        return f"queue {self._prefix}{queue}"


def _seconds(queue: str, time: timedelta, longest: timedelta) -> int:
    if not timedelta() <= time <= longest:
        raise NotAllowed(f"queue {queue}: {time} is not between 0 and {longest}")
    return math.ceil(time.total_seconds())
