"""`tieout file NAME redeliver` of chosen payments: how they are named, what is printed, exit status, and whom it wakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import runtime.actor
from payments.acting import Actor
from runtime.ledger.queue import LedgerQueue
from tests.unit.tieout.test_file_command import CONFIGURATION
from tests.unit.transfer.assemble_world import Pay
from tests.unit.transfer.redeliver_world import RedeliverWorld
from tieout.__main__ import main


@pytest.fixture
def world(tmp_path: Path) -> RedeliverWorld:
    """One file of three payments; b and c are rejected."""
    (tmp_path / "tieout.toml").write_text(CONFIGURATION)
    world = RedeliverWorld(tmp_path)
    world.run(*[Pay(key) for key in "abc"])
    world.assemble()
    (file,) = world.deliver()
    world.said(file, {"a": "ACSC", "b": "RJCT", "c": "RJCT"})
    return world


def run(world: RedeliverWorld, person: str, *arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime.actor, "operating_system_user", lambda: Actor(person, verified=True))
        config = str(world.folder / "tieout.toml")
        return main(["file", world.files()[0].name, *arguments, "--config", config])


def woken(world: RedeliverWorld) -> int:
    return LedgerQueue(world.ledger.engine).depth("assemble")[0]


def test_two_people_send_rejected_payments_again(world: RedeliverWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """The first proposes, the second completes it however they name the same payments; then assembly is woken, and show tells."""
    assert run(world, "anna", "redeliver", "--rejected", "--why", "limit raised") == 0
    said = capsys.readouterr().out
    assert "redeliver 2 payments (EUR/CRDT 2.00): proposed; it happens when a different person names the same" in said
    assert woken(world) == 0
    names = world.folder / "again.txt"
    names.write_text("REF-c\n\n  REF-b  \n")
    assert run(world, "ben", "redeliver", "--payments-from", str(names), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["done"], found["payments"]["count"], found["left_out"]) == (True, 2, {})
    assert f"list {found['list_sha256']}" in said
    assert woken(world) == 1
    world.assemble()
    assert run(world, "ben", "show") == 0
    shown = capsys.readouterr().out
    assert "SENT AGAIN" in shown
    assert found["list_sha256"] in shown
    assert run(world, "ben", "show", "--json") == 0
    (kept,) = json.loads(capsys.readouterr().out)["redeliveries"]
    assert (kept["total"], kept["returned_in"]) == ({"count": 2, "amount_minor": {"EUR/CRDT": 200}}, 2)


def test_what_is_left_out_is_said(world: RedeliverWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """Rejected payments that cannot go again are counted by reason below what goes."""
    world.said(world.files()[0], {"b": "ACSP"})
    assert run(world, "anna", "redeliver", "--rejected") == 0
    assert "left out: 1 accepted after the rejection" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("cancel", "--rejected"), "cancel is for whole files"),
        (("--payment", "REF-b"), "show is for whole files"),
        (("redeliver", "--rejected", "--payment", "REF-b"), "takes all of them"),
        (("redeliver", "--payment", "REF-a"), "1 not finally rejected"),
        (("redeliver", "--payments-from", "nowhere.txt"), "cannot be read as text"),
        (("redeliver", "--payments-from", "{empty}"), "names no payment"),
        (("redeliver", "--payments-from", "{binary}"), "cannot be read as text"),
        (("redeliver", "--payments-from", "{large}"), "is larger than 16 MiB"),
        (("redeliver", "--payments-from", "{many}"), "more than one act may name"),
    ],
)
def test_wrong_use_exits_2(
    world: RedeliverWorld, arguments: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be done is said with the next step, and nothing is recorded."""
    files = {"empty": b" \n", "binary": b"\xff\xfe", "many": b"".join(b"R%d\n" % number for number in range(50_001))}
    for name, data in files.items():
        (world.folder / name).write_bytes(data)
    with (world.folder / "large").open("wb") as large:
        large.truncate((16 << 20) + 1)
    paths = {name: str(world.folder / name) for name in (*files, "large")}
    assert run(world, "anna", *[each.format(**paths) for each in arguments]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "next step: " in said
    with world.ledger.begin() as tx:
        assert tx.decisions.count() == 0
