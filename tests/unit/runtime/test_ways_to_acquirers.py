"""The ways to an acquirer: exactly one is configured, what is wrong with it is said, and the connector takes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from payments.config_drops import BucketDrop, DirectoryDrop
from payments.errors import WrongConfiguration
from runtime.settings import decode
from runtime.wiring import World

ACQUIRER = """
[[acquirer]]
name = "northbank"
results_list = "all"
final_status = "ACSC"
complete_when = "trailer"
sequence = "strict"
"""
SFTP = '[acquirer.sftp]\nhost = "h"\nuser = "u"\nkey = "file:k"\nhost_keys = ["ssh-ed25519 AAAA"]\n'
DIRECTORY = '[acquirer.directory]\npath = "/mnt/partner"\n'
BUCKET = '[acquirer.s3]\nurl = "s3://partner/deep"\n'
CANARY = "hunter2"


def test_each_way_alone_is_enough() -> None:
    """SFTP, a directory or a bucket: `drop` is the one that is given."""
    found = [decode((ACQUIRER + way).encode(), "t").acquirer[0] for way in (SFTP, DIRECTORY, BUCKET)]
    assert [type(each.drop).__name__ for each in found] == ["Sftp", "DirectoryDrop", "BucketDrop"]
    assert [each.drop.inbox for each in found] == ["inbox"] * 3
    assert [each.drop.rename_atomic for each in found] == [False, False, True]
    assert found[0].server is found[0].sftp
    with pytest.raises(WrongConfiguration, match="not reached by SFTP"):
        _ = found[1].server


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("", "acquirer[0].sftp", "exactly one of"),
        (SFTP + DIRECTORY, "acquirer[0].sftp", "exactly one of"),
        (DIRECTORY + BUCKET, "acquirer[0].sftp", "exactly one of"),
        (DIRECTORY.replace("/mnt", "mnt"), "acquirer[0].directory.path", "absolute"),
        (DIRECTORY + 'inbox = "../x"\n', "acquirer[0].directory.inbox", "below the way's own root"),
        (DIRECTORY + 'archive = "/x"\n', "acquirer[0].directory.archive", "below the way's own root"),
        (BUCKET + 'outbox = ""\n', "acquirer[0].s3.outbox", "below the way's own root"),
        (BUCKET.replace("s3:", "https:"), "acquirer[0].s3.url", "s3://bucket/prefix"),
        (BUCKET + 'access_key = "env:A"\n', "acquirer[0].s3", "both, or none"),
        (BUCKET + f'access_key = "env:A"\nsecret_key = "{CANARY}"\n', "acquirer[0].s3.secret_key", "env:NAME"),
        (BUCKET + f'access_key = ["{CANARY}"]\n', "acquirer[0].s3.access_key", ""),
        ('verify = "hash_extension"\n' + DIRECTORY, "acquirer[0].verify", "read_back"),
        ('verify = "read_back"\n' + BUCKET, "acquirer[0].verify", "checksum"),
        (SFTP + '[acquirer.results]\nmarker = "done"\n', "acquirer[0].results.marker", "{name}"),
        (SFTP + '[acquirer.results]\nmarker = "{name}"\n', "acquirer[0].results.marker", "{name}"),
        (SFTP + '[acquirer.results]\nafter = "move"\n', "acquirer[0].results.archive", "a folder"),
        (SFTP + '[acquirer.results]\nafter = "delete"\narchive = "x"\n', "acquirer[0].results.archive", "move"),
        (SFTP + '[acquirer.results]\nafter = "move"\narchive = "a/../b"\n', "acquirer[0].results.archive", "a folder"),
    ],
)
def test_a_wrong_way_is_said_with_its_key(text: str, key: str, allowed: str) -> None:
    """One message names the key and what is allowed; a secret in the wrong place is not shown."""
    with pytest.raises(WrongConfiguration) as caught:
        decode((ACQUIRER + text).encode(), "tieout.toml")
    assert f"{key}: found" in str(caught.value)
    assert allowed in str(caught.value)
    assert CANARY not in str(caught.value)


def test_the_connector_opens_what_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory and a bucket open without SFTP's secrets; a bucket's own keys come by reference."""
    (tmp_path / "mounted/outbox").mkdir(parents=True)
    (tmp_path / "mounted/outbox/a").write_bytes(b"x")
    (tmp_path / "secret").write_text("testing")
    text = ACQUIRER + DIRECTORY.replace("/mnt/partner", str(tmp_path / "mounted"))
    text += ACQUIRER.replace("northbank", "bucket") + BUCKET
    text += 'access_key = "env:PARTNER_KEY"\nsecret_key = "file:secret"\nregion = "eu-central-1"\n'
    (tmp_path / "tieout.toml").write_text(text)
    monkeypatch.setenv("PARTNER_KEY", "testing")
    world = World.open(os.fspath(tmp_path / "tieout.toml"))
    north, bucket = world.configuration.acquirer
    assert (isinstance(north.directory, DirectoryDrop), isinstance(bucket.s3, BucketDrop)) == (True, True)
    assert (north.secrets, bucket.secrets) == ((), ("env:PARTNER_KEY", "file:secret"))
    with world.connector(north)() as drop:
        assert [each.name for each in drop.listing("outbox")] == ["a"]
    with world.connector(bucket)() as drop:
        assert drop.host_key.startswith("none")


def test_what_a_server_gave_once_is_never_tidied_away(tmp_path: Path) -> None:
    """Old folders of killed processes go from the spool; bytes that may exist nowhere else stay."""
    (tmp_path / "tieout.toml").write_text("")
    world = World.open(os.fspath(tmp_path / "tieout.toml"))
    for name in ("read-once", "left-over"):
        (world.spool / name).mkdir()
        os.utime(world.spool / name, (1, 1))
    world.tidy()
    assert [each.name for each in world.spool.iterdir()] == ["read-once"]
