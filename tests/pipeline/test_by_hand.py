"""A configuration written by hand, as the documentation shows it: PostgreSQL as source and as ledger, OpenSSH as acquirer."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from tests.servers import openssh
from tests.servers.process import until
from tests.servers.sftp_account import SftpAccount
from tests.service_runner import running

IBANS = ("DE89370400440532013000", "FR1420041010050500013M02606", "NL91ABNA0417164300", "GB29NWBK60161331926819")
ROWS = 40
WAIT_S = 60.0

CONFIGURATION = """
[ledger]
url = "{ledger}"

[[source]]
name = "core"
url = "{source}"
table = "legacy.payments"
primary_key = ["id"]
watermark = "updated_at"
columns = {{ end_to_end_id = "ref", amount = "amount", currency = "ccy", direction = "dir", requested_date = "due", \
debtor_name = "payer", debtor_account = "payer_iban", creditor_name = "payee", creditor_account = "payee_iban" }}
values = {{ direction = {{ out = "CRDT", in = "DBIT" }} }}
rows_per_chunk_max = 16

[curation]
route = [{{ acquirer = "bank" }}]

[[acquirer]]
name = "bank"
results_list = "all"
final_status = "ACSC"
complete_when = "trailer"
sequence = "strict"

[acquirer.sftp]
host = "127.0.0.1"
port = {port}
user = "{user}"
key = "env:BANK_KEY"
host_keys = ["{host_key}"]

[acquirer.results]
names = ["*.ack", "*.result.*"]
collect_every_s = 1
"""


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[SftpAccount]:
    if openssh.sshd() is None:
        pytest.skip(openssh.MISSING)
    folder = tmp_path / "bank"
    folder.mkdir()
    with openssh.openssh_server(folder) as account:
        for name in ("inbox", "outbox"):
            (account.root / name).mkdir(exist_ok=True)
        yield account


@pytest.fixture
def databases(postgres_url: str) -> Iterator[tuple[str, str]]:
    """(source, ledger), each a database of its own."""
    base = postgres_url.rpartition("/")[0]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in ("by_hand_source", "by_hand_ledger"):
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(f"{base}/by_hand_source", autocommit=True) as connection:
        _fill(connection)
    yield f"{base}/by_hand_source", f"{base}/by_hand_ledger"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in ("by_hand_source", "by_hand_ledger"):
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _fill(connection: psycopg.Connection) -> None:
    connection.execute("CREATE SCHEMA legacy")
    connection.execute(
        "CREATE TABLE legacy.payments (id bigint PRIMARY KEY, ref text, amount numeric(14,2), ccy char(3), dir text,"
        " due date, payer text, payer_iban text, payee text, payee_iban text, updated_at timestamptz DEFAULT now())"
    )
    for number in range(ROWS):
        amount, iban = Decimal(1000 + number) / 100, IBANS[number % 4]
        bad = iban[:-1] + ("0" if iban[-1] != "0" else "1") if number == 5 else iban
        connection.execute(
            "INSERT INTO legacy.payments VALUES (%s, %s, %s, 'EUR', %s, current_date, 'Payer', %s, 'Payee', %s)",
            (number, f"REF{number:05d}", amount, "out" if number % 3 else "in", IBANS[0], bad),
        )


def tieout(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tieout", *arguments, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def status(config: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(tieout(config, "status", "--json").stdout)
    return found


def _answer(bank: SftpAccount, sent: Path) -> None:
    """The bank accepts the file, settles all but two payments, rejects one and forgets one."""
    lines = list(csv.reader(sent.read_text().splitlines()))
    header, rows = lines[0], [line for line in lines if line[0] == "PD"]
    name, message, sequence = header[3], header[4], header[5]
    told = []
    total: dict[str, Decimal] = {}
    for number, row in enumerate(rows[:-1], start=1):
        state, reason = ("RJCT", "AC04") if number == 3 else ("ACSC", "")
        told.append(
            f"RD,{number},{row[2]},{state},{reason},{row[4]},{row[5]},{row[3]},,,BANK{number},2026-01-02T03:04:05Z"
        )
        key = f"{row[5]}/{row[3]}"
        total[key] = total.get(key, Decimal(0)) + Decimal(row[4])
    sums = "|".join(f"{key}={value}" for key, value in sorted(total.items()))
    result = [
        f"RH,TIEOUT1,{name},{message},{sequence},2026-01-02T03:04:05Z,1",
        *told,
        f"RT,{len(told)},{sums}",
    ]
    temporary = bank.root / "outbox" / ".making.part"
    temporary.write_text("\n".join(result) + "\n")
    temporary.rename(bank.root / "outbox" / f"{name}.result.1")


def test_payments_go_from_postgresql_to_openssh_and_come_back(
    tmp_path: Path, bank: SftpAccount, databases: tuple[str, str]
) -> None:
    """A hand-written configuration on real servers delivers each payment once and lists exactly what the bank did not settle."""
    source, ledger = databases
    home = tmp_path / "home"
    home.mkdir()
    config = home / "tieout.toml"
    config.write_text(
        CONFIGURATION.format(ledger=ledger, source=source, port=bank.port, user=bank.user, host_key=bank.host_key)
    )
    environment = {"BANK_KEY": bank.client_key.decode()}
    with running(home, environment) as service:
        extracted = tieout(config, "extract", "core", "--json")
        assert extracted.returncode == 0, extracted.stderr
        assert json.loads(extracted.stdout)["extracted"]["count"] == ROWS
        until(lambda: len(list((bank.root / "inbox").glob("*.csv"))) == 1, "the service goes on", WAIT_S)
        sent = next((bank.root / "inbox").iterdir())
        assert [each.name for each in (bank.root / "inbox").iterdir()] == [sent.name]
        _answer(bank, sent)
        until(lambda: status(config)["matched"]["count"] == ROWS - 3, "the service goes on", WAIT_S)  # type: ignore[index]
        assert service.stop() == 0
    books = status(config)
    assert books["ties"] is True, books["faults"]
    counts = {name: books[name]["count"] for name in ("quarantined", "delivered", "matched", "mismatched", "awaiting")}  # type: ignore[index]
    assert counts == {"quarantined": 1, "delivered": ROWS - 1, "matched": ROWS - 3, "mismatched": 1, "awaiting": 1}
    assert books["mismatches_by_kind"]["status_rejected"] == 1  # type: ignore[index]
    with psycopg.connect(source) as connection:
        expected = connection.execute("SELECT sum(amount) * 100 FROM legacy.payments").fetchone()
    sums = books["extracted"]["amount_minor"]  # type: ignore[index]
    assert sum(sums.values()) == expected[0]  # type: ignore[index]
    # Nothing new at the source: nothing is sent a second time.
    assert json.loads(tieout(config, "extract", "core", "--json").stdout) == {"run": None}


def test_a_row_updated_after_sending_is_a_mismatch_and_is_not_sent(
    tmp_path: Path, bank: SftpAccount, databases: tuple[str, str]
) -> None:
    """A source row that changes after its file was sealed becomes changed_after_sealed, and no second file leaves."""
    source, ledger = databases
    home = tmp_path / "home"
    home.mkdir()
    config = home / "tieout.toml"
    config.write_text(
        CONFIGURATION.format(ledger=ledger, source=source, port=bank.port, user=bank.user, host_key=bank.host_key)
    )
    environment = {"BANK_KEY": bank.client_key.decode()}
    with running(home, environment) as service:
        assert tieout(config, "extract", "core").returncode == 0
        until(lambda: len(list((bank.root / "inbox").glob("*.csv"))) == 1, "the service goes on", WAIT_S)
        until(lambda: status(config)["delivered"]["count"] == ROWS - 1, "the service goes on", WAIT_S)  # type: ignore[index]
        with psycopg.connect(source, autocommit=True) as connection:
            connection.execute("UPDATE legacy.payments SET amount = amount + 1, updated_at = now() WHERE id = 7")
            connection.execute("UPDATE legacy.payments SET updated_at = now() WHERE id = 8")
        until(
            lambda: (
                tieout(config, "extract", "core", "--json").returncode == 0
                and status(config)["unchanged"]["count"] == 1
            ),  # type: ignore[index]
            "the changed rows are extracted",
            WAIT_S,
        )
        assert service.stop() == 0
    books = status(config)
    assert books["mismatches_by_kind"]["changed_after_sealed"] == 1  # type: ignore[index]
    assert books["unassigned"]["count"] == 1  # type: ignore[index]
    assert books["ties"] is True, books["faults"]
    assert len(list((bank.root / "inbox").iterdir())) == 1
