"""Files assembled from real runs, delivered and collected over real SFTP against the hostile acquirer; for tests only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from local.hostile_acquirer import HOST, USER, HostileAcquirer, hostile_acquirer
from local.hostile_switches import Switches
from payments.books import imbalances
from payments.config import Sftp
from payments.config_results import Results
from payments.errors import TieoutError
from payments.keys import file_chain
from payments.records import Attempt, OutboundFile, Receipt, ResultFile
from payments.remote_ports import RemoteDrop
from reconciliation.read import ReadPorts, read
from reconciliation.reconcile import ReconcilePorts, reconcile
from reconciliation.statement import statement
from runtime.ledger.audit import audit_records
from tests.faults.oracle import agree
from tests.unit.transfer.assemble_world import AssembleWorld, Pay, acquirer
from transfer.collect import CollectPorts, collect_or_wait
from transfer.deliver import DeliverPorts, deliver
from transfer.sftp import connect

NAME = "north"
WAITS = "not yet"
PATIENT = {"connect_timeout_s": 20, "channel_timeout_s": 20}  # a busy machine is no fault of the server
HASTY = {"connect_timeout_s": 1, "channel_timeout_s": 1}  # for servers that never answer
A_MONTH_S = 30 * 86_400  # so that a test may move its clock by days


class HostileWorld(AssembleWorld):
    """One ledger and store with sealed files, and the hostile server that they go to."""

    def __init__(
        self, folder: Path, server: HostileAcquirer, *, payments: int = 1, per_file: int = 1, **changes: Any
    ) -> None:
        self.server = server
        self.given_at_s = 1_770_000_000
        self.limits = PATIENT
        atomic = changes.pop("rename_atomic", False)
        self.section = acquirer(
            NAME,
            **{
                "sftp": self.sftp(rename_atomic=atomic),
                "rows_per_file_max": per_file,
                "sequence": "free",
                "results": Results(names=["*.ack", "*.result.*"], due_after_s=A_MONTH_S),
                **changes,
            },
        )
        super().__init__(folder, self.section)
        server.clear()
        server.plant(Switches())
        if payments:
            self.run(*[Pay(f"p{number:04}") for number in range(payments)])
            self.assemble()

    def sftp(self, **changes: Any) -> Sftp:
        known = {"host": HOST, "port": self.server.port, "user": USER, "host_keys": list(self.server.host_keys)}
        return Sftp(**{**known, "archive": "archive", **self.limits, **changes})

    @contextmanager
    def connect(self) -> Iterator[RemoteDrop]:
        with connect(self.sftp(), key=self.server.client_key.read_bytes(), password=None) as drop:
            yield drop

    def deliver_ports(self, holder: str = "worker:1", connector: Any = None) -> DeliverPorts:
        ledger = self.open_ledger(holder)
        return DeliverPorts(ledger, self.store, self.clock, self.section, connector or self.connect, holder, self.spool)

    def deliver(self, turns: int = 1) -> None:
        """As a service does, a day apart: longer than any pause."""
        ports = self.deliver_ports()
        for _ in range(turns):
            deliver(ports)
            self.next_day()

    def poll(self, times: int = 1, connector: Any = None) -> int:
        found = 0
        for _ in range(times):
            found += collect_or_wait(
                CollectPorts(self.ledger, self.store, self.clock, self.section, connector or self.connect, self.spool)
            )
            self.clock.at += timedelta(minutes=1)
        return found

    def give(self, name: str, text: str | bytes) -> None:
        """The acquirer puts a result into its outbox, a second after the one before: servers tell times in seconds."""
        path = self.server.root / "outbox" / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        self.given_at_s += 1
        os.utime(path, (self.given_at_s, self.given_at_s))

    def work(self, polls: int = 2) -> int:
        """Poll, read what came, and reconcile: what the service does all day. Returns how many result files were new."""
        found = self.poll(polls)
        with self.ledger.begin() as tx:
            collected = tx.results.find(state="collected", order="collected_at")
        for each in collected:
            read(ReadPorts(self.ledger, self.store, self.clock, self.configuration, self.spool), each.key)
        assert reconcile(ReconcilePorts(self.ledger, self.store, self.clock, self.section, self.spool, 128))
        return found

    def results(self) -> list[ResultFile]:
        with self.ledger.begin() as tx:
            return tx.results.find(order="collected_at")

    def kinds(self) -> list[str]:
        """Open mismatches, each as its kind and what it is about."""
        with self.ledger.begin() as tx:
            found = tx.mismatches.find(state="open")
        return sorted(f"{each.kind} {each.reference or each.detail.get('name', '')}".strip() for each in found)

    def everything(self) -> tuple[Any, ...]:
        """All that was ever told of results: to see that nothing more is told."""
        with self.ledger.begin() as tx:
            told = (tx.results.find(), tx.mismatches.find(), tx.sightings.find())
        return (*told, self.told_of(), list(self.store.keys("")))

    def hold_all(self) -> list[OutboundFile]:
        """So that a test lets them go one by one."""
        for file in self.files():
            self.change(file, held=WAITS)
        return self.files()

    def file(self) -> OutboundFile:
        (found,) = self.files()
        return found

    def states(self) -> list[str]:
        return [file.state for file in self.files()]

    def attempts(self, file: OutboundFile) -> list[Attempt]:
        with self.ledger.begin() as tx:
            return tx.attempts.find(file_id=file.file_id, order="attempt")

    def receipt(self, file: OutboundFile) -> Receipt | None:
        with self.ledger.begin() as tx:
            return tx.receipts.get(file.file_id)

    def told_of(self, file: OutboundFile | None = None) -> list[str]:
        """The acts of the audit log, in order: of one file, or all."""
        with self.ledger.engine.connect() as connection:
            chain = file_chain(file.file_id) if file else ""
            return [each.act for each in audit_records(connection, chain)]

    def lying_in(self, folder: str = "inbox") -> dict[str, bytes]:
        """Everything there, temporary files too."""
        return {path.name: path.read_bytes() for path in sorted((self.server.root / folder).iterdir())}

    def check(self) -> None:
        """The oracle, and the books."""
        with self.ledger.look() as tx:
            agree(tx, self.store, NAME, self.server)
            assert imbalances(statement(tx).terms) == []


class Warm:
    """A connector that keeps its session until it breaks, so that hundreds of runs need not shake hands twice each."""

    def __init__(self, world: HostileWorld) -> None:
        self._world = world
        self._stack = ExitStack()
        self._drop: RemoteDrop | None = None

    @contextmanager
    def connect(self) -> Iterator[RemoteDrop]:
        if self._drop is None:
            self._drop = self._stack.enter_context(self._world.connect())
        try:
            yield self._drop
        except TieoutError:
            self.close()
            raise

    def close(self) -> None:
        self._drop = None
        self._stack.close()


@contextmanager
def hostile(folder: Path) -> Iterator[HostileAcquirer]:
    """One server; the worlds of a module may follow each other on it."""
    with hostile_acquirer(folder) as server:
        yield server
