"""A worker: takes messages from the queues and calls the same handlers that Lambda calls. `python -m local.worker`."""

from __future__ import annotations

import argparse
import gc
import logging
import signal
import sys
import time
from datetime import timedelta
from importlib import import_module
from typing import Any

from functions import batch
from functions.topology import TOPOLOGY, Stage
from local.router import local_world
from payments.errors import TieoutError, TryAgain
from payments.ports import Message
from runtime.ledger.queue import LedgerQueue
from runtime.processes import die_with_parent
from runtime.wiring import World

log = logging.getLogger(__name__)

IDLE_S_MIN, IDLE_S_MAX = 0.002, 0.02
GC_AFTER = 200_000  # new objects
UNREACHABLE_S = 1.0
RETRY_AFTER = (timedelta(seconds=0.2), timedelta(seconds=1), timedelta(seconds=10), timedelta(seconds=60))
"""How long a failed message rests, by how often it was received."""


class Worker:
    """Serves every queue of the topology, one batch at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stopping = False

    def stop(self) -> None:
        """Finish the batch at hand, then end."""
        self._stopping = True

    def run(self) -> None:
        idle = 0.0
        while not self._stopping:
            try:
                idle = self._idle_after(idle)
            except TryAgain as error:
                # The ledger or the queue: whatever was in hand comes again.
                log.warning("%s. %s", error, error.next_step)
                idle = UNREACHABLE_S
            if idle:
                time.sleep(idle)

    def _idle_after(self, idle: float) -> float:
        """One turn, and how long to rest behind it: ever longer while there is nothing to do."""
        return 0.0 if self.turn() else min(max(idle * 2, IDLE_S_MIN), IDLE_S_MAX)

    def turn(self) -> bool:
        """One batch of every queue that has something. False: all were empty."""
        waiting = self._waiting()
        for stage in TOPOLOGY:
            if stage.queue in waiting and not self._stopping:
                self._serve(stage)
        return bool(waiting)

    def _waiting(self) -> set[str]:
        queue = self._world.queue
        queues = {stage.queue for stage in TOPOLOGY}
        if isinstance(queue, LedgerQueue):
            return queues & set(queue.queues_waiting())
        return {name for name in queues if queue.depth(name)[0]}

    def _serve(self, stage: Stage) -> None:
        queue = self._world.queue
        visibility = timedelta(seconds=stage.timeout_s)
        messages = queue.receive(stage.queue, limit=stage.batch_size, visibility=visibility)
        if not messages:
            return
        failed = call(stage, messages)
        for message in messages:
            if message.receipt in failed:
                rest = RETRY_AFTER[min(message.receives, len(RETRY_AFTER)) - 1]
                queue.release(stage.queue, message.receipt, delay=rest)
            else:
                queue.delete(stage.queue, message.receipt)


def call(stage: Stage, messages: list[Message]) -> set[str]:
    """Call the stage's handler with the event that Lambda would hand over; the receipts that failed."""
    module, _, name = stage.handler.rpartition(".")
    handler = getattr(import_module(module), name)
    try:
        answer: dict[str, Any] = handler(sqs_event(stage, messages), None)
    except Exception:  # the process boundary: whatever a handler raises, the messages come again
        log.exception("stage %s failed", stage.name)
        return {message.receipt for message in messages}
    return {each["itemIdentifier"] for each in answer["batchItemFailures"]}


def sqs_event(stage: Stage, messages: list[Message]) -> dict[str, Any]:
    """The event of an SQS event source. The receipt serves as message id, so that failures name it."""
    return {
        "Records": [
            {
                "messageId": message.receipt,
                "receiptHandle": message.receipt,
                "body": message.body,
                "attributes": {"ApproximateReceiveCount": str(message.receives)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:local:000000000000:{stage.queue}",
                "awsRegion": "local",
            }
            for message in messages
        ]
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config")
    parser.add_argument("--parent", type=int, required=True)
    args = parser.parse_args()
    if not die_with_parent(args.parent):
        return 1
    from runtime.logging import configure_logging

    configure_logging()
    worker = Worker(world := local_world(args.config))
    batch.use(world)
    # Batches of rows are millions of objects that live for a moment; looking through them for cycles finds none.
    gc.set_threshold(GC_AFTER, 20, 100)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which tells us
    try:
        worker.run()
    except TieoutError as error:
        log.critical("worker ends: %s. %s", error, error.next_step)
        return 1
    except Exception:  # the process boundary: a traceback would print what nobody may see
        log.critical("worker ends for a reason that is not known here", exc_info=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
