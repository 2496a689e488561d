"""`tieout acquirer`: what it shows, tests and probes, its acts on host keys, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runtime.actor
from payments.acting import Actor
from tests.servers.asyncssh_server import AsyncsshAccount, asyncssh_server
from tests.servers.sftp_account import private_key, public_line
from tests.unit.transfer.assemble_world import empty_ledger
from tests.unit.transfer.deliver_world import DeliverWorld
from tieout.__main__ import main

CONFIGURATION = """
[ledger]
url = "sqlite:ledger.db"
[clock]
start = 2026-03-02T06:00:00Z
[[acquirer]]
name = "north"
results_list = "all"
final_status = "ACSC"
complete_when = "trailer"
sequence = "strict"
[acquirer.sftp]
host = "127.0.0.1"
port = {port}
user = "tieout"
key = "file:key"
host_keys = ["{host_key}"]
"""
UNTIL = "2026-03-04T00:00Z"


@pytest.fixture
def account(tmp_path: Path) -> Iterator[AsyncsshAccount]:
    with asyncssh_server(tmp_path / "server") as running:
        yield running


def configured(folder: Path, account: AsyncsshAccount | None, host_key: str = "") -> Path:
    """A configuration for the server, our key, and a ledger, empty unless there is one, beside it."""
    key = account.client_key if account is not None else private_key()
    (folder / "key").write_bytes(key)
    (folder / "key").chmod(0o600)
    if not (folder / "ledger.db").exists():
        (folder / "ledger.db").write_bytes(empty_ledger())
    pinned = host_key or (account.host_key if account is not None else public_line(private_key()))
    port = account.port if account is not None else 22
    (folder / "tieout.toml").write_text(CONFIGURATION.format(port=port, host_key=pinned))
    return folder / "tieout.toml"


def run(config: Path, *arguments: str) -> int:
    return main(["acquirer", "north", *arguments, "--config", str(config)])


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def act_as(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(runtime.actor, "operating_system_user", lambda: Actor(name, verified=True))


def test_the_way_to_a_server_is_tested(
    account: AsyncsshAccount, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`test` connects, lists inbox and outbox, says how a file would be delivered, changes nothing and exits 0."""
    config = configured(tmp_path, account)
    (account.root / "outbox/result").write_bytes(b"r")
    assert run(config, "test") == 0
    shown = capsys.readouterr().out
    assert "connect  ok      host key SHA256:" in shown
    assert "outbox   ok      outbox: 1 files" in shown
    assert run(config, "test", "--json") == 0
    found = said(capsys)
    assert (found["ok"], [each["what"] for each in found["checked"]]) == (True, ["connect", "inbox", "outbox", "plan"])


def test_a_directory_that_is_missing_fails_the_test_but_not_the_others(
    account: AsyncsshAccount, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each directory has its own result; one that fails makes exit status 1 and says which setting to look at."""
    config = configured(tmp_path, account)
    (account.root / "inbox").rmdir()
    assert run(config, "test") == 1
    shown = capsys.readouterr().out
    assert "inbox    FAILED" in shown
    assert "next step: Check `inbox`" in shown
    assert "outbox   ok" in shown


def test_another_host_key_fails_the_test_with_its_fingerprint(
    account: AsyncsshAccount, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is listed, exit status 1, and the fingerprint that was met is named."""
    config = configured(tmp_path, account, public_line(private_key()))
    assert run(config, "test", "--json") == 1
    found = said(capsys)
    assert found["ok"] is False
    [only] = found["checked"]
    assert "holds the host key SHA256:" in only["said"]
    assert account.seen.logins == []


def test_a_probe_is_shown_and_remembered(
    account: AsyncsshAccount, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`probe` prints what it found; the acquirer's page and its JSON show it again later, with the time."""
    config = configured(tmp_path, account)
    assert run(config) == 0
    assert "never probed: tieout acquirer north probe" in capsys.readouterr().out
    assert run(config, "probe") == 0
    assert "rename to a taken name    refuses" in capsys.readouterr().out
    assert run(config) == 0
    shown = capsys.readouterr().out
    assert "probed                    2026-03-02 06:00Z" in shown
    assert "rename to a taken name    refuses" in shown
    assert run(config, "probe", "--dir", "archive", "--json") == 0
    found = said(capsys)
    assert (found["acquirer"], found["rename"], found["left_behind"]) == ("north", "works", [])
    assert run(config, "--json") == 0
    assert said(capsys)["profile"] == found


def test_a_key_goes_from_hand_to_hand(
    account: AsyncsshAccount, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staged by one, refused to the same, approved by another: from then on the server that holds it is reached, until it is withdrawn."""
    config = configured(tmp_path, account, public_line(private_key()))
    act_as(monkeypatch, "anna")
    assert run(config, "keys", "--stage", account.host_key, "--until", UNTIL, "--why", "letter", "--json") == 0
    key = said(capsys)
    assert (key["state"], key["staged_by"], key["valid_from"]) == ("proposed", "anna", "2026-03-02T06:00:00+00:00")
    assert run(config, "test") == 1
    assert run(config, "keys", "--approve", key["fingerprint"]) == 2
    assert "a different person must agree" in capsys.readouterr().err
    act_as(monkeypatch, "ben")
    assert run(config, "keys", "--approve", key["fingerprint"]) == 0
    assert "is approved: accepted from 2026-03-02 06:00Z until 2026-03-04 00:00Z" in capsys.readouterr().out
    assert run(config, "test") == 0
    capsys.readouterr()
    assert run(config, "keys") == 0
    shown = capsys.readouterr().out
    assert "anna, ben" in shown
    assert "no delivery yet" in shown
    assert run(config, "keys", "--withdraw", key["fingerprint"]) == 0
    assert run(config, "test") == 1
    capsys.readouterr()
    assert run(config, "keys", "--json") == 0
    assert [(each["state"], each["accepted"]) for each in said(capsys)["keys"]] == [
        ("pinned", "now"),
        ("withdrawn", "no"),
    ]


def test_keys_show_which_one_the_last_delivery_saw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest receipt names the key that the server proved."""
    world = DeliverWorld(tmp_path)
    world.deliver()
    config = configured(tmp_path, None)
    assert run(config, "keys", "--json") == 0
    seen = said(capsys)["seen"]
    assert (seen["fingerprint"], seen["file"]) == ("SHA256:proven", world.file().name)
    assert run(config, "keys") == 0
    assert "the last delivery saw SHA256:proven on 2026-03-02" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("keys", "--stage", "ssh-ed25519 AAAA"), "needs an end"),
        (("test", "--approve", "SHA256:a"), "are for `keys`"),
        (("keys", "--until", UNTIL), "are for `keys --stage`"),
        (("keys", "--why", "x"), "--why is for an act"),
        (("show", "--dir", "x"), "--dir is for `probe`"),
        (("keys", "--stage", "ssh-ed25519 AAAA", "--until", UNTIL), "no public key of a kind we know"),
    ],
)
def test_wrong_use_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    """What does not belong together is refused before anything happens."""
    config = configured(tmp_path, None)
    assert run(config, *arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("time", ["2026-03-04", "2026-03-04T00:00", "soon"])
def test_a_time_without_zone_is_no_time(tmp_path: Path, capsys: pytest.CaptureFixture[str], time: str) -> None:
    """Nobody guesses whose midnight is meant."""
    with pytest.raises(SystemExit) as caught:
        run(tmp_path / "tieout.toml", "keys", "--stage", "x", "--until", time)
    assert caught.value.code == 2
    assert "--until" in capsys.readouterr().err


def test_an_acquirer_that_does_not_exist_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The configured names are said."""
    config = configured(tmp_path, None)
    for words in (["acquirer", "south"], ["acquirer", "south", "next"], ["deliver", "south"]):
        assert main([*words, "--config", str(config)]) == 2
        assert "there is no acquirer 'south'\nnext step: Configured: north." in capsys.readouterr().err


def test_an_acquirer_without_sftp_has_no_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A shared directory is shown and tested as such; keys and probes are for servers."""
    config = configured(tmp_path, None)
    for name in ("inbox", "outbox"):
        (tmp_path / "drop" / name).mkdir(parents=True)
    head = config.read_text().partition("[acquirer.sftp]")[0]
    config.write_text(f'{head}[acquirer.directory]\npath = "{tmp_path / "drop"}"\n')
    assert run(config) == 0
    assert "not reached by SFTP" in capsys.readouterr().out
    assert run(config, "test") == 0
    assert run(config, "keys") == 2
    assert run(config, "probe") == 2
    assert "it has no host keys" in capsys.readouterr().err
