"""Collect: a link, a pipe or a device in the outbox is never followed or read, and never passed over in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from payments.config_drops import DirectoryDrop
from payments.records import Mismatch
from tests.unit.transfer.collect_world import CollectWorld
from transfer.collect import CollectPorts, collect
from transfer.drop_directory import connect


def alarms(world: CollectWorld) -> list[Mismatch]:
    with world.ledger.look() as tx:
        return tx.mismatches.find(kind="file_unreadable")


def told(world: CollectWorld) -> list[tuple[str, str]]:
    return [(each.detail["name"], each.state) for each in alarms(world)]


def test_a_link_with_the_name_of_a_result_is_an_alarm(tmp_path: Path) -> None:
    """Never fetched, told once with the reason; when a plain file takes its place the alarm closes and the file is collected."""
    world = CollectWorld(tmp_path)
    world.outbox.files = {"a.ack": (b"a", 1), "b.ack": (b"b", 1)}
    world.outbox.links = {"a.ack"}
    assert world.poll(3) == 1
    assert world.outbox.downloads == ["b.ack"]
    (alarm,) = alarms(world)
    assert (alarm.detail["name"], alarm.state) == ("a.ack", "open")
    assert alarm.detail["why"] == "a link, a pipe or a device, which is not followed"
    assert world.acts().count("outbox_file_refused") == 1
    world.outbox.links = set()
    assert world.poll(3) == 1
    assert told(world) == [("a.ack", "closed_by_late_result")]


def test_a_link_that_the_rules_ignore_is_no_alarm(tmp_path: Path) -> None:
    """An acquirer that keeps a link in its outbox: its name can be ignored, as that of any other file."""
    world = CollectWorld(tmp_path, ignore=["latest*"])
    world.outbox.files, world.outbox.links = {"latest.ack": (b"", 1), "current": (b"", 1)}, {"latest.ack", "current"}
    world.poll(2)
    assert (told(world), world.outbox.downloads) == ([("current", "open")], [])


def test_a_link_is_no_marker(tmp_path: Path) -> None:
    """With `stable = marker` a link in the marker's place says nothing of the file beside it, and is an alarm."""
    world = CollectWorld(tmp_path, stable="marker", marker="{name}.done")
    world.outbox.files = {"a.ack": (b"a", 1), "a.ack.done": (b"", 1)}
    world.outbox.links = {"a.ack.done"}
    assert world.poll(3) == 0
    assert told(world) == [("a.ack.done", "open")]
    world.outbox.links = set()
    assert world.poll(2) == 1


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe"])
def test_a_shared_directory_tells_the_same(tmp_path: Path, kind: str) -> None:
    """In a mounted outbox: a link to a secret, a link to nowhere, a pipe. None is read."""
    world = CollectWorld(tmp_path / "world", stable_listings=1)
    for folder in ("inbox", "outbox"):
        (tmp_path / "side" / folder).mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    strange = tmp_path / "side/outbox/a.ack"
    if kind == "pipe":
        os.mkfifo(strange)
    else:
        strange.symlink_to(tmp_path / ("secret" if kind == "link" else "nowhere"))

    way = DirectoryDrop(path=str(tmp_path / "side"))
    ports = CollectPorts(world.ledger, world.store, world.clock, world.acquirer, lambda: connect(way), tmp_path)
    assert collect(ports) == 0
    assert told(world) == [("a.ack", "open")]
