"""Staged keys and the last delivery's key, on SQLite and on PostgreSQL, which order and compare differently."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from payments.config import Sftp
from payments.records import OutboundFile, Receipt
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from tests.contract.ledger_world import KINDS, NOON, StandingClock, empty_database, opened, sample
from tests.servers.sftp_account import private_key, public_line
from tests.unit.transfer.assemble_world import acquirer
from tests.unit.transfer.key_world import ANNA, BEN
from transfer import host_key_acts as acts
from transfer.host_keys import AcceptedKeys, KeyPorts, last_seen
from transfer.sftp_pins import public_key

DAY = timedelta(days=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_staged_approved_seen_and_withdrawn(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The life of a staged key is the same on every ledger, and the newest receipt names the key in use."""
    line = public_line(private_key())
    with (
        empty_database(kind, tmp_path, lambda: request.getfixturevalue("postgres_url")) as url,
        opened(url) as engine,
    ):
        upgrade(engine)
        ledger = SqlLedger(engine, StandingClock())
        section = acquirer(sftp=Sftp(host="127.0.0.1", user="tieout", host_keys=[public_line(private_key())]))
        ports = KeyPorts(ledger, StandingClock(), section)
        name = acts.stage(ports, line, None, NOON + DAY, ANNA).fingerprint
        acts.approve(ports, name, BEN)
        assert public_key(line) in AcceptedKeys(ports)()
        with ledger.begin() as tx:
            for number, key in enumerate(("SHA256:old", name)):
                at = NOON + number * DAY
                tx.files.add(sample(OutboundFile, file_id=f"{number}", acquirer="north", name=f"{number}.csv"))
                tx.receipts.add(sample(Receipt, file_id=f"{number}", host_key=key, delivered_at=at))
            tx.files.add(sample(OutboundFile, file_id="elsewhere", acquirer="south"))
            tx.receipts.add(sample(Receipt, file_id="elsewhere", delivered_at=NOON + 9 * DAY))
        with ledger.look() as tx:
            seen = last_seen(tx, section)
        assert seen is not None
        assert (seen.fingerprint, seen.file, seen.seen_at) == (name, "1.csv", NOON + DAY)
        acts.withdraw(ports, name, BEN)
        assert public_key(line) not in AcceptedKeys(ports)()
