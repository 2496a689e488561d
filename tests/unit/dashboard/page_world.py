"""A small ledger of its own for tests of the page, and a way to ask for pages without a server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from dashboard.app import create_app
from payments.books import Total
from payments.records import Attempt, Chunk, Mismatch, OutboundFile, Receipt, ResultBooks, ResultFile, Run
from runtime.wiring import World

AT = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
DAY = date(2026, 3, 2)
SHA = "a" * 64
CONFIGURATION = """
[clock]
start = 2026-03-02T12:00:00Z

[[acquirer]]
name = "northbank"
results_list = "all"
final_status = "ACSC"
complete_when = "trailer"
sequence = "strict"

[acquirer.sftp]
host = "127.0.0.1"
user = "northbank"
key = "file:key"
host_keys = ["ssh-ed25519 AAAA"]
"""


def total(count: int, minor: int) -> Total:
    return Total(count, {"EUR/CRDT": minor}, 0, (count, minor, 0, 0))


RUN = Run("legacy", 1, DAY, "assembled", None, [1, "a"], AT, SHA, chunks=1, assembly=1, extracted=total(3, 600))
CHUNK = Chunk("legacy", 1, 1, "curated", None, [1, "a"], 3, SHA, SHA, SHA, total(3, 600))
FILE = OutboundFile(
    file_id="f" * 24,
    acquirer="northbank",
    business_date=DAY,
    window="w00000001",
    split=0,
    generation=1,
    sequence=1,
    name="northbank_20260302_000001_1.csv",
    format="delimited",
    state="acknowledged",
    assembly=1,
    created_at=AT,
    config_hash=SHA,
    total=total(3, 600),
    size=300,
    sha256=SHA,
    matched=total(2, 400),
    mismatched=total(1, 200),
    delivered_at=AT,
    results_due_at=AT,
)
MISMATCH = Mismatch(
    id="0" * 16,
    acquirer="northbank",
    business_date=DAY,
    kind="amount_differs",
    state="open",
    opened_at=AT,
    updated_at=AT,
    file_id=FILE.file_id,
    payment_id="1" * 32,
    reference="REF-1",
    result_sha256=SHA,
    expected_minor=20000,
    reported_minor=20100,
    currency="EUR",
    direction="CRDT",
    detail={"status": "ACSC", "differing": ["amount_differs"]},
)


def page_world(folder: Path) -> World:
    """An empty ledger beside a configuration with one acquirer."""
    (folder / "tieout.toml").write_text(CONFIGURATION)
    return World.open(str(folder / "tieout.toml"))


def fill(world: World, *, file: OutboundFile = FILE, mismatch: Mismatch = MISMATCH, result_name: str = "a.ack") -> None:
    """One run, one file with an attempt, a receipt and a result file, and one mismatch."""
    with world.ledger.begin() as tx:
        tx.runs.add(replace(RUN, curated=RUN.extracted))
        tx.chunks.add(replace(CHUNK, curated=CHUNK.extracted))
        tx.files.add(file)
        tx.attempts.add(Attempt(file.file_id, 1, "done", ".x.part", "worker", AT, AT))
        tx.receipts.add(Receipt(file.file_id, 1, f"inbox/{file.name}", 300, SHA, "size compared", "SHA256:key", AT))
        tx.results.add(ResultFile("northbank", SHA, result_name, "results/x", DAY, 10, AT, "read", reconciled=True))
        tx.result_books.add(ResultBooks("northbank", SHA, file.file_id))
        tx.mismatches.add(mismatch)
        tx.audit.append(f"file:{file.file_id}", "sealed", {"sha256": SHA, "size": 300})


def get(app: Starlette, path: str, *, method: str = "GET", host: str = "127.0.0.1", **options: Any) -> httpx.Response:
    """One request to the application itself; an exception that it does not handle is answered, as a server would."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, **options)

    return asyncio.run(ask())


def application(world: World) -> Starlette:
    return create_app(world)
