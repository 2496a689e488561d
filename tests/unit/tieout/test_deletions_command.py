"""tieout deletions: what is gone, the act that settles it, and what status says meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import runtime.actor
from payments.acting import Actor
from payments.keys import file_chain
from payments.records import OutboundFile
from runtime.ledger.audit import audit_records
from tests.contract.ledger_world import NOON, sample
from tests.servers.deletion_notices import BY_HAND, EXPIRED_AT, VERSION, tell_deletion
from tests.unit.tieout.test_file_command import CONFIGURATION
from tests.unit.transfer.deliver_world import DeliverWorld
from tieout.__main__ import main

KEY = f"outbound/northbank/{NOON.date()}/f9/a.csv"
LOST = f"object {KEY} was deleted, not by a lifecycle rule, on 2027-06-01 00:20:11 UTC"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliverWorld:
    (tmp_path / "tieout.toml").write_text(CONFIGURATION)
    made = DeliverWorld(tmp_path)
    with made.ledger.begin() as tx:
        tx.files.add(sample(OutboundFile, file_id="f9", acquirer="northbank", state="reconciled", held="", note=""))
    monkeypatch.setattr(runtime.actor, "operating_system_user", lambda: Actor("anna", verified=True))
    return made


def run(world: DeliverWorld, *arguments: str) -> int:
    return main([*arguments, "--config", str(world.folder / "tieout.toml")])


def test_nothing_is_gone(world: DeliverWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """What expired as declared is counted, and is nothing to look at."""
    assert run(world, "deletions") == 0
    assert capsys.readouterr().out == "nothing is gone that was needed\n"
    tell_deletion(world.ledger, KEY)
    assert run(world, "deletions") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "expired as declared: outbound 1"
    assert run(world, "deletions", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"gone": [], "expired": {"outbound": 1}}


def test_what_is_gone_is_settled_by_a_person(world: DeliverWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """It needs a reason, is audited without it, ends the alarm, and is not done twice; the ledger keeps what happened."""
    tell_deletion(world.ledger, KEY, reason=BY_HAND)
    assert run(world, "deletions") == 1
    assert KEY in capsys.readouterr().out
    assert run(world, "deletions", "--json") == 1
    [gone] = json.loads(capsys.readouterr().out)["gone"]
    assert gone == {
        "key": KEY,
        "cause": "request",
        "deleted_at": EXPIRED_AT.isoformat(),
        "chain": file_chain("f9"),
    }
    assert run(world, "status") == 1
    assert f"GONE: {LOST}" in capsys.readouterr().out
    assert run(world, "deletions", "settle", KEY) == 2
    assert "--why TEXT" in capsys.readouterr().err
    assert run(world, "deletions", "settle", KEY, "--why", "a test of ours") == 0
    capsys.readouterr()
    assert run(world, "deletions", "settle", KEY, "--why", "once more") == 2
    assert "nothing is open" in capsys.readouterr().err
    run(world, "status", "--json")
    assert json.loads(capsys.readouterr().out)["gone"] == []
    with world.ledger.look() as tx:
        [decision] = tx.decisions.find(subject=f"object:{KEY}")
        assert (decision.actor, decision.act, decision.detail["why"]) == ("anna", "settle_deletion", "a test of ours")
        acts = [(each.actor, each.act, each.body) for each in audit_records(tx.connection, file_chain("f9"))]
    assert [act for _, act, _ in acts] == ["object_deleted", "deletion_settled"]
    assert acts[1][0] == "anna"
    assert "a test of ours" not in acts[1][2]


def test_what_is_deleted_again_is_an_alarm_again(world: DeliverWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """The old version of what was settled is gone for good now: somebody must look once more."""
    tell_deletion(world.ledger, KEY, reason=BY_HAND)
    assert run(world, "deletions", "settle", KEY, "--why", "it lies under its marker") == 0
    tell_deletion(world.ledger, KEY, reason=BY_HAND, kind=VERSION, version="v1")
    assert run(world, "deletions") == 1
    assert run(world, "deletions", "settle", KEY, "--why", "erased on request") == 0
    capsys.readouterr()


def test_an_unknown_object_cannot_be_settled(world: DeliverWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is open about it."""
    assert run(world, "deletions", "settle", "raw/x", "--why", "x") == 2
    assert "nothing is open about object 'raw/x'" in capsys.readouterr().err
