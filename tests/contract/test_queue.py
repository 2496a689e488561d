"""The promises of the Queue port, kept by every adapter."""

from __future__ import annotations

import contextlib
import functools
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from payments.ports import Message, Queue
from runtime.ledger.migrate import upgrade
from runtime.ledger.queue import LedgerQueue
from runtime.queue_sqs import SqsQueue
from tests.contract.ledger_world import empty_database, opened
from tests.servers.process import until

LONG = timedelta(seconds=60)
PATIENCE_S = 15.0


def sqs(request: pytest.FixtureRequest) -> Queue:
    """A queue on moto's SQS."""
    return SqsQueue(f"tieout-{uuid.uuid4().hex[:8]}-", request.getfixturevalue("moto_endpoint"), "eu-central-1")


def in_ledger(request: pytest.FixtureRequest, kind: str) -> Queue:
    """A queue in a ledger of its own."""
    stack = contextlib.ExitStack()
    request.addfinalizer(stack.close)
    folder: Path = request.getfixturevalue("tmp_path")
    url = stack.enter_context(empty_database(kind, folder, lambda: request.getfixturevalue("postgres_url")))
    engine = stack.enter_context(opened(url))
    upgrade(engine)
    return LedgerQueue(engine, holder="worker-1@host:7")


FACTORIES: dict[str, Callable[[pytest.FixtureRequest], Queue]] = {
    "sqs": sqs,
    "ledger-sqlite": functools.partial(in_ledger, kind="sqlite"),
    "ledger-postgresql": functools.partial(in_ledger, kind="postgresql"),
}
"""Every adapter of the port, by a function that makes an empty one: the next adapter is one more line here."""


@pytest.fixture(params=FACTORIES)
def queue(request: pytest.FixtureRequest) -> Queue:
    return FACTORIES[request.param](request)


@pytest.fixture
def short(queue: Queue) -> timedelta:
    """The shortest time that the adapter tells from none: SQS counts whole seconds."""
    return timedelta(seconds=1) if isinstance(queue, SqsQueue) else timedelta(milliseconds=150)


def receive_all(queue: Queue, count: int, *, visibility: timedelta = LONG, name: str = "work") -> list[Message]:
    """Receive until `count` messages have come, or fail at the deadline."""
    found: list[Message] = []

    def enough() -> bool:
        found.extend(queue.receive(name, limit=10, visibility=visibility))
        return len(found) >= count

    until(enough, f"{count} messages", PATIENCE_S)
    return found


def test_sent_message_is_received_once_while_it_is_invisible(queue: Queue) -> None:
    """A message comes with its body, hidden from the next receiver for as long as it was asked to be."""
    queue.send("work", '{"key": "raw/ü"}')
    [message] = receive_all(queue, 1)
    assert message.body == '{"key": "raw/ü"}'
    assert message.receives == 1
    assert queue.receive("work", limit=10, visibility=LONG) == []


def test_nothing_comes_from_an_empty_queue(queue: Queue) -> None:
    """Receiving from an empty queue gives an empty list at once."""
    assert queue.receive("work", limit=10, visibility=LONG) == []
    assert queue.depth("work") == (0, 0)


def test_receive_gives_at_most_the_limit(queue: Queue) -> None:
    """No more messages than asked for come at once, and all of them come in the end."""
    bodies = {f"body {n}" for n in range(12)}
    for body in sorted(bodies):
        queue.send("work", body)
    first = queue.receive("work", limit=3, visibility=LONG)
    assert len(first) <= 3
    rest = receive_all(queue, 12 - len(first))
    assert {message.body for message in [*first, *rest]} == bodies
    assert len({message.receipt for message in [*first, *rest]}) == 12


def test_message_comes_again_when_its_visibility_ends(queue: Queue, short: timedelta) -> None:
    """A message whose receiver died comes again by itself, counted, under another receipt."""
    queue.send("work", "again")
    [first] = receive_all(queue, 1, visibility=short)
    [second] = receive_all(queue, 1)
    assert (second.body, second.receives) == ("again", 2)
    assert second.receipt != first.receipt


def test_deleted_message_never_comes_again(queue: Queue, short: timedelta) -> None:
    """A deleted message is gone, and deleting it once more is no error."""
    queue.send("work", "done")
    [message] = receive_all(queue, 1, visibility=short)
    queue.delete("work", message.receipt)
    queue.delete("work", message.receipt)
    assert queue.depth("work") == (0, 0)
    deadline = time.monotonic() + 1.5 * short.total_seconds()  # longer than its visibility: it would have come back
    until(lambda: time.monotonic() > deadline, "the visibility to end", PATIENCE_S)
    assert queue.receive("work", limit=10, visibility=LONG) == []


def test_released_message_comes_at_once(queue: Queue) -> None:
    """A message released without delay is visible again, and its receives go on counting."""
    queue.send("work", "not me")
    [message] = receive_all(queue, 1)
    queue.release("work", message.receipt, delay=timedelta())
    [again] = receive_all(queue, 1)
    assert (again.body, again.receives) == ("not me", 2)


def test_released_message_waits_for_its_delay(queue: Queue, short: timedelta) -> None:
    """A message released with a delay stays hidden until then."""
    queue.send("work", "later")
    [message] = receive_all(queue, 1)
    released_at = time.monotonic()
    queue.release("work", message.receipt, delay=2 * short)
    assert queue.receive("work", limit=10, visibility=LONG) == []
    [again] = receive_all(queue, 1)
    assert again.body == "later"
    assert time.monotonic() - released_at > short.total_seconds()


def test_delayed_message_is_counted_but_not_received_before_its_time(queue: Queue, short: timedelta) -> None:
    """A message sent with a delay counts as waiting, and comes when the delay is over."""
    sent_at = time.monotonic()
    queue.send("work", "later", delay=2 * short)
    assert queue.receive("work", limit=10, visibility=LONG) == []
    assert queue.depth("work") == (1, 0)
    [message] = receive_all(queue, 1)
    assert (message.body, message.receives) == ("later", 1)
    assert time.monotonic() - sent_at > short.total_seconds()


def test_stale_receipt_is_no_error(queue: Queue, short: timedelta) -> None:
    """Whoever comes too late with an old receipt is not told off, and the present holder can still finish."""
    queue.send("work", "slow")
    [stale] = receive_all(queue, 1, visibility=short)
    [present] = receive_all(queue, 1)
    queue.release("work", stale.receipt, delay=LONG)
    queue.delete("work", stale.receipt)
    queue.delete("work", present.receipt)
    assert queue.depth("work") == (0, 0)


def test_depth_tells_waiting_from_in_flight(queue: Queue) -> None:
    """The depth counts messages that wait and messages that somebody works on."""
    for body in ("a", "b", "c"):
        queue.send("work", body)
    assert queue.depth("work") == (3, 0)
    received = queue.receive("work", limit=1, visibility=LONG)
    assert queue.depth("work") == (3 - len(received), len(received))


def test_queues_do_not_mix(queue: Queue) -> None:
    """A message sent to one queue is never received from another."""
    queue.send("curate", "for curate")
    queue.send("read", "for read")
    assert [message.body for message in receive_all(queue, 1, name="read")] == ["for read"]
    assert [message.body for message in receive_all(queue, 1, name="curate")] == ["for curate"]
