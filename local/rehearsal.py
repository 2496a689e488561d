"""Runs our own delivery and collection against the hostile acquirer, in a ledger and store of their own, and judges them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.hostile_acquirer import HOST, USER, HostileAcquirer, hostile_acquirer
from local.rehearsal_oracle import contradictions
from local.rehearsal_scenarios import COLLECTED, FILE_BYTES, LEFT_ALONE, WAITING, Scenario
from payments.books import Total
from payments.config import AcquirerSection, Sftp
from payments.keys import file_id, outbound_key
from payments.records import OutboundFile
from payments.remote_ports import RemoteDrop
from payments.states import FileState
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.store_file import FileStore
from transfer.collect import CollectPorts, collect_or_wait
from transfer.deliver import DeliverPorts, deliver

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
TURNS = 3
TURN = timedelta(days=1)
"""Longer than any pause between attempts: so every turn is a try."""
RESULT_NAME = "rehearsal.result.1"
RESULT = b"RH,rehearsal\nRT,0\n" * 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one scenario ended. `contradictions` is what the oracle found; `note` the reason that the ledger gives."""

    scenario: Scenario
    ended: str
    attempts: int
    note: str
    contradictions: tuple[str, ...]

    @property
    def honest(self) -> bool:
        """It ended as it had to, and nothing was claimed that is not so."""
        return self.ended == self.scenario.must_end and not self.contradictions


@dataclass
class TurningClock:
    """The port Clock: stands still during a turn."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at


def rehearse(folder: Path, scenarios: Iterable[Scenario]) -> Iterator[Verdict]:
    """One verdict after the other. `folder` holds everything and may be removed afterwards."""
    engine = open_engine(f"sqlite:{folder / 'ledger.db'}")
    upgrade(engine)
    clock = TurningClock()
    ledger = SqlLedger(engine, clock, holder="rehearsal:1")
    spool = folder / "spool"
    spool.mkdir()
    try:
        with hostile_acquirer(folder / "acquirer") as server:
            stage = _Stage(ledger, FileStore(folder / "store"), clock, spool, server)
            for scenario in scenarios:
                stage.prepare(scenario)
                yield stage.collected(scenario) if scenario.collects else stage.delivered(scenario)
    finally:
        engine.dispose()


@dataclass(frozen=True)
class _Stage:
    """One server and one ledger for all scenarios; each has an acquirer of its own name, so that none sees another's files."""

    ledger: SqlLedger
    store: FileStore
    clock: TurningClock
    spool: Path
    server: HostileAcquirer

    def prepare(self, scenario: Scenario) -> None:
        self.server.clear()
        self.server.plant(scenario.switches)

    def delivered(self, scenario: Scenario) -> Verdict:
        acquirer = self._acquirer(scenario)
        sealed = self._seal(acquirer)
        ports = DeliverPorts(
            self.ledger,
            self.store,
            self.clock,
            acquirer,
            lambda: self._connect(scenario),
            "rehearsal:1",
            self.spool,
        )
        for _ in range(TURNS):
            deliver(ports)
            self.clock.at += TURN
        with self.ledger.look() as tx:
            file = tx.files.get(sealed.file_id)
            assert file is not None
            found = contradictions(tx, self.store, acquirer.name, self.server)
        ended = WAITING if file.state == FileState.SEALED else file.state
        return Verdict(scenario, ended, file.attempts, file.held or file.note, tuple(found))

    def collected(self, scenario: Scenario) -> Verdict:
        acquirer = self._acquirer(scenario)
        (self.server.root / "outbox" / RESULT_NAME).write_bytes(RESULT)
        ports = CollectPorts(self.ledger, self.store, self.clock, acquirer, lambda: self._connect(scenario), self.spool)
        stored = 0
        for _ in range(TURNS):
            stored += collect_or_wait(ports)
            self.clock.at += TURN
        with self.ledger.look() as tx:
            results = tx.results.find(acquirer=acquirer.name)
            sighting = tx.sightings.get(acquirer.name, RESULT_NAME)
        wrong = [each.name for each in results if self.store.get(each.key) != RESULT]
        found = tuple(f"{name}: stored, and not what the acquirer gave" for name in wrong)
        note = f"seen as {sighting.state}" if sighting else "never seen"
        return Verdict(scenario, COLLECTED if stored else LEFT_ALONE, TURNS, note, found)

    def _acquirer(self, scenario: Scenario) -> AcquirerSection:
        return AcquirerSection(
            name=scenario.name,
            results_list="all",
            final_status="ACSC",
            complete_when="trailer",
            sequence="strict",
            sftp=self._sftp(scenario),
        )

    def _sftp(self, scenario: Scenario) -> Sftp:
        return Sftp(
            host=HOST,
            port=self.server.port,
            user=USER,
            host_keys=list(self.server.host_keys),
            archive="archive",
            connect_timeout_s=scenario.limit_s,
            channel_timeout_s=scenario.limit_s,
        )

    def _connect(self, scenario: Scenario) -> AbstractContextManager[RemoteDrop]:
        from transfer.sftp import connect

        return connect(self._sftp(scenario), key=self.server.client_key.read_bytes(), password=None)

    def _seal(self, acquirer: AcquirerSection) -> OutboundFile:
        """A file as assemble leaves it: bytes in the store, record in the ledger."""
        day = self.clock.now().date()
        number = file_id(acquirer.name, day, "rehearsal", 0, 1)
        line = f"rehearsal of {acquirer.name}, {number}\n".encode()
        body = (line * (FILE_BYTES // len(line) + 1))[:FILE_BYTES]
        file = OutboundFile(
            file_id=number,
            acquirer=acquirer.name,
            business_date=day,
            window="rehearsal",
            split=0,
            generation=1,
            sequence=1,
            name=f"{acquirer.name}_000001_1.csv",
            format="delimited",
            state=str(FileState.SEALED),
            assembly=1,
            created_at=self.clock.now(),
            config_hash="rehearsal",
            total=Total(1, {"EUR/CRDT": 1}),
        )
        self.store.put(outbound_key(acquirer.name, day, number, file.name), body)
        file = replace(file, size=len(body), sha256=hashlib.sha256(body).hexdigest())
        with self.ledger.begin() as tx:
            tx.files.add(file)
        return file
