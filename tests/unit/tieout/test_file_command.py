"""`tieout file`: arguments, what it prints, exit status, and whom it wakes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import runtime.actor
from payments.acting import Actor
from payments.records import ResultBooks
from runtime.actor import operating_system_user
from runtime.ledger.queue import LedgerQueue
from tests.unit.transfer.assemble_world import HOST_KEY
from tests.unit.transfer.deliver_world import DeliverWorld
from tieout.__main__ import main

CONFIGURATION = f"""
[ledger]
url = "sqlite:ledger.db"
[[acquirer]]
name = "north"
results_list = "all"
final_status = "ACSC"
complete_when = "trailer"
sequence = "strict"
[acquirer.sftp]
host = "127.0.0.1"
user = "tieout"
key = "file:key"
host_keys = ["{HOST_KEY}"]
"""


@pytest.fixture
def world(tmp_path: Path) -> DeliverWorld:
    (tmp_path / "tieout.toml").write_text(CONFIGURATION)
    return DeliverWorld(tmp_path)


def act_as(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(runtime.actor, "operating_system_user", lambda: Actor(name, verified=True))


def run(world: DeliverWorld, *arguments: str) -> int:
    return main(["file", world.file().name, *arguments, "--config", str(world.folder / "tieout.toml")])


def woken(world: DeliverWorld) -> dict[str, int]:
    queue = LedgerQueue(world.engine)
    return {name: count for name in ("assemble", "deliver") if (count := queue.depth(name)[0])}


def test_show_tells_everything_of_one_file(world: DeliverWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """Without action, state, books, attempts and decisions are shown; with --json as one object."""
    world.deliver()
    assert run(world) == 0
    said = capsys.readouterr().out
    assert all(each in said for each in ("delivered", "rename confirmed", "SHA256:proven", "ATTEMPT", "BOOKS"))
    assert run(world, "show", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["total"]) == ("delivered", {"count": 1, "amount_minor": {"EUR/CRDT": 1}})
    assert found["receipt"]["verified_by"] == "rename confirmed, size compared"
    assert [each["state"] for each in found["attempt_list"]] == ["done"]


WAITING: dict[str, tuple[dict[str, Any], list[str]]] = {
    "in doubt": ({"state": "in_doubt", "note": "the answer was lost"}, ["not-received"]),
    "above a limit": ({"held": "limit: 9 payments"}, ["release", "cancel"]),
    "held by a person": ({"held": "held by zoe"}, ["release", "cancel"]),
    "attempts used up": ({"held": "12 attempts failed, the last: no", "attempts": 12}, ["release", "cancel"]),
    "settled elsewhere": ({"held": "settled: 1 of its payments"}, ["cancel"]),
    "spoken of": ({"held": "the acquirer speaks of this file, though", "spoken": True}, ["nothing-there"]),
    "held by a person and spoken of": ({"held": "held by zoe", "spoken": True}, ["nothing-there"]),
    "not received and spoken of": ({"state": "not_received", "spoken": True}, ["nothing-there"]),
    "not writable": ({"held": "cannot be written: too long"}, ["cancel"]),
    "cancelled": ({"state": "cancelled"}, ["redeliver"]),
    "refused": ({"state": "refused"}, ["redeliver"]),
    "not received": ({"state": "not_received"}, ["redeliver"]),
    "late": ({"state": "delivered", "overdue": True}, ["not-received"]),
    "reconciled": ({"state": "reconciled"}, []),
    "taken back already": ({"state": "refused", "returned_in": 3}, []),
}


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_for_a_person_comes_with_a_command_that_works(
    world: DeliverWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each line behind `next:` can be copied as it stands, and the state allows the act; without a need there is none."""
    changes, verbs = WAITING[name]
    known = {key: value for key, value in changes.items() if key != "spoken"}
    act_as(monkeypatch, "anna")
    file = world.file()
    with world.ledger.begin() as tx:
        if changes.get("spoken"):
            tx.result_books.add(ResultBooks(file.acquirer, "ab" * 32, file.file_id))
        tx.files.change(file, **known)
    assert run(world, "show") == 0
    lines = [each for each in capsys.readouterr().out.splitlines() if each.startswith("next: ")]
    commands = [shlex.split(each)[2:] for each in lines]
    assert [words[2] for words in commands] == verbs
    for words in commands:
        world.change(1, **{"state": "sealed", **known})  # as it was before the command in front of this one
        assert main(words) == 0, words


def test_a_proposal_says_what_the_second_person_gives(
    world: DeliverWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who proposed what, and the command by which a different person agrees to it; gone when it is done."""
    file = world.file()
    with world.ledger.begin() as tx:
        tx.files.change(file, state="refused")
    act_as(monkeypatch, "anna")
    run(world, "redeliver")
    capsys.readouterr()
    run(world, "show")
    said = capsys.readouterr().out
    assert "anna proposed redeliver; it happens when a different person says the same:" in said
    act_as(monkeypatch, "ben")
    line = next(each for each in said.splitlines() if each.startswith("next: "))
    assert main(shlex.split(line)[2:]) == 0
    capsys.readouterr()
    run(world, "show")
    assert "next: " not in capsys.readouterr().out


def test_acts_are_done_and_wake_who_goes_on(
    world: DeliverWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hold, release, cancel and redeliver work from the command line; a release wakes deliver, a redelivery assemble."""
    act_as(monkeypatch, "anna")
    assert run(world, "hold", "--why", "looks odd") == 0
    act_as(monkeypatch, "ben")
    assert run(world, "release") == 0
    assert woken(world) == {"deliver": 1}
    capsys.readouterr()
    assert run(world, "cancel", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["done"], found["action"], found["state"]) == (True, "cancel", "cancelled")
    assert run(world, "redeliver") == 0
    assert woken(world) == {"deliver": 1, "assemble": 1}
    assert run(world) == 0
    said = capsys.readouterr().out
    assert "looks odd" in said
    assert world.file().returned_in == 0


def test_a_second_person_finishes_what_the_first_proposed(
    world: DeliverWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proposal exits 0, says what is missing and wakes nobody; the same user again exits 2; another user completes it."""
    world.change(1, state="in_doubt")
    act_as(monkeypatch, "anna")
    assert run(world, "not-received") == 0
    assert "when a different person gives the same command" in capsys.readouterr().out
    assert woken(world) == {}
    assert run(world, "not-received") == 2
    assert "a different person must agree" in capsys.readouterr().err
    act_as(monkeypatch, "ben")
    assert run(world, "not-received") == 0
    assert world.states() == ["not_received"]
    assert woken(world) == {"deliver": 1}


def test_nothing_there_takes_two_people_and_wakes_reconcile(
    world: DeliverWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second person finishes it, what was said is folded again, and `show` then leads to redeliver."""
    file = world.file()
    with world.ledger.begin() as tx:
        tx.result_books.add(ResultBooks("north", "ab" * 32, file.file_id))
    for name in ("anna", "ben"):
        act_as(monkeypatch, name)
        assert run(world, "nothing-there") == 0
    assert (world.states(), LedgerQueue(world.engine).depth("reconcile")[0]) == (["not_received"], 1)
    capsys.readouterr()
    run(world, "show")
    assert f"file {world.file().name} redeliver" in capsys.readouterr().out


def test_a_refused_act_exits_2_with_the_next_step(world: DeliverWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """What a state forbids is said with the file's name and what to do instead."""
    world.change(1, state="acknowledged")
    assert run(world, "cancel") == 2
    said = capsys.readouterr().err
    assert f"{world.file().name} is acknowledged" in said
    assert "next step: The acquirer has it" in said


def test_the_actor_is_the_operating_system_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody types who they are: it is the user of the process; a number that no user has is no person."""
    import os
    import pwd

    assert operating_system_user() == Actor(pwd.getpwuid(os.getuid()).pw_name, verified=True)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_001)
    monkeypatch.setenv("USER", "somebody-else")
    assert operating_system_user() == Actor("uid-4000000001", verified=False)


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false"])
def test_a_user_that_nobody_logs_in_as_is_no_person(monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    """Whoever starts a task of the image acts as the image's user: two people would be one, so it is unverified."""
    import pwd

    service = pwd.struct_passwd(("tieout", "x", 10001, 10001, "", "/", shell))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: service)
    assert operating_system_user() == Actor("tieout", verified=False)
