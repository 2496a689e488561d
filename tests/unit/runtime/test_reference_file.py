"""The reference table of curation: where its file may lie, and that what was curated says which one it was."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from payments.config import ReferenceTable
from payments.errors import WrongConfiguration
from runtime import reference_file
from runtime.ledger.audit import audit_records
from runtime.named_file import read_named
from runtime.store_s3 import S3Store
from runtime.wiring import World
from tests.unit.local.small_world import acquirer, source
from tests.unit.local.small_world import world as small_world

TABLE = b"ccy,name\nEUR,euro\n"
OTHER = b"ccy,name\nEUR,sou\n"
SHA256 = hashlib.sha256(TABLE).hexdigest()
FORM = (
    '[curation.reference_table]\npath = "{path}"\nkey = "ccy"\nmatch = "currency"\ntake = "name"\nsha256 = "{sha256}"\n'
)
ROUTE = '[[curation.route]]\nacquirer = "northbank"\n'
PAYMENTS = 3


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with closing(sqlite3.connect(tmp_path / "legacy.db")) as database, database:
        database.execute("CREATE TABLE payment (id INTEGER PRIMARY KEY, changed TEXT, a TEXT, c TEXT, d TEXT, r TEXT)")
        rows = [(n, "2026-03-01 12:00:00", "1.00", "EUR", "CRDT", "2026-03-02") for n in range(PAYMENTS)]
        database.executemany("INSERT INTO payment VALUES (?, ?, ?, ?, ?, ?)", rows)
    (tmp_path / "ccy.csv").write_bytes(TABLE)
    opened.clear()
    yield tmp_path
    for world in opened:
        world.ledger.engine.dispose()


opened: list[World] = []


def world(folder: Path, path: str, sha256: str = "", endpoint: str = "") -> World:
    text = FORM.format(path=path, sha256=sha256)
    stores = f'[stores]\ns3_endpoint = "{endpoint}"\n' if endpoint else ""
    legacy = source().replace("\ncolumns", "\nrows_per_chunk_max = 1\ncolumns")
    opened.append(small_world(folder, legacy, acquirer(), ROUTE, text, stores))
    return opened[-1]


def curated(world: World) -> list[str]:
    """Extract and curate everything; which table each chunk says that it was curated with."""
    world.extract_source("legacy")
    for key in world.store.keys("raw/"):
        world.curate_object(key)
    with world.ledger.engine.connect() as connection:
        return [
            json.loads(each.body)["reference_sha256"]
            for each in audit_records(connection)
            if each.act == "chunk_curated"
        ]


@pytest.fixture
def bucket(moto_endpoint: str) -> str:
    """One that holds the table as reference/ccy.csv."""
    import boto3

    name, placed = f"tables-{uuid.uuid4().hex[:8]}", {"LocationConstraint": "eu-central-1"}
    boto3.client("s3", endpoint_url=moto_endpoint).create_bucket(Bucket=name, CreateBucketConfiguration=placed)
    S3Store(name, "reference", moto_endpoint).put("ccy.csv", TABLE)
    return name


def test_every_chunk_says_which_table_it_was_curated_with(folder: Path) -> None:
    """The hash of the table's bytes stands in the audit record of each chunk, as configuration and objects do."""
    assert curated(world(folder, "ccy.csv")) == [SHA256] * PAYMENTS


def test_a_table_in_s3_is_fetched_once(
    folder: Path, bucket: str, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`s3://bucket/key` is read like a file, by a process that curates many chunks once."""
    fetched: list[str] = []

    def counted(name: str, *given: Path, **named: str) -> bytes:
        fetched.append(name)
        return read_named(name, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(reference_file, "read_named", counted)
    path = f"s3://{bucket}/reference/ccy.csv"
    assert curated(world(folder, path, endpoint=moto_endpoint)) == [SHA256] * PAYMENTS
    assert fetched == [path]


def test_another_table_than_the_named_one_is_not_taken(folder: Path) -> None:
    """With `sha256` a file that was exchanged stops curation instead of changing what is paid."""
    (folder / "ccy.csv").write_bytes(OTHER)
    with pytest.raises(WrongConfiguration, match="sha256") as raised:
        curated(world(folder, "ccy.csv", SHA256))
    assert "deploy again" in raised.value.next_step


@pytest.mark.parametrize("path", ["other.csv", "s3://{bucket}/other.csv", "s3://{bucket}", "s3://", "."])
def test_a_table_that_is_not_there_is_said(folder: Path, bucket: str, moto_endpoint: str, path: str) -> None:
    """The message names the setting; the chunk comes again, and nothing is curated without the table."""
    with pytest.raises(WrongConfiguration, match=r"curation\.reference_table\.path"):
        curated(world(folder, path.format(bucket=bucket), endpoint=moto_endpoint))


def test_a_table_without_end_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is read than a table may hold."""
    monkeypatch.setattr(reference_file, "BYTES_MAX", len(TABLE) - 1)
    fetch = reference_file.fetcher(world(folder, "ccy.csv").settings)
    with pytest.raises(WrongConfiguration, match=f"larger than {len(TABLE) - 1} bytes"):
        fetch(ReferenceTable(path="ccy.csv", key="ccy", match="currency", take="name"))


@pytest.mark.parametrize("sha256", ["x", SHA256.upper(), SHA256[:-1]])
def test_a_hash_that_is_none_is_refused(folder: Path, sha256: str) -> None:
    """It would match no file at all."""
    with pytest.raises(WrongConfiguration, match=r"reference_table\.sha256"):
        world(folder, "ccy.csv", sha256)
