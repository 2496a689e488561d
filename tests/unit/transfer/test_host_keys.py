"""Staged host keys: who may do what, which keys are accepted when, and what is kept of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from payments.acting import Actor
from payments.books import Total
from payments.config import Sftp
from payments.config_drops import DirectoryDrop
from payments.errors import NotAllowed
from payments.records import OutboundFile, Receipt
from runtime.ledger.audit import audit_records
from tests.servers.sftp_account import private_key, public_line
from tests.unit.transfer.assemble_world import START, TODAY, acquirer
from tests.unit.transfer.key_world import ANNA, BEN, KeyWorld
from transfer import host_key_acts as acts
from transfer.host_keys import ending


@pytest.fixture
def world(tmp_path: Path) -> KeyWorld:
    return KeyWorld(tmp_path)


@pytest.fixture(scope="module")
def new() -> str:
    return public_line(private_key())


def lines(world: KeyWorld) -> int:
    return len(world.accepted()())


def test_the_person_who_staged_a_key_cannot_approve_it(world: KeyWorld, new: str) -> None:
    """The same person twice is refused, and the key stays proposed."""
    name = world.stage(new).fingerprint
    with pytest.raises(NotAllowed, match="a different person must agree"):
        acts.approve(world.ports, name, ANNA)
    assert [each.state for each in world.known()] == ["pinned", "proposed"]


@pytest.mark.parametrize("step", ["stage", "approve"])
def test_nobody_unverified_opens_a_door(world: KeyWorld, new: str, step: str) -> None:
    """An actor whom nobody vouches for neither stages nor approves, and leaves nothing behind."""
    ghost = Actor("ghost", verified=False)
    if step == "stage":
        with pytest.raises(NotAllowed, match="unverified"):
            world.stage(new, actor=ghost)
        assert [each.state for each in world.known()] == ["pinned"]
    else:
        name = world.stage(new).fingerprint
        with pytest.raises(NotAllowed, match="unverified"):
            acts.approve(world.ports, name, ghost)


def test_a_key_staged_anew_needs_a_new_approval(world: KeyWorld, new: str) -> None:
    """After a withdrawal the old approval counts for nothing: the new window is proposed, and its proposer cannot agree."""
    name = world.approved(new).fingerprint
    acts.withdraw(world.ports, name, ANNA)
    world.stage(new, begins=5, ends=6, actor=BEN)
    world.go_to(5)
    assert lines(world) == 1
    with pytest.raises(NotAllowed, match="a different person"):
        acts.approve(world.ports, name, BEN)
    acts.approve(world.ports, name, ANNA)
    assert lines(world) == 2
    assert [(each.state, each.approved_by) for each in world.known()] == [("pinned", ""), ("approved", "anna")]


def test_a_live_key_is_not_staged_over(world: KeyWorld, new: str) -> None:
    """Nobody changes the window of a key that another person may be about to approve, or approved."""
    world.stage(new)
    with pytest.raises(NotAllowed, match="is proposed already"):
        world.stage(new, ends=9, actor=BEN)
    acts.approve(world.ports, world.known()[1].fingerprint, BEN)
    with pytest.raises(NotAllowed, match="is approved already"):
        world.stage(new, ends=9)


def test_a_key_whose_window_is_over_may_be_staged_again_but_not_approved(world: KeyWorld, new: str) -> None:
    """A proposal that nobody approved in time is dead; the same key may come back with a new window."""
    name = world.stage(new).fingerprint
    world.go_to(2)
    with pytest.raises(NotAllowed, match="its window is over"):
        acts.approve(world.ports, name, BEN)
    world.stage(new, begins=3, ends=4)
    assert acts.approve(world.ports, name, BEN).valid_from == world.at(3)


@pytest.mark.parametrize(
    ("begins", "ends", "says"), [(2, 2, "end after it begins"), (-3, 0, "accepts nothing"), (0, 401, "400 days")]
)
def test_a_window_is_a_window(world: KeyWorld, new: str, begins: float, ends: float, says: str) -> None:
    """It ends after it begins, has not ended yet, and is no way around the configuration."""
    with pytest.raises(NotAllowed, match=says):
        world.stage(new, begins, ends)


@pytest.mark.parametrize(
    "line", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-dss AAAAB3NzaC1kc3M=", "BEGIN PRIVATE KEY"]
)
def test_what_is_no_public_key_is_refused_without_quoting_it(world: KeyWorld, line: str) -> None:
    """Somebody may paste a private key by mistake: it is not repeated."""
    with pytest.raises(NotAllowed, match="no public key of a kind we know") as caught:
        world.stage(line)
    assert "PRIVATE" not in str(caught.value)


def test_configured_keys_are_changed_in_the_configuration_only(world: KeyWorld) -> None:
    """A pinned key is neither staged nor withdrawn; a fingerprint nobody staged is named."""
    with pytest.raises(NotAllowed, match="pinned in the configuration already"):
        world.stage(world.pinned)
    with pytest.raises(NotAllowed, match="pinned in the configuration") as caught:
        acts.withdraw(world.ports, world.known()[0].fingerprint, ANNA)
    assert "host_keys" in caught.value.next_step
    with pytest.raises(NotAllowed, match="no host key 'SHA256:none'"):
        acts.approve(world.ports, "SHA256:none", ANNA)


def test_there_is_a_limit_to_what_is_staged(world: KeyWorld) -> None:
    """At most eight staged keys at a time; a withdrawn one makes room."""
    for _ in range(acts.STAGED_MAX):
        last = world.stage(public_line(private_key()))
    with pytest.raises(NotAllowed, match="8 host keys are staged already"):
        world.stage(public_line(private_key()))
    acts.withdraw(world.ports, last.fingerprint, ANNA)
    world.stage(public_line(private_key()))


def test_every_key_is_shown_with_what_it_opens(world: KeyWorld, new: str) -> None:
    """The listing says of each key whether it is accepted now, not yet, no longer or not at all, and who agreed to it."""
    world.approved(new, begins=1, ends=2)
    proposed = world.stage(public_line(private_key("ecdsa")), begins=0, ends=5).fingerprint
    shown = {}
    for days in (0, 1, 2):
        world.go_to(days)
        shown[days] = {each.fingerprint: each.accepted for each in world.known()}
    pinned = world.known()[0].fingerprint
    staged = next(each for each in world.known() if each.state == "approved")
    assert [shown[days][staged.fingerprint] for days in (0, 1, 2)] == ["not yet", "now", "no longer"]
    assert {shown[days][pinned] for days in (0, 1, 2)} == {"now"}
    assert {shown[days][proposed] for days in (0, 1, 2)} == {"no"}
    assert (staged.staged_by, staged.approved_by, staged.algorithm, staged.origin) == (
        "anna",
        "ben",
        "ssh-ed25519",
        "ledger",
    )


def test_every_act_is_audited_and_its_reason_stays_out_of_the_chain(world: KeyWorld, new: str) -> None:
    """Staged, approved and withdrawn are in the chain of the acquirer's day with fingerprint and window; the reason is not."""
    name = acts.stage(world.ports, new, None, world.at(1), ANNA, "the bank called Maria").fingerprint
    acts.approve(world.ports, name, BEN, "seen the letter")
    acts.withdraw(world.ports, name, ANNA)
    with world.engine.connect() as connection:
        found = list(audit_records(connection, "day:north:2026-03-02"))
    assert [(each.act, each.actor) for each in found] == [
        ("host_key_staged", "anna"),
        ("host_key_approved", "ben"),
        ("host_key_withdrawn", "anna"),
    ]
    assert all(name in each.body and "valid_until" in each.body for each in found)
    assert not any("Maria" in each.body or "letter" in each.body for each in found)
    with world.ledger.look() as tx:
        kept = tx.decisions.find(subject=f"host_key:north:{name}", order="decided_at")
    assert {each.detail["why"] for each in kept} == {"the bank called Maria", "seen the letter", ""}


def deliver_with(world: KeyWorld, key: str) -> None:
    """A file in the ledger whose receipt names this key."""
    file = OutboundFile(
        file_id="f",
        acquirer="north",
        business_date=TODAY,
        window="w",
        split=0,
        generation=0,
        sequence=1,
        name="north_1.csv",
        format="delimited",
        state="delivered",
        assembly=1,
        created_at=START,
        config_hash="c",
        total=Total(),
    )
    with world.ledger.begin() as tx:
        tx.files.add(file)
        tx.receipts.add(Receipt("f", 1, "inbox/north_1.csv", 1, "s", "size", key, world.clock.now()))


@pytest.mark.parametrize(
    ("days", "says"), [(1, ""), (12.5, ""), (13, "ends on 2026-03-22"), (21, "ended on 2026-03-22")]
)
def test_a_staged_key_in_use_that_ends_is_an_alarm(world: KeyWorld, new: str, days: float, says: str) -> None:
    """From seven days before its end on people are told, until the key is pinned or staged anew."""
    name = world.approved(new, begins=0, ends=20).fingerprint
    deliver_with(world, name)
    world.go_to(days)
    with world.ledger.look() as tx:
        said = ending(tx, world.ports.acquirer, world.clock.now())
    assert says in said if says else said == ""


def test_a_key_that_is_pinned_by_now_or_not_in_use_is_no_alarm(world: KeyWorld, new: str) -> None:
    """What ends matters only when deliveries depend on it."""
    name = world.approved(new, begins=0, ends=1).fingerprint
    with world.ledger.look() as tx:
        assert ending(tx, world.ports.acquirer, world.clock.now()) == ""
    deliver_with(world, name)
    pinned = acquirer(sftp=Sftp(host="127.0.0.1", user="tieout", host_keys=[new]))
    shared = acquirer(sftp=None, directory=DirectoryDrop(path="/nowhere"))
    with world.ledger.look() as tx:
        assert "ends on" in ending(tx, world.ports.acquirer, world.clock.now())
        assert ending(tx, pinned, world.clock.now()) == ""
        assert ending(tx, shared, world.clock.now()) == ""
