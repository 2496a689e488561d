"""How URLs of the configuration become adapters, and where the world keeps its files."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from payments.errors import SetAside, WrongConfiguration
from runtime.ledger.clock import LedgerClock, SystemClock
from runtime.ledger.queue import LedgerQueue
from runtime.notices import NotifyingStore
from runtime.queue_sqs import SqsQueue
from runtime.store_file import FileStore
from runtime.store_knowing import KnowingStore
from runtime.store_s3 import S3Store
from runtime.wiring import World
from tests.unit.local.small_world import acquirer, source


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    opened.clear()
    yield tmp_path
    for world in opened:
        if "ledger" in vars(world):
            world.ledger.engine.dispose()


opened: list[World] = []


def world(folder: Path, text: str = "") -> World:
    (folder / "tieout.toml").write_text(text)
    opened.append(World.open(str(folder / "tieout.toml")))
    return opened[-1]


def adapter(found: World) -> object:
    """What keeps the objects, below what says why one is missing."""
    assert isinstance(found.store, KnowingStore)
    return found.store._store


def test_the_defaults_are_the_one_machine_product(folder: Path) -> None:
    """An empty configuration: files, SQLite and queue beside it, the machine's own clock; nothing exists before it is used."""
    found = world(folder)
    assert {each.name for each in folder.iterdir()} == {"tieout.toml"}
    assert isinstance(adapter(found), FileStore)
    assert isinstance(found.queue, LedgerQueue)
    assert isinstance(found.clock, SystemClock)
    found.store.put("raw/a", b"x")
    assert {each.name for each in folder.iterdir()} >= {"tieout.toml", "store", "ledger.db"}
    assert found.spool == folder / "spool"
    assert found.spool.stat().st_mode & 0o777 == 0o700


def test_urls_choose_the_adapters(folder: Path) -> None:
    """Other URLs give other adapters, and nothing else decides."""
    found = world(folder, '[stores]\nroot = "s3://bucket/x"\n[queue]\nurl = "sqs:eu-central-1"\n')
    assert isinstance(adapter(found), S3Store)
    assert isinstance(found.queue, SqsQueue)


def test_a_store_that_somebody_listens_to_emits(folder: Path) -> None:
    """With `emit` set every put is told."""
    found = world(folder)
    told: list[tuple[str, int]] = []
    found.emit = lambda key, size: told.append((key, size))
    found.store.put("raw/a", b"xyz")
    assert isinstance(found.store, NotifyingStore)
    assert told == [("raw/a", 3)]


def test_a_start_makes_the_clock_virtual_for_everybody(folder: Path) -> None:
    """Worlds on one ledger share one virtual time, and a later start does not set it back."""
    text = "[clock]\nstart = 2026-03-02T06:00:00Z\n"
    first, second = world(folder, text), world(folder, text)
    start = datetime(2026, 3, 2, 6, tzinfo=UTC)
    assert first.clock.now() == second.clock.now() == start
    assert isinstance(first.clock, LedgerClock)
    first.clock.move(later := start.replace(hour=9))
    assert second.clock.now() == world(folder, text).clock.now() == later


def test_names_that_are_not_configured_are_told(folder: Path) -> None:
    """The message names what there is."""
    found = world(folder, source() + acquirer())
    with pytest.raises(WrongConfiguration, match="no source 'x'; configured: legacy"):
        found.source("x")
    with pytest.raises(SetAside, match="no acquirer 'x'; configured: northbank"):
        found.acquirer("x")


def test_a_password_that_is_no_text_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are not UTF-8 cannot be a password, and are not shown."""
    (folder / "secret").write_bytes(b"\xff\xfehunter2")
    found = world(folder, '[ledger]\nurl = "postgresql://t@127.0.0.1:1/b"\npassword = "file:secret"\n')
    with pytest.raises(WrongConfiguration, match="secret file:secret: it is not text") as caught:
        found.ledger  # noqa: B018
    assert "hunter2" not in str(caught.value)


def test_tidying_touches_only_our_own_old_leftovers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process left in the spool a day ago goes; what is younger, or lies beside the spool, stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    old = time.time() - 2 * 86_400
    for settings in ("file", "s3"):
        found = world(folder)
        if settings == "s3":
            found.settings = replace(found.settings, path="s3://bucket/tieout.toml")
        (folder / "tmp" / "of somebody else").mkdir(parents=True, exist_ok=True)
        assert found.spool != folder / "tmp"
        for name in ("old", "new"):
            (found.spool / name).mkdir()
        os.utime(found.spool / "old", (old, old))
        os.utime(folder / "tmp" / "of somebody else", (old, old))
        found.tidy()
        assert [each.name for each in found.spool.iterdir()] == ["new"]
        assert (folder / "tmp" / "of somebody else").is_dir()
