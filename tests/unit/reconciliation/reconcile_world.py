"""A ledger, a store and one acquirer, files recorded as sent, and texts of result files; for the tests of reconcile only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from payments.books import Total, imbalances
from payments.config import AcquirerSection, Configuration, Results, Sftp
from payments.keys import expected_key, file_id, result_key
from payments.ports import Clock, Ledger, ObjectStore
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

SIX = datetime(2026, 3, 2, 6, tzinfo=UTC)
DAY = date(2026, 3, 2)
DUE = timedelta(hours=8)


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = SIX

    def now(self) -> datetime:
        return self.at

    def later(self, minutes: int = 1) -> datetime:
        self.at += timedelta(minutes=minutes)
        return self.at


@dataclass(frozen=True)
class Pay:
    """A payment as sent."""

    reference: str
    minor: int = 1050
    currency: str = "EUR"
    direction: str = "CRDT"
    account: str = "DE89370400440532013000"

    @property
    def money(self) -> str:
        return f"{self.minor // 100}.{self.minor % 100:02d}"


@dataclass(frozen=True)
class Say:
    """What the acquirer says of one payment; None says the same as was sent."""

    reference: str
    status: str = "ACSC"
    minor: int = 1050
    currency: str = "EUR"
    direction: str = "CRDT"
    reason: str = ""
    account: str = "DE89370400440532013000"
    at: str = ""


def say(payment: Pay, status: str = "ACSC", **other: Any) -> Say:
    own = {"minor": payment.minor, "currency": payment.currency, "direction": payment.direction}
    return Say(payment.reference, status, **{**own, "account": payment.account, **other})


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

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "spool").mkdir(exist_ok=True)
        engine = open_engine(f"sqlite:{self.folder / 'ledger.db'}")
        upgrade(engine)
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
        configuration = Configuration(acquirer=[self.acquirer])
        ports = ReadPorts(self.ledger, self.store, self.clock, configuration, self.folder / "spool")
        with self.sql.begin() as tx:
            waiting = results or tuple(tx.results.find(state="collected"))
        for each in waiting:
            read(ports, each.key)

    def reconcile(self) -> None:
        ports = ReconcilePorts(self.ledger, self.store, self.clock, self.acquirer, self.folder / "spool", 128)
        assert reconcile(ports)

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
            assert [each.left for each in imbalances({"delivered": file.total, **parts})] == [], file.name
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


# The acquirer's texts.


def ack(file: OutboundFile, status: str = "ACTC", *, reason: str = "", at: str = "2026-03-02T06:01:00Z") -> str:
    return (
        f"AH,TIEOUT1,{file.name},{file.file_id},{file.sequence},2026-03-02,{at}\n"
        f"AK,{status},{file.total.count},{reason},,{file.sequence + 1}\nAT,1\n"
    )


def results(
    file: OutboundFile | None, says: Sequence[Say], *, n: int = 1, at: str = "2026-03-02T07:00:00Z", trailer: str = ""
) -> str:
    """`file` None: a file that was never sent."""
    name, message, sequence = ("never.csv", "f" * 24, 999) if file is None else (file.name, file.file_id, file.sequence)
    lines = [f"RH,TIEOUT1,{name},{message},{sequence},{at},{n}"]
    sums: dict[str, int] = {}
    for line, each in enumerate(says, 1):
        money = f"{each.minor // 100}.{each.minor % 100:02d}"
        lines.append(
            f"RD,{line},{each.reference},{each.status},{each.reason},{money},{each.currency},{each.direction},"
            f"2026-03-02,{each.account},AQ{line},{each.at or at}"
        )
        key = f"{each.currency}/{each.direction}"
        sums[key] = sums.get(key, 0) + each.minor
    shown = "|".join(f"{key}={minor // 100}.{minor % 100:02d}" for key, minor in sorted(sums.items()))
    return "\n".join([*lines, trailer or f"RT,{len(says)},{shown}"]) + "\n"


def pain002(
    message: str | None, says: Sequence[Say] = (), *, group: str = "", reason: str = "", at: str = "2026-03-02T07:00:00Z"
) -> str:
    """A pain.002.001.10 about the message `message`; None: the report does not know which (NOTPROVIDED)."""
    code = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if reason else ""
    status = f"<GrpSts>{group}</GrpSts>{code}" if group else ""
    rows = "".join(
        f"<TxInfAndSts><OrgnlEndToEndId>{each.reference}</OrgnlEndToEndId><TxSts>{each.status}</TxSts>"
        f'<OrgnlTxRef><Amt><InstdAmt Ccy="{each.currency}">{each.minor // 100}.{each.minor % 100:02d}</InstdAmt></Amt>'
        f"<CdtrAcct><Id><IBAN>{each.account}</IBAN></Id></CdtrAcct></OrgnlTxRef></TxInfAndSts>"
        for each in says
    )
    batch = f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>B1</OrgnlPmtInfId>{rows}</OrgnlPmtInfAndSts>" if rows else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10">'
        f"<CstmrPmtStsRpt><GrpHdr><MsgId>{at}</MsgId><CreDtTm>{at}</CreDtTm></GrpHdr><OrgnlGrpInfAndSts>"
        f"<OrgnlMsgId>{message or 'NOTPROVIDED'}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{status}"
        f"</OrgnlGrpInfAndSts>{batch}</CstmrPmtStsRpt></Document>"
    )


class Killed(BaseException):
    """The process is gone: nothing after this happens, not even what `finally` asks for."""


@dataclass
class Kill:
    """Counts effects, and kills at the `at`-th: before it, or just after it."""

    at: int = 0
    after: bool = False
    seen: int = 0
    dead: bool = False

    def before(self) -> None:
        if self.dead:
            raise Killed
        self.seen += 1
        if self.seen == self.at and not self.after:
            self.dead = True
            raise Killed

    def done(self) -> None:
        if self.seen == self.at:
            self.dead = True
            raise Killed


def clock_of(world: World) -> Clock:
    return world.clock
