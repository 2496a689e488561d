"""Following payments of a finished demo through all stores, whatever became of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from payments.records import OutboundFile
from reconciliation.source_key import source_key
from reconciliation.trace import TracePorts, trace_payment
from runtime.wiring import World
from tests.servers.finished_demo import copied_demo
from tests.unit.local.small_world import acquirer, configuration, source


def trace(folder: Path, wanted: str) -> dict[str, Any]:
    world = World.open(str(folder / "tieout.toml"))
    found = trace_payment(TracePorts(world.ledger, world.store, world.configuration), wanted)
    world.ledger.engine.dispose()
    return found


def stored(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    for path in sorted((folder / "store").glob(pattern)):
        yield from pq.read_table(path).to_pylist()


def first(folder: Path, pattern: str, **where: Any) -> dict[str, Any]:
    return next(row for row in stored(folder, pattern) if all(row[name] == value for name, value in where.items()))


@pytest.mark.parametrize("acquirer", ["northbank", "giro"])
def test_a_delivered_payment_is_followed_to_its_match(demo_dir: Path, acquirer: str) -> None:
    """From its place in raw over its assignment, line, attempt, receipt and events to its match, by reference or identity."""
    row = first(demo_dir, f"matched/{acquirer}/*/*/*.parquet", outcome="matched")
    found = trace(demo_dir, row["end_to_end_id"])
    assert found == {**trace(demo_dir, row["payment_id"]), "looked_in": found["looked_in"]}
    assert found["problems"] == found["strays"] == found["mismatches"] == []
    (payment,) = found["payments"]
    assert payment["payment_id"] == row["payment_id"]
    assert payment["references"] == [row["end_to_end_id"]]
    (place,) = payment["rows"]
    assert (place["in_raw"], place["state"]) == ("yes", "curated")
    raw = pq.read_table(demo_dir / "store" / place["raw"]).slice(place["row"], 1).to_pylist()[0]
    assert raw["ORDER_REF"] == row["end_to_end_id"]
    (file,) = payment["files"]
    assert [fate["outcome"] for fate in place["outcomes"]] == ["assigned"]
    assert place["outcomes"][0]["file_id"] == file["file_id"]
    assert file["line"] == row["line"]
    assert (demo_dir / "store" / file["object"]).exists()
    assert [attempt["state"] for attempt in file["attempts"]] == ["done"]
    assert file["receipt"]["file_id"] == file["file_id"]
    assert file["match"]["outcome"] == "matched"
    assert file["match"]["events"] == len(file["events"])
    for event in file["events"]:
        assert event["result"].startswith(file["file"].partition(".")[0])


def test_a_mismatched_payment_shows_its_mismatch(demo_dir: Path) -> None:
    """A payment on which the acquirer disagrees is shown with the mismatch and the events behind it."""
    world = World.open(str(demo_dir / "tieout.toml"))
    with world.ledger.look() as tx:
        mismatch = tx.mismatches.find(kind="status_rejected")[0]
    found = trace(demo_dir, mismatch.reference)
    assert [each["id"] for each in found["mismatches"]] == [mismatch.id]
    (file,) = found["payments"][0]["files"]
    assert (file["match"]["outcome"], file["match"]["how"]) == ("mismatched", "status_rejected")
    assert file["events"][-1]["status"] == "RJCT"
    assert file["events"][-1]["result_sha256"] == mismatch.result_sha256


def test_a_quarantined_row_shows_its_reasons(demo_dir: Path) -> None:
    """A refused row is found with its reasons, masked values only, and where in raw it lies."""
    row = first(demo_dir, "quarantine/*/*/*/*.parquet")
    (payment,) = trace(demo_dir, row["payment_id"])["payments"]
    place = next(each for each in payment["rows"] if each["state"] == "quarantined")
    assert place["reasons"] == row["reasons"]
    assert place["row"] == row["row"]
    assert place["in_raw"] == "yes"
    assert place["source_key"] == {"PAY_NO": row["source_pk"]}
    assert "values" not in place


KEYS = {
    "a number": (["id"], "4711", {"id": "4711"}),
    "two columns": (["branch", "id"], "07\x1fA-9", {"branch": "07", "id": "A-9"}),
    "an escaped value": (["branch", "id"], "0\x1e17\x1f\x1e2", {"branch": None, "id": None}),
    "an account of ours": (["iban", "id"], "ANY\x1f1", {"iban": None, "id": "1"}),
    "what looks like an account": (["id"], "DE89370400440532013000", {"id": None}),
    "free text": (["id"], "Erika Mustermann", {"id": None}),
    "a key of another shape than is configured now": (["id"], "1\x1f2", {}),
}


@pytest.mark.parametrize("name", KEYS)
def test_the_key_of_a_refused_row_is_shown_unless_it_is_personal(name: str) -> None:
    """Somebody at the source can find the row by it; what may be an account or a name is never shown (I7)."""
    columns, text, shown = KEYS[name]
    part = source().replace('primary_key = ["id"]', f"primary_key = {json.dumps(columns)}")
    part = part.replace('amount = "a"', 'amount = "a", creditor_account = "iban"')
    [section] = configuration(part, acquirer()).source
    assert source_key(section, text) == shown
    assert source_key(None, text) == {}


@pytest.mark.parametrize("outcome", ["superseded", "unchanged", "unassigned"])
def test_rows_that_were_not_sent_say_why(demo_dir: Path, outcome: str) -> None:
    """A superseded, unchanged or unassigned row shows this outcome beside what became of the payment's other rows."""
    last = max((demo_dir / "store" / "pool").iterdir()).name
    row = first(demo_dir, f"pool/{last}" if outcome == "unassigned" else "index/*.parquet", outcome=outcome)
    (payment,) = trace(demo_dir, row["payment_id"])["payments"]
    outcomes = [fate["outcome"] for place in payment["rows"] for fate in place["outcomes"]]
    assert outcome in outcomes
    rows = {
        (r["run"], r["chunk"], r["row"])
        for r in stored(demo_dir, "index/*.parquet")
        if r["payment_id"] == row["payment_id"]
    }
    pool = {
        (r["run"], r["chunk"], r["row"])
        for r in stored(demo_dir, "pool/*.parquet")
        if r["payment_id"] == row["payment_id"]
    }
    assert len(payment["rows"]) == len(rows | pool)


def test_what_is_unknown_says_where_was_looked(demo_dir: Path) -> None:
    """A reference that nothing bears gives nothing, and names the stores that were searched."""
    found = trace(demo_dir, "NOTHING")
    assert found["payments"] == found["mismatches"] == found["strays"] == []
    assert {"index", "pool", "quarantine", "reported"} <= set(found["looked_in"])


def test_an_event_of_an_unknown_reference_is_found(demo_dir: Path, tmp_path: Path) -> None:
    """What the acquirer reports under a reference that we never sent is found in its result file."""
    demo = copied_demo(demo_dir, tmp_path / "demo")
    path = next(
        each
        for each in sorted((demo / "store" / "reported").glob("northbank/*/*.parquet"))
        if len(pq.read_table(each)) > 50
    )
    table = pq.read_table(path)
    references = [text and text.replace("ORD", "ALIEN") for text in table["end_to_end_id"].to_pylist()]
    path.chmod(0o600)
    pq.write_table(table.set_column(6, table.schema.field(6), [references]), path)
    wanted = next(text for text in references if text)
    (event,) = trace(demo, wanted)["strays"]
    assert event["result_sha256"] == path.stem
    assert "line" in event


def test_a_missing_object_is_a_problem_and_no_end(demo_dir: Path, tmp_path: Path) -> None:
    """Objects that are gone or damaged are named; everything else is still followed."""
    demo = copied_demo(demo_dir, tmp_path / "demo")
    row = first(demo, "matched/northbank/*/*/*.parquet", outcome="matched")
    for path in sorted((demo / "store" / "expected").glob("*/*/*.parquet")):
        path.unlink()
    raw = min((demo / "store" / "raw").glob("*/*/*/*.parquet"))
    raw.write_bytes(b"nothing")
    found = trace(demo, row["payment_id"])
    assert len(found["problems"]) == 2
    assert found["payments"][0]["rows"][0]["in_raw"] == "not readable"
    assert found["payments"][0]["files"][0]["match"]["outcome"] == "matched"


def test_a_row_that_is_extracted_and_not_yet_curated_is_found(demo_dir: Path, tmp_path: Path) -> None:
    """Before curation a payment is found in raw, by its identity and by the source's own reference column."""
    demo = copied_demo(demo_dir, tmp_path / "demo")
    row = first(demo, "index/00000003.parquet", run=3)
    for folder in ("index", "pool"):
        (demo / "store" / folder / "00000003.parquet").unlink()
    with sqlite3.connect(demo / "ledger.db") as connection:
        connection.execute("DELETE FROM assemblies WHERE ordinal = 3")
        connection.execute("UPDATE runs SET state = 'closed', assembly = NULL WHERE ordinal = 3")
        connection.execute("UPDATE chunks SET state = 'stored' WHERE run = 3")
    connection.close()
    for wanted in (row["payment_id"], row["end_to_end_id"]):
        places = [place for payment in trace(demo, wanted)["payments"] for place in payment["rows"]]
        assert [place["state"] for place in places if place["run"] == "legacy/000003"] == ["raw"]


def test_nothing_personal_is_ever_traced(demo_dir: Path) -> None:
    """No account and no name of the source is in any trace, of whatever payment."""
    with sqlite3.connect(demo_dir / "legacy.db") as connection:
        columns = "DEBTOR_NM, DEBTOR_ACCT, PAYEE_NM, PAYEE_ACCT"
        rows = connection.execute(f"SELECT {columns} FROM PAYMENT_JOURNAL").fetchall()
        references = [row[0] for row in connection.execute("SELECT ORDER_REF FROM PAYMENT_JOURNAL")][::10]
    connection.close()
    personal = {value for row in rows for value in row if value and len(value) > 8}
    quarantined = {row["payment_id"] for row in stored(demo_dir, "quarantine/*/*/*/*.parquet")}
    for wanted in [*references, *sorted(quarantined)]:
        text = json.dumps(trace(demo_dir, wanted), default=str, ensure_ascii=False)
        assert not [value for value in personal if value in text], wanted


def test_file_states_are_as_the_ledger_has_them(demo_dir: Path) -> None:
    """The state of a traced payment's file is the one that the ledger holds."""
    world = World.open(str(demo_dir / "tieout.toml"))
    with world.ledger.look() as tx:
        files: dict[str, OutboundFile] = {file.file_id: file for file in tx.files.find()}
    row = first(demo_dir, "index/00000001.parquet", outcome="assigned")
    (found,) = trace(demo_dir, row["payment_id"])["payments"][0]["files"]
    assert found["state"] == files[row["file_id"]].state
