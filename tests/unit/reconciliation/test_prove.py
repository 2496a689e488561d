"""The tie-out certificate of a finished demo: it holds as it is, and shows every change of what is stored or recorded."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from payments.errors import NotAllowed
from payments.records import OutboundFile, Run
from reconciliation.certificate import Certificate
from reconciliation.prove import ProvePorts, prove
from runtime.wiring import World
from tests.servers.finished_demo import copied_demo


def certificate_of(folder: Path, name: str) -> Certificate:
    world = World.open(str(folder / "tieout.toml"))
    found, _ = prove(ProvePorts(world.ledger, world.store, world.configuration), name)
    world.ledger.engine.dispose()
    return found


def runs_and_files(folder: Path) -> tuple[list[Run], list[OutboundFile]]:
    world = World.open(str(folder / "tieout.toml"))
    with world.ledger.look() as tx:
        found = tx.runs.find(), tx.files.find(order="name")
    world.ledger.engine.dispose()
    return found


def test_every_run_and_file_of_a_sound_demo_ties(demo_dir: Path) -> None:
    """Each run by `source/ordinal`, each file by name and by file_id, and the whole day tie, with checks over their objects."""
    runs, files = runs_and_files(demo_dir)
    names = [f"{run.source}/{run.ordinal:06d}" for run in runs]
    names += [each for file in files for each in (file.name, file.file_id)]
    for name in [*names, runs[0].business_date.isoformat()]:
        certificate = certificate_of(demo_dir, name)
        assert certificate.failed == []
        assert certificate.ties
        assert certificate.objects >= 5
        assert certificate.size > 1000
        assert set(certificate.configs.values()) == {runs[0].config_hash}


def test_a_day_holds_everything_of_it(demo_dir: Path) -> None:
    """The certificate of a day covers each of its runs, files and result files, and all equations of the books."""
    runs, files = runs_and_files(demo_dir)
    certificate = certificate_of(demo_dir, runs[0].business_date.isoformat())
    subjects = {check.subject for check in certificate.checks}
    assert {f"run {run.source}/{run.ordinal:06d}" for run in runs} <= subjects
    assert {f"file {file.name}" for file in files} <= subjects
    equations = [check.what for check in certificate.checks if check.subject == "all books"]
    assert [what.partition(" = ")[0] for what in equations] == [
        "extracted",
        "curated",
        "assigned",
        "delivered",
        "lines",
        "events",
    ]


def test_unknown_names_are_refused(demo_dir: Path) -> None:
    """A run, file or day that nothing is recorded of is wrong use, not a certificate."""
    for name in ("legacy/000099", "legacy/x", "nobody/1", "nothing.csv", "1999-01-01", "", "/", "legacy/1/1"):
        with pytest.raises(NotAllowed, match="there is no run, file or business date"):
            certificate_of(demo_dir, name)


Change = Callable[[Path, OutboundFile], object]


def edited(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Rewrite a Parquet object with a changed table, under the same schema and metadata."""
    table = pq.read_table(path)
    metadata = table.schema.metadata
    path.chmod(0o600)
    pq.write_table(change(table).replace_schema_metadata(metadata), path)


def without_last(table: pa.Table) -> pa.Table:
    return table.slice(0, len(table) - 1)


def with_amount(table: pa.Table, name: str = "amount_minor") -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(name), pc.add(table[name], 1).cast(table[name].type))


def with_text(table: pa.Table, name: str) -> pa.Table:
    at = table.schema.get_field_index(name)
    values = table[name].to_pylist()
    return table.set_column(at, table.schema.field(name), pa.array([f"{values[0]}x", *values[1:]], table[name].type))


def only(folder: Path, pattern: str) -> Path:
    return min((folder / "store").glob(pattern))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def sql(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "ledger.db") as connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


def rehash(path: Path, table: str, column: str, where: str) -> None:
    """Make the ledger agree with changed bytes: then only what was recomputed can show the change."""
    import hashlib

    folder = path
    while not (folder / "ledger.db").exists():
        folder = folder.parent
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sql(folder, f"UPDATE {table} SET {column} = '{digest}' WHERE {where}")


RUN_1 = "raw/legacy/*/000001/00001.parquet"
CURATED_1 = "curated/legacy/*/000001/00001.parquet"
FIRST = "source = 'legacy' AND run = 1 AND ordinal = 1"


def swap_and_rehash(folder: Path, pattern: str, change: Callable[[pa.Table], pa.Table], column: str) -> None:
    edited(only(folder, pattern), change)
    rehash(only(folder, pattern), "chunks", column, FIRST)


RUN_CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit in raw": (lambda f: flip(only(f, RUN_1)), "SHA-256"),
    "a raw chunk that is gone": (lambda f: only(f, RUN_1).unlink(), "SHA-256"),
    "a raw row lost, hash adjusted": (lambda f: swap_and_rehash(f, RUN_1, without_last, "raw_sha256"), "extracted"),
    "a raw value changed, hash adjusted": (
        lambda f: swap_and_rehash(f, RUN_1, lambda t: with_text(t, "PAYEE_ACCT"), "raw_sha256"),
        "rows with another identity or hash than their values give",
    ),
    "a raw identity changed, hash adjusted": (
        lambda f: swap_and_rehash(f, RUN_1, lambda t: with_text(t, "_payment_id"), "raw_sha256"),
        "rows with another identity or hash than their values give",
    ),
    "a column dropped from raw, hash adjusted": (
        lambda f: swap_and_rehash(f, RUN_1, lambda t: t.drop_columns(["AMT"]), "raw_sha256"),
        "can be read",
    ),
    "a curated amount changed, hash adjusted": (
        lambda f: swap_and_rehash(f, CURATED_1, with_amount, "curated_sha256"),
        "curated",
    ),
    "a curated row lost, hash adjusted": (
        lambda f: swap_and_rehash(f, CURATED_1, without_last, "curated_sha256"),
        "extracted = curated + quarantined",
    ),
    "quarantine that is not Parquet": (
        lambda f: only(f, "quarantine/legacy/*/000001/00001.parquet").write_bytes(b"PAR1 nothing PAR1"),
        "can be read",
    ),
    "another manifest": (lambda f: only(f, "raw/legacy/*/000001/manifest.json").write_bytes(b"{}"), "SHA-256"),
    "no complete.json": (lambda f: only(f, "curated/legacy/*/000001/complete.json").unlink(), "SHA-256"),
    "a chunk that no record knows": (
        lambda f: shutil.copy(only(f, RUN_1), only(f, RUN_1).with_name("00002.parquet")),
        "unknown objects in raw",
    ),
    "a hole between chunks": (
        lambda f: sql(f, f"""UPDATE chunks SET upper = '[1,"x"]' WHERE {FIRST}"""),
        "chunks follow each other without a hole",
    ),
    "a run that was stopped": (
        lambda f: sql(f, "UPDATE runs SET state = 'stopped' WHERE source = 'legacy' AND ordinal = 1"),
        "is curated",
    ),
    "a source that is gone from the configuration": (
        lambda f: (f / "tieout.toml").write_text((f / "tieout.toml").read_text().replace('"legacy"', '"other"')),
        "its source is configured",
    ),
}


@pytest.fixture
def changeable(demo_dir: Path, tmp_path: Path) -> Path:
    """A copy of the finished demo that may be changed."""
    return copied_demo(demo_dir, tmp_path / "demo")


@pytest.mark.parametrize("name", RUN_CHANGES)
def test_a_changed_run_does_not_tie(changeable: Path, name: str) -> None:
    """Whatever is changed in a run's objects or records shows, by the check that names it, and the others go on."""
    change, what = RUN_CHANGES[name]
    change(changeable)
    certificate = certificate_of(changeable, "legacy/000001")
    assert not certificate.ties
    assert what in {check.what for check in certificate.failed}
    assert len(certificate.checks) >= 15


def outbound(folder: Path, old: bytes, new: bytes) -> None:
    path = only(folder, "outbound/northbank/*/*/northbank_*_000001_1.csv")
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def outbound_rehashed(folder: Path, old: bytes, new: bytes) -> None:
    outbound(folder, old, new)
    path = only(folder, "outbound/northbank/*/*/northbank_*_000001_1.csv")
    rehash(path, "files", "sha256", f"file_id = '{path.parent.name}'")


def of_file(folder: Path, pattern: str) -> Path:
    identity = only(folder, "outbound/northbank/*/*/northbank_*_000001_1.csv").parent.name
    return only(folder, pattern.format(identity))


def matched(folder: Path) -> Path:
    """The object of the last fold: the ledger names it."""
    _, files = runs_and_files(folder)
    return folder / "store" / next(file.matched_key for file in files if file.name.endswith("000001_1.csv"))


FILE_CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit in the file": (
        lambda f: flip(only(f, "outbound/northbank/*/*/northbank_*_000001_1.csv")),
        "SHA-256",
    ),
    "an amount changed, hash adjusted": (
        lambda f: outbound_rehashed(f, b",CRDT,16.12,", b",CRDT,16.21,"),
        "sums added again",
    ),
    "a reference changed, hash adjusted": (
        lambda f: outbound_rehashed(f, b"ORD-26-000000001", b"ORD-26-999999999"),
        "payments one by one as expected",
    ),
    "a trailer changed, hash adjusted": (lambda f: outbound_rehashed(f, b"\nFT,", b"\nFT,1"), "its own count"),
    "a number changed, hash adjusted": (lambda f: outbound_rehashed(f, b",1,2026-", b",2,2026-"), "its own sequence"),
    "a file that is cut off": (lambda f: outbound(f, b"\nFT,", b"\nXX,"), "can be read"),
    "expected payments that are gone": (lambda f: of_file(f, "expected/northbank/*/{}.parquet").unlink(), "SHA-256"),
    "an expected amount changed": (
        lambda f: edited(of_file(f, "expected/northbank/*/{}.parquet"), with_amount),
        "payments",
    ),
    "expected payments out of order": (
        lambda f: edited(of_file(f, "expected/northbank/*/{}.parquet"), lambda t: t.take(list(range(len(t)))[::-1])),
        "rows out of order or of another file",
    ),
    "another manifest": (
        lambda f: of_file(f, "manifests/northbank/*/{}.json").write_text(json.dumps({"file_id": "x"})),
        "what it says differently than the ledger",
    ),
    "a manifest that is not JSON": (
        lambda f: of_file(f, "manifests/northbank/*/{}.json").write_bytes(b"\xff{"),
        "what it says differently than the ledger",
    ),
    "an index that assigns one row less": (
        lambda f: edited(only(f, "index/00000001.parquet"), without_last),
        "SHA-256",
    ),
    "an index without a row, hash adjusted": (
        lambda f: (
            edited(only(f, "index/00000001.parquet"), lambda t: t.filter(pc.is_null(t["file_id"]))),
            rehash(only(f, "index/00000001.parquet"), "assemblies", "index_sha256", "ordinal = 1"),
        ),
        "rows assigned in the index",
    ),
    "a matched row turned mismatched": (
        lambda f: edited(matched(f), lambda t: t.set_column(7, t.schema.field(7), pa.array(["mismatched"] * len(t)))),
        "matched",
    ),
    "outcomes that are gone": (lambda f: matched(f).unlink(), "payments = matched + mismatched + awaiting"),
    "a result file changed": (
        lambda f: flip(only(f, "results/northbank/*/*/northbank_*_000001_1.csv.result.1")),
        "SHA-256",
    ),
    "a receipt of other bytes": (
        lambda f: sql(f, f"UPDATE receipts SET size = 1 WHERE file_id = '{of_file(f, 'outbound/*/*/{}').name}'"),
        "size of its receipt",
    ),
    "a recorded total changed": (
        lambda f: sql(
            f,
            "UPDATE files SET total = replace(total, '\"count\":', '\"count\":1') "
            f"WHERE file_id = '{of_file(f, 'outbound/*/*/{}').name}'",
        ),
        "payments counted again",
    ),
}


@pytest.mark.parametrize("name", FILE_CHANGES)
def test_a_changed_file_does_not_tie(changeable: Path, name: str) -> None:
    """Whatever is changed in a file's objects or records shows, by the check that names it, and the others go on."""
    change, what = FILE_CHANGES[name]
    change(changeable)
    _, files = runs_and_files(changeable)
    file = next(each for each in files if each.name.endswith("_000001_1.csv"))
    certificate = certificate_of(changeable, file.name)
    assert not certificate.ties
    assert what in {check.what for check in certificate.failed}
    assert len(certificate.checks) >= 20


def test_one_changed_file_leaves_the_others_proved(changeable: Path) -> None:
    """A change in one file shows in the certificate of its day, and in no other file's certificate."""
    outbound(changeable, b",CRDT,", b",DBIT,")
    runs, files = runs_and_files(changeable)
    verdicts = {file.name: certificate_of(changeable, file.name).ties for file in files}
    assert [name for name, ties in verdicts.items() if not ties] == ["northbank_20260302_000001_1.csv"]
    assert not certificate_of(changeable, runs[0].business_date.isoformat()).ties


def test_errors_of_a_certificate_hold_no_personal_data(changeable: Path) -> None:
    """What a failing certificate says of changed bytes holds no account and no name."""
    outbound(changeable, b",CRDT,16.12,", b",CRDT,1x.12,")
    flip(only(changeable, RUN_1))
    with sqlite3.connect(changeable / "legacy.db") as connection:
        accounts = [row[0] for row in connection.execute("SELECT DEBTOR_ACCT FROM PAYMENT_JOURNAL") if row[0]]
    connection.close()
    text = "".join(json.dumps(certificate_of(changeable, name).to_json()) for name in _names(changeable))
    assert not [account for account in accounts if len(account) > 10 and account in text]


def _names(folder: Path) -> list[str]:
    runs, files = runs_and_files(folder)
    return [f"{run.source}/{run.ordinal}" for run in runs] + [file.name for file in files]


def test_a_sum_of_zero_equals_an_absent_one() -> None:
    """Two totals of which one spells out a zero are the same check value."""
    from payments.books import Total

    certificate = Certificate("x")
    zero: dict[str, Any] = {"EUR/CRDT": 0}
    certificate.same("x", "y", Total(1, zero), Total(1, {}))
    assert certificate.ties
