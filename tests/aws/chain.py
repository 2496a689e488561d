"""Drives a deployed chain from outside: extracts, moves the virtual clock, calls tick, and looks at queues, buckets and ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from functions.topology import TOPOLOGY
from local.acquirer.clock import time_of
from local.virtual import VirtualClock
from payments.books import TERMS, Total
from reconciliation.statement import Statement, statement
from runtime.ledger.clock import LedgerClock
from runtime.wiring import World
from tests.aws.assembly import PREFIX, Deployment
from tests.aws.task import task_named
from tests.servers.process import until
from tests.servers.trace_daemon import TraceDaemon

READ_AT = "2026-03-02T05:30:00Z"
STEP_S_MAX = 90.0
LOOK_S = 0.1
"""Each look asks every queue, and takes from the emulator what its functions need."""
COMMAND_S_MAX = 60
HIDDEN_S = 10
"""How long a message that was not done stays hidden here; deployed it is minutes."""
LOG_LINES = 30
DEAD = "-dead"


class Chain:
    """`folder` holds what sources and acquirer hold; `world` sees ledger, stores and queues as their owner does.

    `variables` are those by which a command sees the same. `traces` hears what functions tell X-Ray.
    """

    def __init__(
        self, deployment: Deployment, folder: Path, world: World, variables: dict[str, str], traces: TraceDaemon
    ) -> None:
        self.deployment = deployment
        self.traces = traces
        self.folder = folder
        self.world = world
        self.variables = variables
        assert isinstance(world.clock, LedgerClock)
        self.clock = VirtualClock(world.clock, folder / "clock", folder / "acquirer" / "clock")
        self.clock.move(time_of(READ_AT))
        self._lambda = deployment.client("lambda")
        self._sqs = deployment.client("sqs")
        self._s3 = deployment.client("s3")

    # What the outside world does.

    def command(self, *words: str, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command of the product as a process of its own, in the folder that the sources are in."""
        return subprocess.run(
            [sys.executable, "-m", "tieout", *words],
            cwd=self.folder,
            env={**os.environ, **(self.variables if variables is None else variables)},
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )

    def extract(self, source: str) -> dict[str, Any]:
        """What the source's Fargate task does: its command, with its variables and in its role. What it printed."""
        task = task_named(self.deployment, f"task-{source}")
        done = self.command(*task.command, "--json", variables=task.variables)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def later(self, by: timedelta = timedelta()) -> None:
        """Move time on and let the acquirer do what is due there."""
        tick = self.clock.move(self.clock.now() + by)
        until(lambda: self.clock.answer(tick) is not None, "the acquirer's answer")

    def invoke(self, function: str) -> Any:
        answer = self._lambda.invoke(FunctionName=PREFIX + function, Payload=b"{}")
        said = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, said
        return said

    def send(self, stage: str, body: str) -> None:
        """A message from anybody, straight into a stage's queue."""
        self._sqs.send_message(QueueUrl=self._url(stage), MessageBody=body)

    def hide_for(self, stage: str, seconds: int) -> None:
        """Let what was received and not done come again sooner, as if the time until then had passed."""
        self._sqs.set_queue_attributes(QueueUrl=self._url(stage), Attributes={"VisibilityTimeout": str(seconds)})

    def forget(self, queue: str) -> None:
        """Throw away what lies in a queue."""
        self._sqs.purge_queue(QueueUrl=self._url(queue))

    # What can be seen.

    def waiting(self, stage: str) -> int:
        """Messages of a queue that are not done: waiting, or in flight."""
        return sum(self.world.queue.depth(stage))

    def delayed(self, stage: str) -> int:
        """Messages of a queue that were sent for later."""
        name = "ApproximateNumberOfMessagesDelayed"
        found = self._sqs.get_queue_attributes(QueueUrl=self._url(stage), AttributeNames=[name])
        return int(found["Attributes"][name])

    def idle(self) -> bool:
        return not any(self.waiting(stage.queue) for stage in TOPOLOGY)

    def settle(self) -> None:
        """Let the chain work until no message is left and tick finds nothing to do."""

        def rests() -> bool:
            self._end_leases_of_the_dead()
            return self.idle() and self.invoke("tick") == {"woken": 0, "swept": 0} and self.idle()

        try:
            until(rests, "the chain to come to rest", STEP_S_MAX, every_s=LOOK_S)
        except TimeoutError as error:
            waiting = {stage.name: self.world.queue.depth(stage.queue) for stage in TOPOLOGY}
            log = self.deployment.emulator.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            raise AssertionError("\n".join([f"{error}: {waiting}", *log])) from error

    def statement(self) -> Statement:
        with self.world.ledger.look() as tx:
            return statement(tx)

    def terms(self) -> dict[str, Total]:
        said = self.statement()
        return {term: said.terms[term] for term in TERMS}

    def keys(self, prefix: str) -> list[str]:
        return list(self.world.store.keys(prefix))

    def created_at(self, prefix: str) -> dict[str, datetime]:
        """Key -> when the emulator stored it."""
        bucket = self.world.configuration.stores.by_store[prefix.partition("/")[0]].removeprefix("s3://")
        found = self._s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return {each["Key"]: each["LastModified"] for each in found.get("Contents", [])}

    def dead(self) -> dict[str, int]:
        """Stage -> how many messages of it were given up."""
        return {stage.name: count for stage in TOPOLOGY if (count := self.waiting(stage.queue + DEAD))}

    def _end_leases_of_the_dead(self) -> None:
        """As if the minutes had passed for which a killed function keeps others out."""
        alive = self.deployment.emulator.workers()
        with self.world.ledger.engine.connect() as connection:
            holders = connection.exec_driver_sql("SELECT holder FROM leases WHERE expires_ms > 0").scalars().all()
        for holder in holders:
            if int(holder.rpartition(":")[2]) not in alive:
                self.world.ledger.leases.release_held(holder)

    def _url(self, stage: str) -> str:
        return str(self._sqs.get_queue_url(QueueName=PREFIX + stage)["QueueUrl"])
