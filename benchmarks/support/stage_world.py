"""The chain as it is deployed, in one process: real handlers, a PostgreSQL ledger and source, S3 and SQS by moto over HTTP.

Only the event sources are replaced: a list takes the place of EventBridge and SQS, and hands over batches as they would.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import psycopg
from stage_meter import Log, Meter, MeteredStore, ServerLog, server_cpu_s

from functions import batch
from functions.topology import TOPOLOGY, stage_named, stages_for
from local.acquirer.clock import time_of
from local.demo import acquirer
from local.prepare import prepare
from local.virtual import VirtualClock
from local.worker import call
from payments.firings import mark_fired
from payments.ports import Message
from runtime.notices import notice
from runtime.schedule import due_wakes, next_due
from runtime.wakes import wake
from tests.servers.moto import CREDENTIALS, PROGRAM
from tests.servers.postgres import postgres
from tests.servers.process import accepts, free_port, running, until

BUCKETS = {
    "raw": ("raw",),
    "curated": ("curated", "quarantine"),
    "outbound": ("expected", "manifests", "outbound", "index", "pool", "redeliveries"),
    "results": ("results", "reported", "matched", "open"),
}
FIRST_READING = "2026-03-02T05:30:00Z"
END = "2026-03-02T09:00:00Z"
ANSWER_S_MAX = 900
FAILURES_MAX = 50


class Chain:
    """One world, and what a run of it cost."""

    def __init__(self, directory: Path, endpoint: str, database: str, server: ServerLog) -> None:
        self.directory, self.endpoint, self.database = directory, endpoint, database
        self.queues: dict[str, deque[str]] = defaultdict(deque)
        self.failures = 0
        os.environ["TIEOUT_CONFIG"] = str(directory / "tieout.toml")
        # As a function finds it: with Powertools' logs, one per process.
        self.world = batch.world()
        self.world.emit = self._emit
        store = MeteredStore(self.world.store)
        self.world.__dict__["store"] = store
        self.meter = Meter(server, Log(), store)
        # The first use of the ledger makes its tables: that is migrate's work, and nobody's here.
        with self.world.ledger.engine.connect() as connection:
            backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        self.server_pid = int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])
        self.meter.watch(self.world.ledger.engine)
        base = self.world.settings.base
        self.clock = VirtualClock(self.world.clock, base / "clock", base / "acquirer" / "clock")

    def _emit(self, key: str, size: int) -> None:
        for stage in stages_for(key):
            self.queues[stage.queue].append(notice("tieout-bench", key, size, region="eu-central-1"))

    def run(self) -> None:
        """From the first reading until nothing is due before the end of the day."""
        self.clock.move(time_of(FIRST_READING))
        self.queues["extract"].append(wake("legacy"))
        end = time_of(END)
        while True:
            self._settle()
            tick = self.clock.ask()
            until(lambda tick=tick: self.clock.answer(tick) is not None, "the acquirer's answer", ANSWER_S_MAX)
            answer, now = self.clock.answer(tick), self.clock.now()
            with self.world.ledger.look() as tx:
                ours = next_due(tx, self.world.configuration, now)
            times = [at for at in (ours, answer.next_due_at) if at is not None and now < at <= end]
            if not times:
                return
            self.clock.move(min(times))
            # As the service does: what is due there is done before anybody here is woken.
            tick = self.clock.ask()
            until(lambda tick=tick: self.clock.answer(tick) is not None, "the acquirer's answer", ANSWER_S_MAX)

    def _settle(self) -> None:
        while True:
            for stage in TOPOLOGY:
                while self.queues[stage.queue]:
                    self._serve(stage.name)
            if any(self.queues.values()):
                continue
            now = self.world.clock.now()
            with self.world.ledger.look() as tx:
                wakes = due_wakes(tx, self.world.configuration, now)
            for each in wakes:
                if each.firing:
                    with self.world.ledger.begin() as tx:
                        mark_fired(tx, each.firing, now)
                # The source is read once, by the message that begins the run.
                if each.queue != "extract":
                    self.queues[each.queue].append(wake(each.subject))
            if not any(self.queues.values()):
                return

    def _serve(self, name: str) -> None:
        stage, queue = stage_named(name), self.queues[name]
        bodies = [queue.popleft() for _ in range(min(stage.batch_size, len(queue)))]
        messages = [Message(body, str(number), 1) for number, body in enumerate(bodies)]
        with self.meter.of(name, len(messages)), redirect_stdout(self.meter.log):
            failed = call(stage, messages)
        # A notice that came a moment before its record comes again.
        queue.extend(bodies[int(number)] for number in failed)
        self.failures += len(failed)
        assert self.failures <= FAILURES_MAX, f"{name} fails again and again"

    def idle(self, times: int) -> None:
        """What tick and a look into an empty outbox cost, when nothing is due."""
        from functions.tick import handler

        # The first look at a queue finds its address, which an environment keeps.
        for stage in TOPOLOGY:
            self.world.queue.depth(stage.queue)
        for _ in range(times):
            with self.meter.of("tick", 0), redirect_stdout(self.meter.log):
                handler({}, None)
        for _ in range(times):
            with self.meter.of("collect", 1), redirect_stdout(self.meter.log):
                assert not call(stage_named("collect"), [Message(wake("northbank"), "0", 1)])

    def sizes(self) -> dict[str, float]:
        """What is kept: bytes of objects by bucket, of the ledger, and of its log; lines to and from the acquirer."""
        import boto3

        client = boto3.client("s3", endpoint_url=self.endpoint)
        found: dict[str, float] = {}
        for bucket in BUCKETS:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=f"tieout-{bucket}")
            objects = [each for page in pages for each in page.get("Contents", [])]
            found[f"{bucket}_bytes"] = sum(each["Size"] for each in objects)
            found[f"{bucket}_objects"] = len(objects)
            if bucket == "outbound":
                found |= _moved("sent", "outbound/", objects)
            if bucket == "results":
                found |= _moved("received", "results/", objects)
        with psycopg.connect(self.database) as connection:
            [found["ledger_bytes"]] = connection.execute("SELECT pg_database_size(current_database())").fetchone() or [
                0
            ]
            [lsn] = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone() or [0]
        found["ledger_log_bytes"] = int(lsn)
        found["ledger_cpu_s"] = server_cpu_s(self.server_pid)
        return found


def _moved(what: str, prefix: str, objects: list[dict[str, Any]]) -> dict[str, float]:
    sizes = [each["Size"] for each in objects if each["Key"].startswith(prefix)]
    return {f"{what}_bytes": sum(sizes), f"{what}_files": len(sizes)}


@contextmanager
def chain(payments: int, seed: int) -> Iterator[Chain]:
    """A prepared world of so many payments with its servers and the stand-in acquirer."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tieout-bench-")))
        log = directory / "moto.log"
        endpoint = stack.enter_context(_moto(log))
        server = stack.enter_context(postgres())
        ledger, source = _databases(server)
        prepare(directory / "demo", payments=payments, seed=seed, delays="none")
        _load(directory / "demo" / "legacy.db", source)
        _configure(directory / "demo" / "tieout.toml", source)
        _environment(endpoint, ledger)
        _buckets(endpoint)
        stack.enter_context(acquirer(directory / "demo"))
        made = Chain(directory / "demo", endpoint, ledger, ServerLog(log))
        try:
            yield made
        finally:
            made.world.ledger.engine.dispose()


@contextmanager
def _moto(log: Path) -> Iterator[str]:
    port = free_port()
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", **CREDENTIALS}
    command = [sys.executable, "-P", str(PROGRAM), "127.0.0.1", str(port)]
    with running(command, ready=lambda: accepts(port), log=log, env=environment):
        yield f"http://127.0.0.1:{port}"


def _databases(server: str) -> tuple[str, str]:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ledger")
        connection.execute("CREATE DATABASE legacy")
    base = server.rpartition("/")[0]
    return f"{base}/ledger", f"{base}/legacy"


def _load(path: Path, url: str) -> None:
    """The journal of the sample into PostgreSQL, as a legacy platform keeps it."""
    with sqlite3.connect(path) as sample, psycopg.connect(url) as connection:
        rows = sample.execute("SELECT * FROM PAYMENT_JOURNAL")
        names = [each[0] for each in rows.description]
        kinds = {"REV_NO": "integer NOT NULL", "CHG_TS": "bigint NOT NULL", "PAY_NO": "text NOT NULL"}
        columns = ", ".join(f'"{name}" {kinds.get(name, "text")}' for name in names)
        connection.execute(f'CREATE TABLE "PAYMENT_JOURNAL" ({columns}, PRIMARY KEY ("PAY_NO", "REV_NO"))')
        with connection.cursor().copy('COPY "PAYMENT_JOURNAL" FROM STDIN') as copy:
            for row in rows:
                copy.write_row([None if each is None else str(each) for each in row])
        connection.execute('CREATE INDEX ON "PAYMENT_JOURNAL" ("CHG_TS", "PAY_NO", "REV_NO")')
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('VACUUM ANALYZE "PAYMENT_JOURNAL"')


def _configure(path: Path, source: str) -> None:
    """The demo's configuration with PostgreSQL as its source, and an end soon after the acquirer has answered."""
    text = path.read_text().replace('url = "sqlite:legacy.db"', f'url = "{source}"')
    path.write_text(re.sub(r"^end = \S+", f"end = {END}", text, flags=re.MULTILINE))


def _environment(endpoint: str, ledger: str) -> None:
    by_store = {store: f"s3://tieout-{bucket}" for bucket, stores in BUCKETS.items() for store in stores}
    overrides: dict[str, Any] = {
        "stores": {"root": "s3://tieout-curated", "by_store": by_store, "s3_endpoint": endpoint},
        "ledger": {"url": ledger, "connections_max": 2},
        "queue": {"url": "sqs:eu-central-1", "prefix": "tieout-bench-", "endpoint": endpoint},
    }
    os.environ.update(CREDENTIALS)
    os.environ["TIEOUT_OVERRIDES"] = json.dumps(overrides)


def _buckets(endpoint: str) -> None:
    import boto3

    client = boto3.client("s3", endpoint_url=endpoint)
    for bucket in BUCKETS:
        client.create_bucket(
            Bucket=f"tieout-{bucket}", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
