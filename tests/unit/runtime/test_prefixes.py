"""Stores below a prefix of a bucket: S3 names whole objects, our keys begin behind the prefix, and notices of ours say what S3 would."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from functions.topology import TOPOLOGY
from payments.config import Stores
from payments.errors import SetAside
from payments.ports import Message
from runtime.notices import notice
from runtime.tell import key_in, tell
from runtime.wakes import wake
from runtime.wiring import World
from tests.unit.local.small_world import acquirer, source

KEY = "outbound/northbank/2026-03-02/f1/a.csv"
STORES = Stores(root="s3://one/tieout", by_store={"raw": "s3://one/tieout/raws/", "results": "s3://two"})


@pytest.mark.parametrize(
    ("bucket", "name", "key"),
    [
        ("one", f"tieout/{KEY}", KEY),
        ("one", "tieout/raws/raw/a.parquet", "raw/a.parquet"),
        ("two", "results/a", "results/a"),
        ("one", KEY, KEY),  # as it was told before, and by whoever tells it by hand
        ("one", "tieout/raw/a.parquet", "tieout/raw/a.parquet"),
        ("one", "tieout/results/a", "tieout/results/a"),
    ],
)
def test_a_notice_is_about_the_key_behind_the_prefix_of_its_store(bucket: str, name: str, key: str) -> None:
    """Only the store that holds such keys takes its prefix off; any other name stays as it stands, and starts nothing."""
    assert key_in(STORES, notice(bucket, name, 1)) == key


@pytest.mark.parametrize(("bucket", "name"), [("two", f"tieout/{KEY}"), ("elsewhere", KEY), ("one", "results/a")])
def test_an_object_of_another_bucket_is_not_ours(bucket: str, name: str) -> None:
    """Whoever names a bucket in which we keep nothing of this name starts no stage."""
    with pytest.raises(SetAside, match="another bucket"):
        key_in(STORES, notice(bucket, name, 1))


@pytest.mark.parametrize("name", ["tieout/", "tieout//a", "tieout/outbound/../a"])
def test_a_name_that_is_no_key_is_set_aside(name: str) -> None:
    """With a prefix or without: what we never make is never followed."""
    with pytest.raises(SetAside):
        key_in(STORES, notice("one", name, 1))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    path = tmp_path / "tieout.toml"
    path.write_text('[stores]\nroot = "s3://one/tieout"\n' + source() + acquirer())
    world = World.open(str(path))
    yield world
    world.ledger.engine.dispose()


def sent(world: World) -> list[Message]:
    return world.queue.receive("deliver", limit=10, visibility=timedelta(minutes=1))


def test_what_we_tell_is_what_s3_would_tell(world: World) -> None:
    """The sweep's notice names the whole object, and is understood like that of S3 itself."""
    tell(world, TOPOLOGY, KEY, 5)
    [message] = sent(world)
    assert message.body == notice("one", f"tieout/{KEY}", 5)
    assert world.key_in(message.body) == KEY
    assert world.acquirer_in(message.body) == "northbank"
    assert world.acquirer_in(wake("giro")) == "giro"
