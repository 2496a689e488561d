"""How we log in: by key, with or without a passphrase, by password, or by both; and what is never enough."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_ssh_private_key,
)

from payments.config import Configuration, Sftp
from payments.config_drops import Jump
from payments.errors import LoginRefused, WrongConfiguration
from runtime.contradictions import contradictions
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.paramiko_server import paramiko_server
from tests.servers.sftp_account import private_key, public_line, settings
from tests.unit.transfer.assemble_world import acquirer
from transfer import sftp_login
from transfer.sftp import connect
from transfer.sftp_login import Credentials, MoreSecrets, fetched

PHRASE = b"canary passphrase"
LINE = public_line(private_key())


@dataclass
class Door(paramiko.ServerInterface):
    """Wants these proofs, in this order, and notes what it was shown and what it took."""

    wants: list[str]
    shown: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    def get_allowed_auths(self, username: str) -> str:
        return ",".join(self.wants[:1]) or "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._shown("publickey", right=True)

    def check_auth_password(self, username: str, password: str) -> int:
        return self._shown("password", right=password == "correct")

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def _shown(self, proof: str, *, right: bool) -> int:
        self.shown.append(proof)
        if self.wants[:1] != [proof] or not right:
            return int(paramiko.AUTH_FAILED)
        self.taken.append(proof)
        self.wants = self.wants[1:]
        return int(paramiko.AUTH_PARTIALLY_SUCCESSFUL if self.wants else paramiko.AUTH_SUCCESSFUL)


def listed(folder: Path, door: Door, authentication: str, password: bytes | None = b"correct") -> None:
    """Log in and ask for one listing."""
    with paramiko_server(folder, door) as account:
        sftp = settings(account, authentication=authentication, require_strict_kex=False)
        with connect(sftp, key=account.client_key, password=password) as drop:
            assert drop.listing("inbox") == []


@pytest.mark.parametrize("order", [["publickey", "password"], ["password", "publickey"]])
def test_both_proofs_are_shown_in_the_order_of_the_server(tmp_path: Path, order: list[str]) -> None:
    """A server that wants two proofs gets both, whichever it wants first, and the session works."""
    door = Door(list(order))
    listed(tmp_path, door, "key_and_password")
    assert (door.taken, door.wants) == (order, [])


@pytest.mark.parametrize("alone", ["publickey", "password"])
def test_one_proof_is_not_enough_where_both_are_declared(tmp_path: Path, alone: str) -> None:
    """A server that opens after one of two declared proofs is left again: somebody made it weaker."""
    door = Door([alone])
    with pytest.raises(WrongConfiguration, match="one proof alone") as caught:
        listed(tmp_path, door, "key_and_password")
    assert "canary" not in str(caught.value)


def test_a_wrong_second_proof_is_refused(tmp_path: Path) -> None:
    """The right key and a wrong password do not log in."""
    with pytest.raises(LoginRefused, match="refused our user"):
        listed(tmp_path, Door(["publickey", "password"]), "key_and_password", b"wrong")


@pytest.mark.parametrize(("authentication", "shown"), [("key", ["publickey"]), ("password", ["password"])])
def test_only_the_declared_proof_is_shown(tmp_path: Path, authentication: str, shown: list[str]) -> None:
    """With both secrets at hand, the one that is not declared never leaves this machine."""
    door = Door(list(shown))
    listed(tmp_path, door, authentication)
    assert door.shown == shown


@pytest.mark.parametrize("authentication", ["key", "password", "key_and_password"])
def test_a_declared_proof_that_is_missing_is_a_wrong_configuration(authentication: str) -> None:
    """Without the declared secret nothing is connected."""
    sftp = Sftp(host="h", user="u", host_keys=[LINE], authentication=authentication)  # type: ignore[arg-type]
    given = {"key": (None, b"p"), "password": (private_key(), None), "key_and_password": (private_key(), None)}
    key, password = given[authentication]
    with pytest.raises(WrongConfiguration, match=r"acquirer\.sftp"):
        connect(sftp, key=key, password=password).__enter__()


@pytest.mark.parametrize("form", [PrivateFormat.OpenSSH, PrivateFormat.PKCS8])
def test_a_key_with_a_passphrase_logs_in(tmp_path: Path, form: PrivateFormat) -> None:
    """With its passphrase, also with a line end behind it, an encrypted key is as good as another."""
    with asyncssh_server(tmp_path) as account:
        key: Any = load_ssh_private_key(account.client_key, None)
        locked = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(PHRASE))
        more = MoreSecrets(passphrase=PHRASE + b"\n")
        with connect(settings(account), key=locked, password=None, more=more) as drop:
            assert drop.listing("inbox") == []


@pytest.mark.parametrize("phrase", [None, b"another canary"])
def test_a_wrong_passphrase_is_told_without_quoting_it(phrase: bytes | None) -> None:
    """A missing or wrong passphrase names the settings, and nothing of key or passphrase."""
    key: Any = load_ssh_private_key(private_key(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, BestAvailableEncryption(PHRASE))
    with pytest.raises(WrongConfiguration, match=r"acquirer\.sftp\.key") as caught:
        sftp_login.private_key(locked, phrase)
    assert "key_passphrase" in caught.value.next_step
    assert "canary" not in str(caught.value) + caught.value.next_step
    assert caught.value.__cause__ is None


class Vault:
    """Secrets that tell their own reference."""

    def get(self, reference: str) -> bytes:
        return reference.encode()


def test_every_secret_is_fetched_for_its_own_place() -> None:
    """Login, passphrase, jump host and proxy each get what their own reference names, and none shows itself."""
    jump = Jump(host="j", user="u", host_keys=[LINE], key="env:A", key_passphrase="env:B", password="env:C")
    sftp = Sftp(
        host="h",
        user="u",
        host_keys=[LINE],
        key="env:D",
        key_passphrase="env:E",
        password="env:F",
        proxy_password="env:G",
        jump=jump,
    )
    found = fetched(sftp, Vault())
    more = MoreSecrets(b"env:E", Credentials(b"env:A", b"env:B", b"env:C"), b"env:G")
    assert found == (b"env:D", b"env:F", more)
    assert "env" not in repr(more)
    assert set(acquirer(sftp=sftp).secrets) == {f"env:{name}" for name in "ABCDEFG"}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"authentication": "password"}, "sftp.authentication"),
        ({"authentication": "key_and_password"}, "sftp.authentication"),
        ({"authentication": "key", "password": "env:P"}, "sftp.authentication"),
        ({"key": "", "password": "env:P", "key_passphrase": "env:Q"}, "sftp.key_passphrase"),
        ({"key_passphrase": "canary"}, "sftp.key_passphrase"),
        ({"proxy": "http://p:1", "proxy_user": "u"}, "sftp.proxy_user"),
        ({"proxy": "http://p:1", "proxy_user": "u:canary", "proxy_password": "env:P"}, "sftp.proxy_user"),
        ({"proxy_user": "u", "proxy_password": "env:P"}, "sftp.proxy_user"),
        ({"proxy": "http://p:1", "proxy_user": "u", "proxy_password": "canary"}, "sftp.proxy_password"),
        ({"jump": Jump(host="j", user="u", host_keys=[LINE])}, "sftp.jump"),
        ({"jump": Jump(host="j", user="u", host_keys=[LINE], key="canary")}, "sftp.jump.key"),
    ],
)
def test_proofs_that_cannot_be_meant_are_found_before_anything_starts(changes: dict[str, Any], path: str) -> None:
    """What is declared and missing, or given and never used, is named by its key and never quoted."""
    sftp = Sftp(**{"host": "h", "user": "u", "key": "env:KEY", "host_keys": [LINE], **changes})
    found = contradictions(Configuration(acquirer=[acquirer(sftp=sftp)]))
    assert [where for where, _, _ in found] == [f"acquirer[0].{path}"]
    assert "canary" not in str(found)
