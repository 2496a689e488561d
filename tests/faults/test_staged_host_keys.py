"""A staged host key opens the door only in its window, on a real server that really holds it (T14)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from payments.errors import HostKeyRefused
from tests.servers.asyncssh_server import AsyncsshAccount, asyncssh_server
from tests.servers.sftp_account import private_key, public_line, settings
from tests.unit.transfer.key_world import BEN, KeyWorld
from transfer import host_key_acts as acts
from transfer.sftp import connect


@pytest.fixture
def account(tmp_path: Path) -> Iterator[AsyncsshAccount]:
    with asyncssh_server(tmp_path / "server", password="correct") as running:
        yield running


@pytest.fixture
def world(account: AsyncsshAccount, tmp_path: Path) -> KeyWorld:
    """The configuration pins the key of yesterday; the server holds another one."""
    return KeyWorld(tmp_path, settings(account, host_keys=[public_line(private_key())]))


def enters(world: KeyWorld, account: AsyncsshAccount) -> bool:
    """Whether a session opens; if not, nothing may have been offered to the server."""
    logins = len(account.seen.logins)
    try:
        with connect(
            world.ports.acquirer.server, key=account.client_key, password=b"correct", accepted=world.accepted()
        ) as drop:
            drop.listing("inbox")
    except HostKeyRefused:
        assert len(account.seen.logins) == logins
        assert account.seen.passwords == []
        return False
    return True


def test_a_staged_key_works_only_in_its_window(world: KeyWorld, account: AsyncsshAccount) -> None:
    """Approved by two people it is refused before its window, accepted from its first to its last moment, refused after it."""
    world.approved(account.host_key, begins=1, ends=3)
    seen = {}
    for days in (0.999999, 1, 2.999999, 3, 400):
        world.go_to(days)
        seen[days] = enters(world, account)
    assert seen == {0.999999: False, 1: True, 2.999999: True, 3: False, 400: False}


def test_a_staged_key_needs_its_approval(world: KeyWorld, account: AsyncsshAccount) -> None:
    """Proposed by one person it opens nothing; approved it does; withdrawn it does no longer."""
    name = world.stage(account.host_key, begins=0, ends=9).fingerprint
    assert not enters(world, account)
    acts.approve(world.ports, name, BEN)
    assert enters(world, account)
    acts.withdraw(world.ports, name, BEN)
    assert not enters(world, account)


def test_the_window_ends_in_the_middle_of_a_session(world: KeyWorld, account: AsyncsshAccount) -> None:
    """A session that was opened in time asks for nothing more once the window of its key is over."""
    world.approved(account.host_key, begins=0, ends=1)
    sftp = world.ports.acquirer.server
    with connect(sftp, key=account.client_key, password=None, accepted=world.accepted()) as drop:
        assert drop.listing("inbox") == []
        world.go_to(1)
        with pytest.raises(HostKeyRefused, match="not pinned"):
            drop.listing("inbox")


def test_the_configured_key_stays_accepted_beside_a_staged_one(account: AsyncsshAccount, tmp_path: Path) -> None:
    """Until the acquirer changes its key the old one works as ever, whatever is staged."""
    world = KeyWorld(tmp_path, settings(account))
    world.approved(public_line(private_key()), begins=0, ends=9)
    assert enters(world, account)


def test_a_staged_key_may_be_of_another_type(tmp_path: Path) -> None:
    """An acquirer that goes from Ed25519 to ECDSA is reached in the window of the new key."""
    with asyncssh_server(tmp_path / "server", host_key=private_key("ecdsa")) as account:
        world = KeyWorld(tmp_path, settings(account, host_keys=[public_line(private_key())]))
        assert not enters(world, account)
        world.approved(account.host_key, begins=0, ends=1)
        assert enters(world, account)
