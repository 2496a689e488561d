"""Collect: one file, one name or one long listing of a hostile outbox stops neither its neighbours nor anybody else."""

from __future__ import annotations

import struct
from datetime import timedelta
from pathlib import Path

import pytest

from payments.errors import DeliveryFailed, Unreachable
from payments.records import Mismatch, Sighting
from tests.unit.transfer.collect_world import CollectWorld
from tests.unit.transfer.test_sftp_wire import GREETING, Script, packet, status
from transfer import collect_listing, collect_sighting
from transfer.collect_ports import CollectPorts
from transfer.sftp_listing import NAME_BYTES_MAX, SIZE_MAX, files_of
from transfer.sftp_wire import Code, Kind, Wire, text

GOOD = ("a.ack", "c.ack", "d.ack")


@pytest.fixture
def world(tmp_path: Path) -> CollectWorld:
    return CollectWorld(tmp_path, stable_listings=1)


def alarms(world: CollectWorld) -> list[Mismatch]:
    with world.ledger.look() as tx:
        return tx.mismatches.find(kind="file_missing")


def hang_up(world: CollectWorld, *names: str) -> int:
    """One poll of a server that ends the session at these files. Returns how many results were stored."""
    world.outbox.errors |= {name: Unreachable("the connection was cut off") for name in names}
    before = len(world.results())
    try:
        world.poll()
    except Unreachable:
        world.clock.at += timedelta(minutes=1)
    return len(world.results()) - before


def test_a_file_on_which_the_server_hangs_up_stops_no_other(world: CollectWorld) -> None:
    """The session that it ended is followed by one that begins with the others, and reconcile waits for none of them."""
    world.outbox.files = {name: (name.encode(), 1) for name in ("b.ack", *GOOD)}
    for _ in range(3):
        hang_up(world, "b.ack")
    assert sorted(each.name for each in world.results()) == list(GOOD)
    assert world.sighting("b.ack").state == "failed"
    with world.ledger.look() as tx:
        assert tx.sightings.count(state="fetching") == 0


def test_a_file_that_failed_twice_is_an_alarm_until_it_is_there(world: CollectWorld) -> None:
    """Once may be chance; a second time a person hears of it, once, and what came right after all closes the alarm."""
    world.outbox.files = {"b.ack": (b"b", 1)}
    hang_up(world, "b.ack")
    assert alarms(world) == []
    for _ in range(3):
        hang_up(world, "b.ack")
    (alarm,) = alarms(world)
    assert (alarm.state, alarm.detail["name"]) == ("open", "b.ack")
    assert "cut off" in alarm.detail["why"]
    world.outbox.errors.clear()
    assert world.poll() == 1
    assert [each.state for each in alarms(world)] == ["closed_by_late_result"]


def test_a_size_that_is_never_true_is_an_alarm(world: CollectWorld) -> None:
    """A server that lists another size each time than it gives is found out at the second try, and stops no neighbour."""
    world.outbox.files = {name: (name.encode(), 1) for name in ("b.ack", *GOOD)}
    world.outbox.claims = {"b.ack": 77}
    world.poll()
    assert alarms(world) == []
    world.poll(3)
    (alarm,) = alarms(world)
    assert "77 bytes were listed and 5 were read" in alarm.detail["why"]
    assert sorted(each.name for each in world.results()) == list(GOOD)
    world.outbox.claims.clear()
    assert world.poll() == 1
    assert [each.state for each in alarms(world)] == ["closed_by_late_result"]


def test_what_failed_less_often_is_tried_first(world: CollectWorld) -> None:
    """A file that ends every session, first by its name, keeps none from a second try that failed only once."""
    world.outbox.files = {"a.ack": (b"a", 1), "b.ack": (b"b", 1)}
    for _ in range(3):  # ended by a, by b that was not tried before, and by a again
        assert hang_up(world, "a.ack", "b.ack") == 0
    del world.outbox.errors["b.ack"]
    assert hang_up(world, "a.ack") == 1
    assert [each.name for each in world.results()] == ["b.ack"]


def test_a_file_that_failed_and_has_changed_is_looked_at_anew(world: CollectWorld) -> None:
    """What the acquirer put in its place is fetched like any file, and one that is gone is gone."""
    world.outbox.files = {"a.ack": (b"a", 1), "b.ack": (b"b", 1)}
    world.outbox.errors = {name: DeliveryFailed("permission denied") for name in ("a.ack", "b.ack")}
    world.poll()
    world.outbox.files = {"a.ack": (b"other", 2)}
    assert world.poll() == 1
    assert (world.sighting("a.ack").state, world.sighting("b.ack").state) == ("collected", "gone")


def test_a_result_that_outgrew_its_limit_is_not_brought_over(tmp_path: Path) -> None:
    """Small in the listing, large at the fetch: nothing of it stays in the spool, and the second time it is an alarm."""
    world = CollectWorld(tmp_path, stable_listings=1, bytes_max=10)
    world.outbox.files = {"b.ack": (b"b", 1)}
    for _ in range(2):
        world.outbox.hooks["b.ack", "before"] = lambda: world.outbox.files.update({"b.ack": (b"b" * 11, 1)})
        world.poll()
        assert list(tmp_path.glob("**/result*")) == []
        world.outbox.files = {"b.ack": (b"b", 1)}
    assert world.results() == []
    assert "larger than 10 bytes" in alarms(world)[0].detail["why"]


def test_names_that_bring_nothing_new_take_no_lock(world: CollectWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing that was seen before is compared without a writing transaction, whatever became of its files."""
    world.outbox.files = {f"{number}.ack": (b"x", 1) for number in range(7)} | {"README": (b"?", 1), "a.tmp": (b"", 1)}
    world.poll()
    world.outbox.errors.clear()
    written: list[str] = []
    monkeypatch.setattr(collect_listing, "sight", lambda _tx, _ports, seen, _listing: written.append(seen.name))
    world.poll()
    assert written == []
    world.outbox.files["3.ack"] = (b"new", 2)
    world.poll()
    assert written == ["3.ack"]


def test_a_file_that_waits_for_its_marker_takes_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of them lie there, a poll in which none has changed writes none."""
    world = CollectWorld(tmp_path, stable="marker")
    world.outbox.files = {"a.ack": (b"x", 1), "b.ack": (b"x", 1)}
    world.poll()
    written: list[str] = []
    monkeypatch.setattr(collect_listing, "sight", lambda _tx, _ports, seen, _listing: written.append(seen.name))
    world.outbox.files["b.ack.ok"] = (b"", 1)
    world.poll()
    assert written == ["b.ack", "b.ack.ok"]


def test_new_names_are_written_in_parts(world: CollectWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two parts whoever waits for the ledger has time to get in, and the lease is renewed."""
    world.outbox.files = {f"{number:02}.ack": (b"x", 1) for number in range(10)}
    monkeypatch.setattr(collect_listing, "WRITTEN_TOGETHER", 4)
    rests: list[float] = []
    monkeypatch.setattr(collect_listing.time, "sleep", rests.append)
    parts: dict[int, int] = {}

    def sight(tx: object, *given: object) -> None:
        parts[id(tx)] = parts.get(id(tx), 0) + 1
        kept.append(tx)
        collect_sighting.sight(tx, *given)  # type: ignore[arg-type]

    kept: list[object] = []  # an id is only new while the others live
    monkeypatch.setattr(collect_listing, "sight", sight)
    renewed: list[int] = []
    ports = CollectPorts(world.ledger, world.store, world.clock, world.acquirer, world.outbox.connect, world.spool)
    with world.outbox.connect() as drop:
        listing = {each.name: each for each in drop.listing("outbox")}
    collect_listing.take_down(ports, listing, lambda: renewed.append(len(parts)))
    assert list(parts.values()) == [4, 4, 2]
    assert rests == [collect_listing.REST_S] * 2
    assert renewed == [1, 2]


def listed(*entries: tuple[bytes, bytes]) -> list[tuple[str, int]]:
    """What a server's answer (name, attributes) becomes."""
    body = b"".join(text(name) + text(b"-rw-r--r-- 1") + found for name, found in entries)
    answers = [
        packet(Kind.HANDLE, 1, text(b"h")),
        packet(Kind.NAME, 2, struct.pack(">I", len(entries)) + body),
        status(3, Code.EOF),
        status(4, Code.OK),
    ]
    return [(each.name, each.size) for each in files_of(Wire(Script(GREETING, *answers), lambda: None), b"outbox")]


def sized(size: int) -> bytes:
    return struct.pack(">IQ", 1, size)


def test_one_size_that_cannot_be_ends_no_listing() -> None:
    """No size, or one that no database keeps, is the largest of all: that file is too large, and the others are as they are."""
    found = listed((b"a", struct.pack(">I", 0)), (b"b", sized(2**64 - 1)), (b"c", sized(2**63)), (b"d", sized(7)))
    assert found == [("a", SIZE_MAX), ("b", SIZE_MAX), ("c", SIZE_MAX), ("d", 7)]
    assert SIZE_MAX == 2**63 - 1


def test_a_name_longer_than_any_is_kept_short(tmp_path: Path) -> None:
    """It is no name of a result, two of them are two, and the database can keep it."""
    long = b"\xff" + b"n" * NAME_BYTES_MAX
    found = [
        name for name, _ in listed((long + b"1.ack", sized(1)), (long + b"2.ack", sized(1)), (b"\xff" * 900, sized(1)))
    ]
    first, *_ = found
    assert len(set(found)) == 3
    assert max(map(len, found)) < 500
    world = CollectWorld(tmp_path)
    world.outbox.files = {first: (b"x", 1), "good.ack": (b"x", 1)}
    assert world.poll(2) == 1
    assert world.sighting(first) == Sighting("north", first, 1, 1, "refused")
    assert len(world.alarms()) == 1
