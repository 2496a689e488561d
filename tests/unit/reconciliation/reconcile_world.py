"""A ledger, a store and one acquirer, files recorded as sent, and texts of result files; for the tests of reconcile only."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from payments.books import imbalances
from payments.config import AcquirerSection, Configuration, Sftp
from payments.config_results import Results
from payments.keys import expected_key, file_id, result_key
from payments.ports import Ledger, ObjectStore, Secrets
from payments.records import Mismatch, OutboundFile, ResultFile
from payments.states import OPEN_MISMATCH_STATES
from payments.tables import EXPECTED
from payments.totals import total_of_columns
from reconciliation.read import ReadPorts, read
from reconciliation.reconcile import ReconcilePorts, reconcile
from reconciliation.statement import Statement, statement
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.store_file import FileStore
from tests.unit.reconciliation.reconcile_texts import Pay

SIX = datetime(2026, 3, 2, 6, tzinfo=UTC)
DAY = date(2026, 3, 2)
DUE = timedelta(hours=8)
PAIN = Results(format="pain.002", due_after_s=int(DUE.total_seconds()))


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = SIX

    def now(self) -> datetime:
        return self.at

    def later(self, minutes: int = 1) -> datetime:
        self.at += timedelta(minutes=minutes)
        return self.at


def acquirer(**settings: Any) -> AcquirerSection:
    """northbank, which reports every payment in delimited files that end with a trailer."""
    plain: dict[str, Any] = {
        "name": "northbank",
        "results_list": "all",
        "final_status": "ACSC",
        "complete_when": "trailer",
        "sequence": "strict",
        "sftp": Sftp(host="127.0.0.1", user="u", host_keys=["ssh-ed25519 AAAA"]),
        "results": Results(due_after_s=int(DUE.total_seconds())),
    }
    return AcquirerSection(**(plain | settings))


@dataclass
class World:
    """One acquirer's side of the books, in a folder. `ledger` and `store` may be replaced by wrappers that fail."""

    folder: Path
    acquirer: AcquirerSection = field(default_factory=acquirer)
    clock: SetClock = field(default_factory=SetClock)
    secrets: Secrets | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "spool").mkdir(exist_ok=True)
        (self.folder / "ledger.db").write_bytes(_empty_ledger())
        engine = open_engine(f"sqlite:{self.folder / 'ledger.db'}")
        self.sql = SqlLedger(engine, self.clock, holder="worker-test")
        self.files = FileStore(self.folder / "store")
        self.ledger: Ledger = self.sql
        self.store: ObjectStore = self.files

    def close(self) -> None:
        self.sql.engine.dispose()

    # What happened before.

    def send(
        self,
        payments: Sequence[Pay],
        *,
        sequence: int = 1,
        generation: int = 1,
        state: str = "delivered",
        name: str = "",
        window: str = "w1",
        **other: Any,
    ) -> OutboundFile:
        """Record a file in this state, delivered now where the state says that it left."""
        identity = file_id("northbank", DAY, window, sequence, generation)
        rows = _expected(identity, payments)
        path = self.folder / "spool" / "expected"
        pq.write_table(rows, path)
        self.files.put_file(expected_key("northbank", DAY, identity), path)
        total = total_of_columns(rows["amount_minor"], rows["currency"], rows["direction"], rows["row_hash"])
        now = self.clock.now()
        left = state not in {"planned", "sealed", "delivering", "in_doubt", "cancelled"}
        file = OutboundFile(
            file_id=identity,
            acquirer="northbank",
            business_date=DAY,
            window=window,
            split=sequence,
            generation=generation,
            sequence=sequence,
            name=name or f"northbank_20260302_{sequence:06d}_{generation}.csv",
            format="delimited",
            state=state,
            assembly=1,
            created_at=now,
            config_hash="c",
            total=total,
            awaiting=total,
            **{"delivered_at": now if left else None, "results_due_at": now + DUE if left else None, **other},
        )
        with self.sql.begin() as tx:
            tx.files.add(file)
        return file

    # What the acquirer does.

    def collect(self, name: str, text: str | bytes) -> ResultFile:
        """Bytes that were fetched from the outbox a minute after whatever was before."""
        data = text.encode() if isinstance(text, str) else text
        digest = hashlib.sha256(data).hexdigest()
        key = result_key("northbank", DAY, digest, name)
        self.files.put(key, data)
        result = ResultFile("northbank", digest, name, key, DAY, len(data), self.clock.later(), "collected")
        with self.sql.begin() as tx:
            tx.results.add(result)
        return result

    # What we do.

    def read(self, *results: ResultFile) -> None:
        """Read these, or all that were collected, in the order of their hashes."""
        with self.sql.begin() as tx:
            waiting = results or tuple(tx.results.find(state="collected"))
        for each in waiting:
            read(self.read_ports, each.key)

    @property
    def read_ports(self) -> ReadPorts:
        configuration = Configuration(acquirer=[self.acquirer])
        return ReadPorts(self.ledger, self.store, self.clock, configuration, self.folder / "spool", self.secrets)

    @property
    def ports(self) -> ReconcilePorts:
        return ReconcilePorts(self.ledger, self.store, self.clock, self.acquirer, self.folder / "spool", 128)

    def reconcile(self) -> None:
        assert reconcile(self.ports)

    def take(self, name: str, text: str | bytes) -> ResultFile:
        """Collect, read, reconcile, and check the books."""
        result = self.collect(name, text)
        self.work()
        return result

    def work(self) -> None:
        self.read()
        self.reconcile()
        self.check()

    def wait_until_due(self) -> None:
        self.clock.at = max(self.clock.at, SIX + DUE + timedelta(hours=1))
        self.reconcile()
        self.check()

    # What came of it.

    def statement(self) -> Statement:
        with self.sql.begin() as tx:
            return statement(tx)

    def check(self) -> None:
        """I1b over all result files, and I1 for every file that was delivered, by count, sum and digest."""
        found = self.statement()
        assert [fault for fault in found.faults if fault.startswith("incoming")] == []
        with self.sql.begin() as tx:
            files, results = tx.files.find(), {each.sha256: each for each in tx.results.find()}
            books = tx.result_books.find()
        for file in files:
            parts = {"matched": file.matched, "mismatched": file.mismatched, "awaiting": file.awaiting}
            off = [each for each in imbalances({"delivered": file.total, **parts}) if each.left == "delivered"]
            assert off == [], file.name
        for sha, result in results.items():
            assert result.lines == result.control + result.events + result.unreadable
            if result.reconciled and result.state == "read":
                mine = [each for each in books if each.sha256 == sha]
                used = sum(e.applied + e.unknown + e.duplicate + e.ambiguous + e.withdrawn for e in mine)
                assert used == result.events, result.name

    def file(self, sent: OutboundFile) -> OutboundFile:
        with self.sql.begin() as tx:
            found = tx.files.get(sent.file_id)
        assert found is not None
        return found

    def counts(self, sent: OutboundFile) -> tuple[int, int, int]:
        """(matched, mismatched, awaiting)."""
        file = self.file(sent)
        return file.matched.count, file.mismatched.count, file.awaiting.count

    def mismatches(self, *, is_open: bool = True) -> list[Mismatch]:
        with self.sql.begin() as tx:
            return [each for each in tx.mismatches.find() if (each.state in OPEN_MISMATCH_STATES) == is_open]

    def kinds(self) -> list[str]:
        """Open mismatches as `kind` or `kind reference`, sorted."""
        return sorted(f"{each.kind} {each.reference}".strip() for each in self.mismatches())

    def result(self, of: ResultFile) -> ResultFile:
        with self.sql.begin() as tx:
            found = tx.results.get("northbank", of.sha256)
        assert found is not None
        return found

    def facts(self) -> dict[str, Any]:
        """The ledger without times and revisions, and every object with its hash."""
        with self.sql.begin() as tx:
            tables: dict[str, list[Any]] = {
                "files": tx.files.find(),
                "results": tx.results.find(),
                "books": tx.result_books.find(),
                "mismatches": tx.mismatches.find(),
            }
        passing = {"revision", "opened_at", "updated_at", "closed_at"}
        rows = {
            name: [{key: value for key, value in asdict(each).items() if key not in passing} for each in found]
            for name, found in tables.items()
        }
        keys = list(self.files.keys(""))
        return rows | {"objects": {key: hashlib.sha256(self.files.get(key)).hexdigest() for key in keys}}


@cache
def _empty_ledger() -> bytes:
    """A migrated ledger: made once, for the migrations take longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        engine = open_engine(f"sqlite:{path}")
        upgrade(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        return path.read_bytes()


def _expected(identity: str, payments: Sequence[Pay]) -> pa.Table:
    rows = [
        {
            "line": line,
            "payment_id": f"pay-{each.reference}",
            "file_id": identity,
            "source": "legacy",
            "business_date": DAY,
            "run": 1,
            "chunk": 1,
            "row": line - 1,
            "row_hash": hashlib.sha256(each.reference.encode()).digest(),
            "end_to_end_id": each.reference,
            "direction": each.direction,
            "amount_minor": each.minor,
            "currency": each.currency,
            "requested_date": DAY,
            "creditor_account": each.account,
        }
        for line, each in enumerate(payments, 1)
    ]
    return pa.Table.from_pylist(rows, schema=EXPECTED)
