"""What the ledger's own queue promises beyond the port: dead letters, and messages of dead processes; on both databases."""

from __future__ import annotations

import threading
from datetime import timedelta

from sqlalchemy import Engine

from payments.ports import Message
from runtime.dead_letters import DEAD
from runtime.ledger.queue import LedgerQueue

LONG, NOW = timedelta(seconds=60), timedelta()


def take(queue: LedgerQueue, name: str = "curate", limit: int = 10) -> list[Message]:
    return queue.receive(name, limit=limit, visibility=LONG)


def test_a_message_received_too_often_goes_to_the_dead_queue(engine: Engine) -> None:
    """After `receives_max` receives a message is never received again but waits, whole, in the dead queue."""
    queue = LedgerQueue(engine, receives_max=3)
    queue.send("curate", "poison")
    for receives in (1, 2, 3):
        [message] = take(queue)
        assert message.receives == receives
        queue.release("curate", message.receipt, delay=NOW)
    assert take(queue) == []
    assert queue.depth("curate") == (0, 0)
    assert queue.depth("curate" + DEAD) == (1, 0)
    for _ in range(5):  # people may look at it as often as they like
        [letter] = take(queue, "curate" + DEAD)
        assert letter.body == "poison"
        queue.release("curate" + DEAD, letter.receipt, delay=NOW)


def test_poison_does_not_keep_its_neighbours_waiting(engine: Engine) -> None:
    """The receive that finds a dead letter gives the messages behind it all the same."""
    queue = LedgerQueue(engine, receives_max=1)
    queue.send("curate", "poison")
    queue.release("curate", take(queue)[0].receipt, delay=NOW)
    queue.send("curate", "sound")
    assert [message.body for message in take(queue)] == ["sound"]


def test_messages_of_a_dead_process_come_at_once(engine: Engine) -> None:
    """What a dead worker held is visible again, counted; what a worker of a like name holds stays hidden."""
    dead, alive = (LedgerQueue(engine, holder=holder) for holder in ("worker-x-1@host:7", "worker-x-10@host:8"))
    for body in ("a", "b"):
        dead.send("curate", body)
    [first] = take(dead, limit=1)
    [second] = take(alive, limit=1)
    dead.release_held("worker-x-1@")
    assert [(each.body, each.receives) for each in take(alive)] == [(first.body, 2)]
    dead.delete("curate", first.receipt)  # it was not dead after all: its receipt is worth nothing now
    alive.delete("curate", second.receipt)
    assert alive.depth("curate") == (0, 1)


def test_a_delayed_message_is_not_released_with_the_dead(engine: Engine) -> None:
    """A message that rests after a failure belongs to nobody and goes on resting."""
    queue = LedgerQueue(engine, holder="worker-x-1@host:7")
    queue.send("curate", "resting")
    queue.release("curate", take(queue)[0].receipt, delay=LONG)
    queue.release_held("worker-")
    assert take(queue) == []
    assert queue.depth("curate") == (1, 0)


def test_receivers_at_once_share_no_message(engine: Engine) -> None:
    """However many receive at once, each message goes to one of them, and all go to somebody."""
    queue = LedgerQueue(engine)
    for number in range(40):
        queue.send("curate", str(number))
    gate, found = threading.Barrier(4), []

    def receiver(number: int) -> None:
        mine = LedgerQueue(engine, holder=f"worker-{number}@host:1")
        gate.wait(30)
        for _ in range(12):
            found.extend(message.body for message in take(mine, limit=3))

    threads = [threading.Thread(target=receiver, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found, key=int) == [str(number) for number in range(40)]


def test_one_look_names_the_queues_that_wait_and_those_that_are_busy(engine: Engine) -> None:
    """Waiting queues hold something to receive now; busy ones hold anything at all."""
    queue = LedgerQueue(engine)
    queue.send("curate", "visible")
    queue.send("read", "delayed", delay=LONG)
    queue.send("deliver", "in flight")
    take(queue, "deliver")
    assert queue.queues_waiting() == ["curate"]
    assert queue.queues_busy() == {"curate", "read", "deliver"}
    assert [queue.depth(name) for name in ("curate", "read", "deliver", "collect")] == [(1, 0), (1, 0), (0, 1), (0, 0)]


def test_a_receive_gives_at_most_ten(engine: Engine) -> None:
    """Like SQS, the queue gives no more than ten messages at once, the oldest first."""
    queue = LedgerQueue(engine)
    for number in range(12):
        queue.send("curate", str(number))
    assert [message.body for message in take(queue, limit=50)] == [str(number) for number in range(10)]
