"""A ledger, a clock and an acquirer whose host keys people act on; for tests only."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from payments.acting import Actor
from payments.config import Sftp
from payments.records import StagedKey
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from tests.servers.sftp_account import private_key, public_line
from tests.unit.transfer.assemble_world import START, Clock, acquirer, empty_ledger
from transfer import host_key_acts as acts
from transfer.host_keys import AcceptedKeys, KeyPorts, KnownKey, known_keys

ANNA, BEN = Actor("anna", verified=True), Actor("ben", verified=True)
DAY = timedelta(days=1)


class KeyWorld:
    """`pinned` is the configured key; times are days from now."""

    def __init__(self, folder: Path, sftp: Sftp | None = None) -> None:
        self.pinned = public_line(private_key())
        self.clock = Clock()
        (folder / "ledger.db").write_bytes(empty_ledger())
        self.engine = open_engine(f"sqlite:{folder / 'ledger.db'}")
        self.ledger = SqlLedger(self.engine, self.clock)
        self.ports = KeyPorts(
            self.ledger,
            self.clock,
            acquirer(sftp=sftp or Sftp(host="127.0.0.1", user="tieout", host_keys=[self.pinned])),
        )

    def stage(self, line: str, begins: float = 1, ends: float = 2, actor: Actor = ANNA) -> StagedKey:
        return acts.stage(self.ports, line, self.at(begins), self.at(ends), actor)

    def approved(self, line: str, begins: float = 1, ends: float = 2) -> StagedKey:
        return acts.approve(self.ports, self.stage(line, begins, ends).fingerprint, BEN)

    def accepted(self) -> AcceptedKeys:
        return AcceptedKeys(self.ports)

    def known(self) -> list[KnownKey]:
        with self.ledger.look() as tx:
            return known_keys(tx, self.ports.acquirer, self.clock.now())

    def at(self, days: float) -> datetime:
        return START + days * DAY

    def go_to(self, days: float) -> None:
        self.clock.at = START + days * DAY
