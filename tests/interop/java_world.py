"""A small world between a legacy database and a bank that is OpenSSH in front and Java behind; for tests only.

home/legacy.db -> our stages in this process -> sshd: inbox | outbox | archive <- the Java acquirer, beside the server
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from payments.records import Mismatch, Receipt, ResultFile
from reconciliation.statement import statement
from tests.interop.java_acquirer import JavaAcquirer
from tests.servers.sftp_account import SftpAccount
from tests.stage_runner import Stages, stages

ACQUIRER = "bank"
ROWS, ROWS_PER_FILE = 120, 50
PAYERS = ("DE89370400440532013000", "FR1420041010050500013M02606", "NL91ABNA0417164300")
PAYEE = "GB29NWBK60161331926819"
NAMES = ("Müller & Söhne <Bau>", 'Zoë "O\'Neil"', "Łódź Spółka", "Plain Name")
# Three currencies with none, two and three decimals: a control sum adds their plain numbers.
AMOUNTS = (("EUR", "{}.37"), ("JPY", "{}"), ("KWD", "{}.125"))

CONFIGURATION = """
[clock]
start = 2026-03-02T05:00:00Z

[[source]]
name = "core"
url = "sqlite:legacy.db"
table = "payments"
primary_key = ["id"]
watermark = "changed"
watermark_type = "integer"
columns = {{ end_to_end_id = "ref", amount = "amount", currency = "ccy", requested_date = "due", \
debtor_name = "payer", debtor_account = "payer_iban", creditor_name = "payee", creditor_account = "payee_iban" }}
constants = {{ direction = "CRDT" }}
rows_per_chunk_max = 70

[curation]
route = [{{ acquirer = "bank" }}]
characters = "any"

[[acquirer]]
name = "bank"
format = "pain.001.001.09"
file_name = "{{acquirer}}_{{business_date:%Y%m%d}}_{{sequence:06d}}_{{generation}}.xml"
results_list = "all"
final_status = "ACSC"
complete_when = "deadline"
sequence = "strict"
rows_per_file_max = {rows_per_file}

[acquirer.sftp]
host = "127.0.0.1"
port = {port}
user = "{user}"
key = "file:client_key"
host_keys = ["{host_key}"]
archive = "{archive}"
channel_timeout_s = {channel_timeout_s}

[acquirer.results]
format = "pain.002"
names = {names}
ignore = [".*"{ignored}]
stable_listings = 1
"""


def prepare(
    home: Path,
    account: SftpAccount,
    *,
    rows: int = ROWS,
    archive: str = "",
    acknowledgements_only: bool = False,
    channel_timeout_s: int = 30,
) -> Path:
    """The directory of a configuration written by hand, with its legacy database."""
    home.mkdir()
    key = home / "client_key"
    key.touch(mode=0o600)
    key.write_bytes(account.client_key)
    known = '["*.ack.xml"]' if acknowledgements_only else '["*.ack.xml", "*.result.xml"]'
    text = CONFIGURATION.format(
        rows_per_file=ROWS_PER_FILE,
        port=account.port,
        user=account.user,
        host_key=account.host_key,
        archive=archive,
        channel_timeout_s=channel_timeout_s,
        names=known,
        ignored=', "*.result.xml"' if acknowledgements_only else "",
    )
    (home / "tieout.toml").write_text(text)
    with contextlib.closing(sqlite3.connect(home / "legacy.db")) as connection, connection:
        connection.execute(
            "CREATE TABLE payments (id INTEGER PRIMARY KEY, ref TEXT, amount TEXT, ccy TEXT, due TEXT, payer TEXT,"
            " payer_iban TEXT, payee TEXT, payee_iban TEXT, changed INTEGER)"
        )
        connection.executemany("INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_row, range(rows)))
    return home


def _row(number: int) -> tuple[Any, ...]:
    currency, amount = AMOUNTS[number % 3]
    # Neighbours of one payer and currency share a payment information, so that a file has several.
    payer = PAYERS[number // 7 % 3]
    names = (NAMES[number // 7 % 4], NAMES[number % 4])
    return (
        number,
        f"REF{number:05d}",
        amount.format(1000 + number),
        currency,
        "2026-03-02",
        names[0],
        payer,
        names[1],
        PAYEE,
        number + 1,
    )


@dataclass(frozen=True)
class JavaWorld:
    """Our side with its stages, and the bank's."""

    at: Stages
    account: SftpAccount
    java: JavaAcquirer

    def extract(self) -> None:
        """From the source to the inbox, as far as it goes."""
        self.at.send("extract", "core")

    def collect(self) -> None:
        """One poll of the outbox, and all that follows."""
        self.at.later(timedelta(seconds=1))
        self.at.send("collect", ACQUIRER)

    def later_attempts(self) -> None:
        """Every pause of a retry is over, and who may be tried is tried."""
        self.at.later(timedelta(hours=3))
        self.at.send("deliver", ACQUIRER)

    def receipts(self) -> dict[str, Receipt]:
        """By file name."""
        with self.at.world.ledger.look() as tx:
            found = {file.name: tx.receipts.get(file.file_id) for file in tx.files.find()}
        return {name: receipt for name, receipt in found.items() if receipt is not None}

    def mismatches(self) -> list[Mismatch]:
        with self.at.world.ledger.look() as tx:
            return tx.mismatches.find()

    def results(self) -> list[ResultFile]:
        with self.at.world.ledger.look() as tx:
            return tx.results.find()

    def books(self) -> dict[str, Any]:
        """What `tieout status --json` prints."""
        with self.at.world.ledger.look() as tx:
            return statement(tx).to_json()

    def outcomes(self) -> dict[str, dict[str, Any]]:
        """Reference -> the stored outcome of every payment that is matched or mismatched."""
        rows: list[dict[str, Any]] = []
        for file in self.at.files():
            if file.matched_key:
                rows += pq.read_table(self.at.directory / "store" / file.matched_key).to_pylist()
        return {row["end_to_end_id"]: row for row in rows}

    def inbox(self) -> list[str]:
        """What lies in the inbox under a name that an acquirer may take."""
        return [name for name in self._lying() if not name.startswith(".")]

    def unfinished(self) -> list[str]:
        """Temporary files in the inbox."""
        return [name for name in self._lying() if name.startswith(".")]

    def _lying(self) -> list[str]:
        return sorted(path.name for path in (self.account.root / "inbox").iterdir())


@contextlib.contextmanager
def java_world(
    folder: Path, account: SftpAccount, classes: Path, *, work: Path | None = None, **changes: Any
) -> Iterator[JavaWorld]:
    """`work` is where the Java acquirer moves what it takes: a place that SFTP does not show, unless another is named."""
    home = prepare(folder / "home", account, **changes)
    bank = folder / "java"
    root = account.root
    java = JavaAcquirer(classes, root / "inbox", root / "outbox", work or bank / "work", bank, clock=home / "clock")
    with stages(home) as at:
        yield JavaWorld(at, account, java)
