"""Anchors outside the ledger: what was taken out of the audit log is found, and up to where it is proven is said."""

from __future__ import annotations

import base64
import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import delete, update

from functions import anchor as function
from functions import batch
from payments.errors import Unreachable, WrongConfiguration
from runtime import anchors as anchoring
from runtime.anchors import PREFIX, Proof, anchor, anchor_when_due, anchors, compare
from runtime.ledger.audit import audit_records
from runtime.ledger.engine import writing
from runtime.ledger.schema import audit
from runtime.signing import believed
from runtime.wiring import World
from tieout.__main__ import main


class MovingClock:
    """The port Clock; each look is a second later."""

    def __init__(self, at: Any) -> None:
        self.at = at

    def now(self) -> Any:
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def world(tmp_path: Path) -> World:
    return opened(tmp_path)


def opened(folder: Path, text: str = "") -> World:
    (folder / "tieout.toml").write_text(text)
    found = World.open(str(folder / "tieout.toml"))
    found.clock = MovingClock(found.clock.now())
    return found


def tell(world: World, *chains: str) -> None:
    """One more record in each chain."""
    with world.ledger.begin() as tx:
        for chain in chains:
            tx.audit.append(chain, "told", {"n": 1})


def proof(world: World) -> Proof:
    keys = believed(world.secrets, world.configuration.audit)
    with world.ledger.look() as tx:
        return compare(anchors(world.store, keys), audit_records(tx.connection), signed_only=bool(keys))


def take_out(world: World, chain: str, seq: int) -> None:
    """As somebody with the database's password could."""
    with writing(world.ledger.engine) as connection:
        connection.execute(delete(audit).where(audit.c.chain == chain, audit.c.seq >= seq))


def rewrite(world: World, key: str, **changes: Any) -> None:
    """Replace an anchor that nobody protects."""
    path = world.settings.base / "store" / key
    whole = json.loads(path.read_bytes()) | changes
    path.chmod(0o600)
    path.write_text(json.dumps(whole))


def key_file(folder: Path, name: str = "anchor.key") -> str:
    """Writes a new private key; returns its public half as the configuration names it."""
    key = Ed25519PrivateKey.generate()
    path = folder / name
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def test_an_untouched_log_is_proven_up_to_its_newest_anchor(world: World) -> None:
    """Records before an anchor are proven by it; an empty log has none; a log that only grew agrees with all of them."""
    assert anchor(world) == ""
    tell(world, "a", "b")
    first = anchor(world)
    tell(world, "a", "c")
    second = anchor(world)
    tell(world, "a")
    assert first < second
    assert proof(world) == Proof(2, second, [])


def test_newest_records_that_were_taken_out_are_found(world: World) -> None:
    """A chain that was cut short still follows from record to record; its anchor says that there was more."""
    tell(world, "a", "b")
    first = anchor(world)
    tell(world, "a")
    second = anchor(world)
    take_out(world, "a", 2)
    assert proof(world) == Proof(2, first, [f"a: record 2 is missing or another one than was anchored in {second}"])
    tell(world, "a")  # it grows again, and to the same length
    assert [each.partition(" is ")[0] for each in proof(world).faults] == ["a: record 2"]
    anchor(world)
    assert proof(world).faults, "a later anchor does not excuse it"


def test_a_chain_that_was_taken_out_whole_is_found(world: World) -> None:
    """Of a removed chain nothing in the ledger tells; its anchor does, once, by name."""
    tell(world, "a", "b")
    first = anchor(world)
    anchor(world)
    take_out(world, "b", 1)
    assert proof(world) == Proof(2, "", [f"b: record 1 is missing or another one than was anchored in {first}"])


def test_a_removed_or_changed_anchor_is_found(world: World) -> None:
    """Each anchor names the one before it: of three, the loss of the second shows in the third, and so does a change."""
    keys = []
    for _ in range(3):
        tell(world, "a")
        keys.append(anchor(world))
    path = world.settings.base / "store" / keys[1]
    content = path.read_bytes()
    path.unlink()
    assert proof(world).faults == [f"{keys[2]}: the anchor before it, {keys[1]}, is missing or changed"]
    path.write_bytes(content.replace(b'"chains":1', b'"chains":2'))
    assert proof(world).faults[0] == f"{keys[1]}: its list is not the one that it states"
    path.write_bytes(b"[]")
    assert proof(world).faults[0] == f"{keys[1]}: it is no anchor"


def test_only_what_a_believed_key_signed_proves_anything(tmp_path: Path) -> None:
    """Unsigned anchors from before do not count; a forged, an unsigned or a stranger's one is a fault, and proves nothing."""
    plain = opened(tmp_path)
    tell(plain, "a")
    anchor(plain)
    public = key_file(tmp_path)
    world = opened(tmp_path, '[audit]\nsign_with = "file:anchor.key"\n')
    assert proof(world) == Proof(1, "", [])
    good, late = anchor(world), anchor(world)
    assert proof(world) == Proof(3, late, [])
    whole = json.loads(world.store.get(late))
    forged: list[dict[str, str]] = [
        {"value": base64.b64encode(b"x" * 64).decode()},
        {"value": "?"},
        {"algorithm": "none"},
        {"public_key": ""},
    ]
    for changes in forged:
        signature = whole["signature"] | changes
        rewrite(world, late, signature=signature)
        assert proof(world) == Proof(3, good, [f"{late}: it is not signed by a key that is believed"])
    rewrite(world, late, signature=None)
    assert proof(world) == Proof(3, good, [f"{late}: it is not signed, though earlier ones are"])
    rewrite(world, late, signature=whole["signature"])
    key_file(tmp_path, "other.key")
    stranger = opened(tmp_path, '[audit]\nsign_with = "file:other.key"\n')
    assert proof(stranger).upto == ""
    auditor = opened(tmp_path, f'[audit]\npublic_keys = ["{public}"]\n')
    assert proof(auditor) == Proof(3, late, [])


@pytest.mark.parametrize("content", [b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_a_secret_that_is_no_key_is_said_without_its_content(tmp_path: Path, content: bytes) -> None:
    """The reference is named with the command that makes a key; nothing of what was found is shown."""
    (tmp_path / "anchor.key").write_bytes(content)
    (tmp_path / "anchor.key").chmod(0o600)
    world = opened(tmp_path, '[audit]\nsign_with = "file:anchor.key"\n')
    tell(world, "a")
    with pytest.raises(WrongConfiguration, match=r"file:anchor\.key: it is no private key") as raised:
        anchor(world)
    assert "openssl genpkey" in raised.value.next_step


def test_the_service_anchors_once_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first look anchors, later ones of the same day do not; one that fails is logged and tried again."""
    tell(world, "a")
    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(anchoring, "anchor", lambda _: (_ for _ in ()).throw(Unreachable("the store does not answer")))
        anchor_when_due(world)
    assert "could not be anchored: the store does not answer" in caplog.text
    for hours in (0, 1, 22, 2, 23):
        world.clock.at += timedelta(hours=hours)  # type: ignore[attr-defined]
        anchor_when_due(world)
    assert len(list(world.store.keys(PREFIX))) == 2


def test_a_demonstration_anchors_nothing(tmp_path: Path) -> None:
    """The days of a virtual clock pass in seconds: nothing is anchored by itself."""
    world = opened(tmp_path, "[clock]\nstart = 2026-03-02T05:00:00Z\n")
    tell(world, "a")
    anchor_when_due(world)
    assert list(world.store.keys(PREFIX)) == []


def test_the_function_anchors(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called by a schedule it puts one anchor and says where."""
    tell(world, "a")
    monkeypatch.setattr(batch, "_worlds", [world])
    answer = function.handler({}, None)
    assert [answer["anchor"]] == list(world.store.keys(PREFIX))


def test_the_command_says_up_to_where_it_is_proven(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`tieout audit anchor` and `verify`: never anchored, proven, and then cut short, with exit status 1."""
    world = opened(tmp_path)
    config = ["--config", str(tmp_path / "tieout.toml")]
    assert main(["audit", "anchor", *config]) == 0
    assert capsys.readouterr().out == "nothing was recorded yet\n"
    tell(world, "a", "b")
    assert main(["audit", "verify", *config]) == 0
    assert "It was never anchored" in capsys.readouterr().out
    assert main(["audit", "anchor", *config]) == 0
    assert "not signed" in capsys.readouterr().out
    [key] = world.store.keys(PREFIX)
    assert main(["audit", "verify", *config]) == 0
    assert f"2 records, every chain is whole.\nIt is proven up to the anchor {key}" in capsys.readouterr().out
    take_out(world, "b", 1)
    assert main(["audit", "verify", *config]) == 1
    said = capsys.readouterr().out
    assert "b: record 1 is missing or another one" in said
    assert "proven up to none of its 1 anchors" in said
    assert main(["audit", "verify", "--json", *config]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["whole"], found["anchors"], found["proven_upto"]) == (False, 1, None)


def test_a_changed_record_unproves_every_anchor(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A record whose hash was left as it was is found by recomputing, and then no anchor counts."""
    tell(world, "a")
    anchor(world)
    with writing(world.ledger.engine) as connection:
        connection.execute(update(audit).values(actor="mallory"))
    assert main(["audit", "verify", "--json", "--config", world.settings.path]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["faults"], found["proven_upto"]) == (["a: record 1 was changed"], None)
