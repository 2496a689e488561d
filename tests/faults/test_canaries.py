"""Canaries: account numbers, names, a card number and secrets planted at both ends never show up where people and programs look."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from functions import batch
from local.demo import acquirer as acquirer_apart
from payments.states import MismatchKind
from runtime.logging import JsonLines
from tests import service_runner as runner
from tests.servers.process import free_port
from tests.servers.sftp_account import private_key, public_line
from tests.stage_runner import ACK_AND_RESULTS, Stages, stages
from tieout.__main__ import main

CARD = "4929773117731770"  # its last digit is the check digit
NAME = "Zyxwinna Quillfeather"
PASSWORD = "canary-pass-7731-word"
SHOWN = 20
MAY_HOLD = ("raw/", "curated/", "quarantine/", "outbound/", "expected/", "results/", "reported/")
"""Stores whose business is the payments themselves, and what the acquirer says of them."""
AFTER_HOSTILE = ("matched/", "open/")
"""They repeat the acquirer's own reference of a payment, in which it may write what it likes."""
COLUMNS = ("DRCR", "AMT", "CCY", "EXEC_DT", "DEBTOR_BIC", "PAYEE_BIC", "PURP", "NOTE", "STATE")


def iban(country: str, bban: str) -> str:
    """A valid one (ISO 7064, modulo 97)."""
    digits = "".join(str(int(each, 36)) for each in f"{bban}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{bban}"


OURS, THEIRS = iban("DE", "773177317731773177"), iban("NL", "QUIL0773177317")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo whose sound payments carry canaries, with further rows that hold one in a column where it does not belong."""
    found = runner.prepared(tmp_path_factory.mktemp("canaries") / "demo", payments=120)
    with contextlib.closing(sqlite3.connect(found / "legacy.db")) as legacy:
        legacy.execute(
            "UPDATE PAYMENT_JOURNAL SET DEBTOR_ACCT = ?, DEBTOR_NM = ?, PAYEE_ACCT = ?, PAYEE_NM = ?, NOTE = ? "
            "WHERE CAST(AMT AS REAL) > 1 AND LENGTH(PAYEE_ACCT) = 22 AND REV_NO = 1",
            (OURS, NAME, THEIRS, f"{NAME} BV", f"card {CARD}"),
        )
        columns = [row[1] for row in legacy.execute("PRAGMA table_info(PAYMENT_JOURNAL)")]
        like = legacy.execute(f"SELECT * FROM PAYMENT_JOURNAL WHERE PAYEE_ACCT = '{THEIRS}' ORDER BY CHG_TS").fetchone()
        for number, (column, canary) in enumerate(misplaced(COLUMNS)):
            row = dict(zip(columns, like, strict=True)) | {column: canary, "PAY_NO": f"X{number:05d}"}
            row["ORDER_REF"] = f"XREF{number:05d}"
            legacy.execute(f"INSERT INTO PAYMENT_JOURNAL VALUES ({','.join('?' * len(row))})", list(row.values()))
        legacy.commit()
    (found / "keys" / "password").write_text(PASSWORD + "\n")
    return found


def misplaced(columns: Iterable[str]) -> list[tuple[str, str]]:
    """Every column with every canary. Digits in the column of the amount are an amount, whatever else they could be."""
    return [(name, value) for name in columns for value in (OURS, NAME, CARD) if (name, value) != ("AMT", CARD)]


def canaries(directory: Path) -> list[str]:
    key = (directory / "keys" / "client_ed25519").read_text().splitlines()
    return [OURS, OURS[4:], THEIRS, THEIRS[4:], CARD, NAME, NAME.split()[1], PASSWORD, key[2], key[3]]


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """What the processes of a service would write to standard error, from the lowest level on."""
    said, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(said), root.level
    handler.setFormatter(JsonLines())
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield said
    root.removeHandler(handler)
    root.setLevel(level)


def test_canaries_stay_where_payments_are(
    demo: Path, tmp_path: Path, logs: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """On every path, sound and failing, canaries are in the payments' own stores and nowhere else."""
    directory = runner.copied(
        demo,
        tmp_path / "run",
        free_port(),
        {'url = "sqlite:legacy.db"': 'url = "sqlite:legacy.db"\npassword = "file:keys/password"'},
    )
    with stages(directory) as at:
        failing_paths(at, directory)
        with acquirer_apart(directory):
            at.later(timedelta(hours=3))
            at.settle()
            answers(at, ACK_AND_RESULTS)
            assert_quiet_at_rest(at, directory, MAY_HOLD)
            hostile_results(directory / "acquirer" / "northbank" / "outbox")
            answers(at, timedelta(hours=9))
        with at.world.ledger.look() as tx:
            kinds = {mismatch.kind for mismatch in tx.mismatches.find()}
            assert {str(MismatchKind.UNKNOWN_TO_US), str(MismatchKind.FILE_UNREADABLE)} <= kinds
            assert tx.runs.find()[0].quarantined.count >= len(COLUMNS)
        assert_quiet(directory, "the logs", logs.getvalue())
        assert "is set aside" in logs.getvalue()
        capsys.readouterr()
        for command in commands(at):
            main([*command, "--config", str(directory / "tieout.toml")])
            shown = capsys.readouterr()
            assert shown.out + shown.err
            assert_quiet(directory, f"tieout {' '.join(command)}", shown.out + shown.err)
        assert_quiet_at_rest(at, directory, (*MAY_HOLD, *AFTER_HOSTILE))


def answers(at: Stages, by: timedelta) -> None:
    """Let time pass at the acquirer, then take what lies in its outboxes."""
    at.later(by)
    at.acquirer_done()
    for name in ("northbank", "giro"):
        at.send("collect", name)


def failing_paths(at: Stages, directory: Path) -> None:
    """Nobody listens; another host key; a stage that fails in a way that nobody foresaw."""
    at.send("extract", "legacy")
    text = (directory / "tieout.toml").read_text()
    right = text.split('host_keys = ["')[1].split('"')[0]
    (directory / "tieout.toml").write_text(text.replace(right, public_line(private_key())))
    with stages(directory) as mistaken, acquirer_apart(directory):
        mistaken.later(timedelta(minutes=10))
        mistaken.settle()
        mistaken.send("collect", "northbank")
    (directory / "tieout.toml").write_text(text)
    batch.use(at.world)


def hostile_results(outbox: Path) -> None:
    """Answers that hold canaries in every field, some of them in files that contradict themselves or are none."""
    whole = next(path for path in outbox.iterdir() if path.name.endswith(".result.1"))
    base, lines = whole.name[:-1], whole.read_text().splitlines()
    header, record = lines[0].split(","), next(line for line in lines if line.startswith("RD")).split(",")
    number = 20
    names = ["", "line", "reference", "status", "reason", "AMT", *(str(at) for at in range(6, len(record)))]
    for name, canary in misplaced(names[1:]):
        for unknown in (False, True):
            number += 1
            changed = [*record]
            changed[2] = f"NOBODY{number}" if unknown else record[2]
            changed[names.index(name)] = canary
            # An amount that can be read is summed up as stated, so that the file is taken and its lines are looked at.
            sums = f"{record[6]}/{record[7]}={record[5]}" if record[5:8] == changed[5:8] else ""
            (outbox / f"{base}{number}").write_text(f"{lines[0]}\n{','.join(changed)}\nRT,1,{sums}\n")
    for at in range(1, len(header)):
        number += 1
        changed = [*header]
        changed[at] = OURS
        (outbox / f"{base}{number}").write_text("\n".join([",".join(changed), *lines[1:]]) + "\n")
    (outbox / f"{base}{number + 1}").write_text("\n".join([*lines[:-1], f"RT,{CARD},{OURS}"]) + "\n")
    (outbox / f"{base}{number + 2}").write_text(f"{lines[0]}\nRD,1,{OURS},{NAME}\n")
    (outbox / f"{base}{number + 3}").write_text(f"<Document><{NAME.split(maxsplit=1)[0]}>{OURS}</Document>")
    (outbox / f"{base}{number + 4}").write_text(f"RH,{NAME}\nRJ,{OURS},{CARD}\n")


def commands(at: Stages) -> Iterator[list[str]]:
    """Every way to look at things."""
    yield from ([name, *more] for name in ("status", "mismatches") for more in ([], ["--json"]))
    yield ["audit", "verify"]
    yield ["config", "check"]
    with at.world.ledger.look() as tx:
        mismatches, files = tx.mismatches.find(), tx.files.find()
    for mismatch in mismatches[:: max(1, len(mismatches) // SHOWN)]:
        yield ["mismatch", mismatch.id, "show"]
        yield ["mismatch", mismatch.id, "show", "--json"]
    for file in files:
        yield ["file", file.name, "show"]
        yield ["prove", file.name]
        yield ["trace", file.name]
    yield ["trace", next(mismatch.reference for mismatch in mismatches if mismatch.payment_id)]


def assert_quiet_at_rest(at: Stages, directory: Path, may_hold: tuple[str, ...]) -> None:
    """The ledger with its journal, the names and contents of all other objects, and what lies beside them."""
    for path in sorted(directory.glob("ledger.db*")):
        assert_quiet(directory, path.name, path.read_bytes().decode("latin-1"))
    keys = list(at.world.store.keys(""))
    assert_quiet(directory, "object keys", "\n".join(keys))
    held = 0
    for key in keys:
        text = content(directory / "store" / key)
        if key.startswith(may_hold) and not key.endswith(".json"):
            held += any(canary in text for canary in (OURS, THEIRS, CARD, NAME))
        else:
            assert_quiet(directory, key, text)
    assert held > 5, "the canaries went through"
    assert list((directory / "spool").rglob("*.*")) == []
    assert_quiet(directory, "clock", (directory / "clock").read_text())


def content(path: Path) -> str:
    if path.suffix == ".parquet":
        return json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False)
    return path.read_bytes().decode("latin-1")


def assert_quiet(directory: Path, where: str, text: str) -> None:
    found = [canary for canary in canaries(directory) if canary.lower() in text.lower()]
    around = [text[max(0, text.lower().find(each.lower()) - 200) :][:300] for each in found[:2]]
    assert not found, f"{where} shows {found}: {around}"


def test_an_unforeseen_error_is_named_and_not_quoted(logs: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of a library that quotes a payment reaches the log as its type and place only."""
    monkeypatch.setattr(batch, "_watches", [lambda _body: contextlib.nullcontext()])  # as a worker's, on one machine

    def act(_body: str) -> None:
        raise ValueError(f"cannot cast {OURS} of {NAME}")

    event = {"Records": [{"messageId": "1", "body": "{}", "eventSource": "aws:sqs"}]}
    assert batch.handle(event, act) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert "ValueError" in logs.getvalue()
    assert OURS not in logs.getvalue()
    assert NAME not in logs.getvalue()


def test_a_command_never_prints_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of the program itself is said in one line, with type and place, and exit status 1."""

    def broken(_config: str | None) -> None:
        raise ValueError(f"cannot cast {OURS}")

    monkeypatch.setattr("runtime.wiring.World.open", broken)
    assert main(["status"]) == 1
    said = capsys.readouterr()
    assert "a fault of the program itself: ValueError at " in said.err
    assert OURS not in said.out + said.err
