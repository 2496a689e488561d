"""A small world for assemble: a real SQLite ledger, a real store, and curated runs made from a few words; for tests only."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from payments.acting import Actor
from payments.books import Total, imbalances, total_of
from payments.config import AcquirerSection, Configuration, Sftp
from payments.keys import ChunkKey, expected_key, index_key, outbound_key, payment_id, pool_key
from payments.records import Assembly, Chunk, OutboundFile, Run
from payments.states import FileState
from payments.tables import CURATED, INDEX
from payments.totals import total_of_columns
from reconciliation.statement import statement
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.store_file import FileStore
from transfer.acts import ActPorts, cancel, redeliver
from transfer.assemble import AssemblePorts, assemble
from transfer.gone_back import RETURN_ASKED

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
TODAY = START.date()
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0000000000000000000000000000000000000000000"
SOURCE = "legacy"
CONFIG_HASH = "c0ffee"


@dataclass(frozen=True)
class Pay:
    """One curated row. `version` changes the content; the payment is the same as long as `key` is."""

    key: str
    version: int = 1
    minor: int = 100
    currency: str = "EUR"
    direction: str = "CRDT"
    acquirer: str = "north"
    reference: str = ""
    day: date = TODAY
    stopped: bool = False
    name: str = "Anna"

    @property
    def payment_id(self) -> str:
        return payment_id(SOURCE, "payments", self.key)


@dataclass
class Clock:
    """The port Clock; tests move it."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at


def acquirer(name: str = "north", **changes: Any) -> AcquirerSection:
    known = {
        "name": name,
        "results_list": "all",
        "final_status": "ACSC",
        "complete_when": "trailer",
        "sequence": "strict",
        "sftp": Sftp(host="127.0.0.1", user="tieout", host_keys=[HOST_KEY]),
    }
    return AcquirerSection(**{**known, **changes})


def curated_table(run: int, chunk: int, rows: Sequence[Pay]) -> pa.Table:
    """The rows as curate would have left them."""
    columns: dict[str, list[Any]] = {name: [None] * len(rows) for name in CURATED.names}
    for number, row in enumerate(rows):
        content = f"{row.acquirer}|{row.reference or row.key}|{row.version}|{row.minor}|{row.currency}|{row.direction}"
        values = {
            "payment_id": row.payment_id,
            "source": SOURCE,
            "source_pk": row.key,
            "business_date": TODAY,
            "run": run,
            "chunk": chunk,
            "row": number,
            "row_hash": hashlib.sha256(f"{run}/{chunk}/{number}/{content}".encode()).digest(),
            "stopped": row.stopped,
            "content_hash": hashlib.sha256(content.encode()).digest(),
            "acquirer": row.acquirer,
            "end_to_end_id": row.reference or f"REF-{row.key}",
            "direction": row.direction,
            "amount_minor": row.minor,
            "currency": row.currency,
            "minor_unit": 2,
            "requested_date": row.day,
            "debtor_name": "Debtor",
            "debtor_account": "DE89370400440532013000",
            "creditor_name": row.name,
            "creditor_account": "DE89370400440532013000",
            "schema_version": 1,
        }
        for name, value in values.items():
            columns[name][number] = value
    return pa.table([columns[name] for name in CURATED.names], schema=CURATED)


def total(table: pa.Table) -> Total:
    return total_of_columns(table["amount_minor"], table["currency"], table["direction"], table["row_hash"])


@cache
def empty_ledger() -> bytes:
    """A migrated SQLite ledger without any record."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        engine = open_engine(f"sqlite:{path}")
        upgrade(engine)
        engine.dispose()
        return path.read_bytes()


class AssembleWorld:
    """One ledger, one store; `run` gives it a curated run, `assemble` folds what is due."""

    def __init__(
        self, folder: Path, *acquirers: AcquirerSection, template: Path | None = None, fresh: bool = True
    ) -> None:
        if template is not None:
            shutil.copytree(template, folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.clock = Clock()
        self.spool = folder / "spool"
        self.spool.mkdir(exist_ok=True)
        self.configuration = Configuration(acquirer=list(acquirers) or [acquirer()])
        if template is None and fresh:
            (folder / "ledger.db").write_bytes(empty_ledger())
        self.ledger = self.open_ledger("worker:1")
        self.store = FileStore(folder / "store")

    def open_ledger(self, holder: str) -> SqlLedger:
        return SqlLedger(open_engine(f"sqlite:{self.folder / 'ledger.db'}"), self.clock, holder=holder)

    def ports(self, ledger: Any = None, store: Any = None) -> AssemblePorts:
        return AssemblePorts(
            ledger or self.ledger, store or self.store, self.clock, self.configuration, CONFIG_HASH, self.spool
        )

    def assemble(self) -> None:
        assert assemble(self.ports())

    def run(self, *rows: Pay, chunk_rows: int = 100, off_by: int = 0) -> Run:
        """A curated run; `off_by` minor units are missing in its books."""
        with self.ledger.begin() as tx:
            number = tx.runs.count(source=SOURCE) + 1
        pieces = [rows[at : at + chunk_rows] for at in range(0, len(rows), chunk_rows)]
        totals, hashes = [], []
        for chunk, piece in enumerate(pieces):
            table = curated_table(number, chunk, piece)
            pq.write_table(table, self.folder / "chunk.parquet")
            key = ChunkKey(SOURCE, TODAY, number, chunk)
            hashes.append(self.store.put_file(key.curated, self.folder / "chunk.parquet").sha256)
            totals.append(total(table))
        curated = total_of(totals) + Total(amount_minor={"EUR/CRDT": off_by} if off_by else {})
        run = Run(
            SOURCE,
            number,
            TODAY,
            "curated",
            None,
            [number],
            self.clock.now(),
            CONFIG_HASH,
            chunks=len(pieces),
            extracted=curated,
            curated=curated,
        )
        with self.ledger.begin() as tx:
            tx.runs.add(run)
            for chunk, (each, digest) in enumerate(zip(totals, hashes, strict=True)):
                found = Chunk(SOURCE, number, chunk, "curated", None, [chunk], each.count, curated=each)
                tx.chunks.add(replace(found, curated_sha256=digest))
        return run

    def next_day(self, days: int = 1) -> None:
        self.clock.at += timedelta(days=days)

    # What happened.

    def files(self) -> list[OutboundFile]:
        """In the order of their numbers, generations after each other."""
        with self.ledger.begin() as tx:
            return sorted(tx.files.find(), key=lambda file: (file.acquirer, file.sequence, file.generation))

    def assemblies(self) -> list[Assembly]:
        with self.ledger.begin() as tx:
            return tx.assemblies.find()

    def change(self, file: OutboundFile, **changes: Any) -> OutboundFile:
        with self.ledger.begin() as tx:
            current = tx.files.get(file.file_id)
            assert current is not None
            return tx.files.change(current, **changes)

    def outcomes(self, ordinal: int) -> dict[str, list[str]]:
        """Source key -> outcomes (with pool reasons) of its rows in one assembly, in the order of the runs."""
        found: dict[str, list[tuple[int, int, int, str]]] = {}
        names = {payment_id(SOURCE, "payments", str(key)): str(key) for key in self.known_keys()}
        for table in (self.index(ordinal), self.pool(ordinal)):
            for row in table.to_pylist():
                said = row["outcome"] + (f":{row['reason']}" if row["reason"] else "")
                place = (row["run"], row["chunk"], row["row"], said)
                found.setdefault(names[row["payment_id"]], []).append(place)
        return {key: [said for *_, said in sorted(places)] for key, places in found.items()}

    def known_keys(self) -> list[str]:
        keys: set[str] = set()
        for key in self.store.keys("curated/"):
            keys |= set(pq.read_table(self.folder / "store" / key, columns=["source_pk"])["source_pk"].to_pylist())
        return sorted(keys)

    def index(self, ordinal: int) -> pa.Table:
        return pq.read_table(self.folder / "store" / index_key(ordinal), schema=INDEX)

    def pool(self, ordinal: int) -> pa.Table:
        return pq.read_table(self.folder / "store" / pool_key(ordinal), schema=INDEX)

    def expected(self, file: OutboundFile) -> pa.Table:
        return pq.read_table(self.folder / "store" / expected_key(file.acquirer, file.business_date, file.file_id))

    def outbound(self, file: OutboundFile) -> bytes:
        return self.store.get(outbound_key(file.acquirer, file.business_date, file.file_id, file.name))

    def payments_of(self, file: OutboundFile) -> set[str]:
        """Source keys of the payments that a sealed file really holds, from its bytes."""
        lines = self.outbound(file).decode().splitlines()
        references = [line.split(",")[2] for line in lines if line.startswith("PD,")]
        return {each.removeprefix("REF-") for each in references}

    def mismatches(self) -> dict[str, tuple[str, str]]:
        """Payment id -> (kind, state)."""
        with self.ledger.begin() as tx:
            return {each.payment_id: (each.kind, each.state) for each in tx.mismatches.find()}

    def check_books(self) -> None:
        """Every equation of I1 holds in the ledger, with digests, and every stored segment says the same."""
        with self.ledger.begin() as tx:
            said = statement(tx)
        assert imbalances(said.terms) == []
        for assembly in self.assemblies():
            assert total(self.pool(assembly.ordinal)) == assembly.pool
            index = self.index(assembly.ordinal)
            for outcome, promised in assembly.outcomes.items():
                mine = index.filter(pc.equal(index["outcome"], outcome))
                assert total(mine) == Total.from_json(promised)
            assert len(index) == sum(each["count"] for each in assembly.outcomes.values())

    def facts(self) -> tuple[dict[str, bytes], dict[str, list[Any]]]:
        """Every object of the store and every row of every table that tells what was done."""
        objects = {key: self.store.get(key) for key in self.store.keys("")}
        with closing(sqlite3.connect(self.folder / "ledger.db")) as database:
            tables = ("runs", "chunks", "assemblies", "files", "sequences", "mismatches", "redeliveries", "audit")
            rows = {name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in tables}
        return objects, rows

    def restart(self) -> None:
        """What the service does first after a kill: leases of dead processes end."""
        self.ledger.leases.release_held("")


def take_back(world: AssembleWorld, file: OutboundFile) -> None:
    """A person cancels a sealed file and asks for its replacement."""
    ports, anna = ActPorts(world.ledger, world.clock), Actor("anna", verified=True)
    cancel(ports, file.file_id, anna)
    redeliver(ports, file.file_id, anna)


def refuse(world: AssembleWorld, file: OutboundFile) -> None:
    """The acquirer refused the file, and two people asked for it again."""
    world.change(file, state=str(FileState.REFUSED), returned_in=RETURN_ASKED)
