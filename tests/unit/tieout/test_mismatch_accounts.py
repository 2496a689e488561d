"""`tieout mismatch ID show` tells two accounts apart without showing either."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from payments.keys import expected_key, reported_key
from payments.masking import masked_account
from payments.records import Mismatch
from runtime.wiring import World
from tests.servers.finished_demo import copied_demo
from tieout.__main__ import main

THEIRS = "NL91ABNA0417164300"


@pytest.fixture
def world(demo_dir: Path, tmp_path: Path) -> Iterator[World]:
    world = World.open(str(copied_demo(demo_dir, tmp_path / "demo") / "tieout.toml"))
    yield world
    world.ledger.engine.dispose()


def spoilt(world: World, *, whose: str | None = THEIRS) -> tuple[Mismatch, str]:
    """A mismatch of which the result names another account, as the stored objects have it; and our account."""
    with world.ledger.begin() as tx:
        found = tx.mismatches.find(kind="status_rejected", acquirer="northbank")[0]
        tx.mismatches.change(found, detail={**found.detail, "differing": ["status_rejected", "account_differs"]})
        file, result = tx.files.get(found.file_id), tx.results.get(found.acquirer, found.result_sha256)
    assert file is not None
    assert result is not None
    store = world.settings.base / "store"
    path = store / reported_key(result.acquirer, result.business_date, result.sha256)
    table = pq.read_table(path)
    at = table.schema.get_field_index("creditor_account")
    references = table["end_to_end_id"].to_pylist()
    accounts = [whose if each == found.reference else None for each in references]
    path.chmod(0o600)
    pq.write_table(table.set_column(at, table.schema.field(at), pa.array(accounts, pa.string())), path)
    ours = pq.read_table(store / expected_key(file.acquirer, file.business_date, file.file_id)).to_pylist()
    return found, next(row["creditor_account"] for row in ours if row["payment_id"] == found.payment_id)


def show(world: World, capsys: pytest.CaptureFixture[str], identity: str) -> tuple[str, dict[str, Any]]:
    main(["mismatch", identity, "--config", world.settings.path])
    screen = capsys.readouterr().out
    main(["mismatch", identity, "--json", "--config", world.settings.path])
    return screen, json.loads(capsys.readouterr().out)


def test_both_accounts_are_told_by_their_ends(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The last four characters and the length of each side, on the screen and in the JSON; never a whole account."""
    found, ours = spoilt(world)
    screen, shown = show(world, capsys, found.id)
    assert (shown["expected_account"], shown["reported_account"]) == (masked_account(ours), "…4300 (18 characters)")
    assert f"expected_account {masked_account(ours)}" in screen
    assert ours not in screen + json.dumps(shown)
    assert THEIRS not in screen + json.dumps(shown)


def test_other_mismatches_show_no_account(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the accounts agree there is nothing to compare, and nothing is read."""
    with world.ledger.look() as tx:
        found = tx.mismatches.find(kind="status_rejected", acquirer="northbank")[0]
    assert "expected_account" not in show(world, capsys, found.id)[1]


def test_an_object_that_cannot_be_read_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The mismatch is shown all the same."""
    found, _ = spoilt(world)
    for path in (world.settings.base / "store" / "expected").rglob("*.parquet"):
        path.unlink()
    shown = show(world, capsys, found.id)[1]
    assert shown["expected_account"].startswith("not readable")
    assert shown["reported_account"] == "…4300 (18 characters)"


@pytest.mark.parametrize(
    ("account", "shown"),
    [("12345678", "…5678 (8 characters)"), ("1234567", "… (7 characters)"), ("", "… (0 characters)")],
)
def test_short_accounts_are_told_by_their_length_alone(account: str, shown: str) -> None:
    """Four of seven characters would be most of it."""
    assert masked_account(account) == shown
