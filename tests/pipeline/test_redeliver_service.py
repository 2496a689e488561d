"""Rejected payments go again through the whole service: two people ask on the command line, the acquirer takes them now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import runtime.actor
from payments.acting import Actor
from runtime.wiring import World
from tests import service_runner as runner
from tests.servers.process import free_port
from tieout.__main__ import main

TO_NOON = {"end = 2026-03-04T01:00:00Z": "end = 2026-03-02T12:00:00Z"}
TO_THE_END = {"end = 2026-03-02T12:00:00Z": "end = 2026-03-02T17:00:00Z"}


def shares(directory: Path, wanted: dict[str, float]) -> None:
    """From now on northbank does this and nothing else wrong."""
    settings = directory / "acquirer" / "acquirer.json"
    told = json.loads(settings.read_text())
    for partner in told["partners"]:
        partner["shares"] = wanted
    settings.write_text(json.dumps(told))


def tieout(directory: Path, *words: str) -> int:
    return main([*words, "--config", str(directory / "tieout.toml")])


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_rejected_payments_go_again_and_are_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was rejected leaves in a new file, matches there, and status, trace and certificate tell both assignments."""
    demo = runner.prepared(tmp_path / "demo", payments=60)
    directory = runner.copied(demo, tmp_path / "run", free_port(), {**runner.FEW_POLLS, **TO_NOON})
    shares(directory, {"rejected": 0.05})
    runner.run_to_end(directory)
    world = World.open(str(directory / "tieout.toml"))
    with world.ledger.look() as tx:
        rejected = tx.mismatches.find(kind="status_rejected")
        files = sorted({each.file_id for each in rejected})
    assert rejected
    for name in files:
        for person in ("anna", "ben"):
            monkeypatch.setattr(runtime.actor, "operating_system_user", lambda who=person: Actor(who, verified=True))
            assert tieout(directory, "file", name, "redeliver", "--rejected", "--json") == 0
            told = said(capsys)
            assert (told["done"], told["left_out"]) == (person == "ben", {})
    runner.edit(directory, TO_THE_END)
    shares(directory, {})
    runner.run_to_end(directory)
    assert tieout(directory, "status", "--json") in {0, 1}
    books = said(capsys)
    assert (books["ties"], books["mismatches_by_kind"]["status_rejected"]) == (True, 0)
    with world.ledger.look() as tx:
        again = [file for file in tx.files.find() if file.replaces]
        closed = tx.mismatches.find(id=tuple(each.id for each in rejected))
    assert {file.replaces for file in again} == set(files)
    assert sum(file.matched.count for file in again) == len(rejected)
    assert {each.detail["redelivered_in"] for each in closed} == {file.name for file in again}
    assert {each.state for each in closed} == {"closed_by_late_result"}
    assert tieout(directory, "trace", rejected[0].reference, "--json") == 0
    (payment,) = said(capsys)["payments"]
    assert [file["match"]["outcome"] for file in payment["files"]] == ["mismatched", "matched"]
    for name in (*files, again[0].file_id, again[0].business_date.isoformat()):
        assert tieout(directory, "prove", name) == 0
    assert runner.audit_faults(directory) == []
    assert runner.placed(directory) == runner.sealed(directory)
