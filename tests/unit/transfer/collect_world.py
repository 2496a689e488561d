"""A small world for collect: an acquirer's outbox that changes, fails and lies as told; for tests only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from payments.config_results import Results
from payments.errors import DeliveryFailed
from payments.keys import day_chain
from payments.records import ResultFile, Sighting
from payments.remote_ports import RemoteFile
from runtime.ledger.audit import audit_records
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.store_file import FileStore
from tests.unit.transfer.assemble_world import TODAY, Clock, acquirer, empty_ledger
from transfer.collect import CollectPorts, collect


@dataclass
class Outbox:
    """The acquirer's outbox: name -> (bytes, time). Hooks run once, before or after a download; errors are raised once."""

    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    hooks: dict[tuple[str, str], Callable[[], None]] = field(default_factory=dict)
    downloads: list[str] = field(default_factory=list)
    claims: dict[str, int] = field(default_factory=dict)
    """Sizes that a listing tells instead of the true ones."""
    read_once: bool = False
    links: set[str] = field(default_factory=set)
    """Names that are no plain files."""

    @contextmanager
    def connect(self) -> Iterator[Any]:
        yield OutboxSession(self)

    def hook(self, name: str, when: str) -> None:
        self.hooks.pop((name, when), lambda: None)()


@dataclass
class OutboxSession:
    """As much of the port RemoteDrop as collect may use: whatever else it calls does not exist."""

    outbox: Outbox

    def listing(self, directory: str) -> list[RemoteFile]:
        assert directory == "outbox"
        claims = self.outbox.claims
        return [
            RemoteFile(name, claims.get(name, len(data)), at, plain=name not in self.outbox.links)
            for name, (data, at) in sorted(self.outbox.files.items())
        ]

    def stat(self, path: str) -> RemoteFile | None:
        name = path.removeprefix("outbox/")
        found = self.outbox.files.get(name)
        return None if found is None else RemoteFile(name, len(found[0]), found[1])

    def download(self, path: str, local: Path, *, bytes_max: int) -> None:
        name = path.removeprefix("outbox/")
        self.outbox.downloads.append(name)
        self.outbox.hook(name, "before")
        if name in self.outbox.errors:
            raise self.outbox.errors.pop(name)
        if name not in self.outbox.files:
            raise DeliveryFailed(f"{name} is not there")
        if len(self.outbox.files[name][0]) > bytes_max:
            raise DeliveryFailed(f"{name} is larger than {bytes_max} bytes")
        local.write_bytes(self.outbox.files[name][0])
        if self.outbox.read_once:
            del self.outbox.files[name]
        self.outbox.hook(name, "after")


class CollectWorld:
    """One ledger, one store, one outbox."""

    def __init__(self, folder: Path, **results: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ledger.db").write_bytes(empty_ledger())
        self.clock, self.outbox = Clock(), Outbox()
        self.engine = open_engine(f"sqlite:{folder / 'ledger.db'}")
        self.ledger = SqlLedger(self.engine, self.clock)
        self.store, self.spool = FileStore(folder / "store"), folder
        self.acquirer = acquirer(results=Results(**({"names": ["*.ack", "*.result.*"]} | results)))

    def poll(self, times: int = 1) -> int:
        found = 0
        for _ in range(times):
            ports = CollectPorts(self.ledger, self.store, self.clock, self.acquirer, self.outbox.connect, self.spool)
            found += collect(ports)
            self.clock.at += timedelta(minutes=1)
        return found

    def results(self) -> list[ResultFile]:
        with self.ledger.begin() as tx:
            return tx.results.find(order="collected_at")

    def sighting(self, name: str) -> Sighting:
        with self.ledger.begin() as tx:
            found = tx.sightings.get("north", name)
        assert found is not None
        return found

    def alarms(self) -> list[str]:
        with self.ledger.begin() as tx:
            return [each.detail["name"] for each in tx.mismatches.find(kind="file_unreadable", state="open")]

    def state(self) -> tuple[Any, ...]:
        """Everything that was ever told: results, alarms, audit records, objects."""
        with self.ledger.begin() as tx:
            told = (tx.results.find(), tx.mismatches.find(), tx.sightings.find())
        with self.engine.connect() as connection:
            return (*told, [each.hash for each in audit_records(connection)], list(self.store.keys("")))

    def acts(self) -> list[str]:
        with self.engine.connect() as connection:
            return [each.act for each in audit_records(connection, day_chain("north", TODAY))]
