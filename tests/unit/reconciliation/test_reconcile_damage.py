"""What cannot be read any more stops its own file only, and is named without its contents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from payments.errors import Tampered, Unreachable, WrongConfiguration
from payments.keys import expected_key, reported_key
from reconciliation.engine import open_engine, translated
from reconciliation.reconcile import reconcile
from tests.unit.reconciliation.reconcile_texts import Pay, ack, results, say
from tests.unit.reconciliation.reconcile_world import World

A, B = Pay("A"), Pay("B", 200, "USD", "DBIT")


def test_a_damaged_object_of_one_file_stops_that_file_only(world: World) -> None:
    """The other files are reconciled, the file is named, and once it is restored everything comes right."""
    first, second = world.send([A]), world.send([B], sequence=2)
    damaged = min([first, second], key=lambda each: each.file_id)
    whole = second if damaged is first else first
    path = world.folder / "store" / expected_key("northbank", damaged.business_date, damaged.file_id)
    kept = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(b"PAR1" + b"NL91ABNA0417164300" * 20)
    for sent, pay in ((first, A), (second, B)):
        world.collect(f"{sent.sequence}.ack", ack(sent))
        world.collect(f"{sent.sequence}.result", results(sent, [say(pay, "ACSC")]))
    world.read()
    for _ in range(2):
        with pytest.raises(Tampered, match=f"file {damaged.name}") as caught:
            world.reconcile()
        assert "NL91" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert world.counts(whole) == (1, 0, 0)
    path.write_bytes(kept)
    world.work()
    assert world.counts(damaged) == world.counts(whole) == (1, 0, 0)


def test_a_damaged_list_of_results_stops_the_others_not(world: World) -> None:
    """Its own events are missing until it is restored; the result file stays to be reconciled."""
    sent = world.send([A])
    other = world.send([B], sequence=2)
    good = world.collect("2.result", results(other, [say(B, "ACSC")]))
    bad = world.collect("1.result", results(sent, [say(A, "ACSC")]))
    world.read()
    path = world.folder / "store" / reported_key("northbank", bad.business_date, bad.sha256)
    kept = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(b"")
    with pytest.raises(Tampered, match=f"result file {bad.sha256[:12]}"):
        world.reconcile()
    assert world.counts(other) == (1, 0, 0)
    assert not world.result(bad).reconciled
    path.write_bytes(kept)
    world.reconcile()
    assert world.counts(sent) == (1, 0, 0)
    assert world.result(bad).reconciled
    assert world.result(good).reconciled


def test_too_little_memory_is_said_with_the_setting(make: Callable[..., World]) -> None:
    """A limit that even a small file does not fit in."""
    world = make()
    sent = world.send([Pay(f"P{n}") for n in range(20_000)])
    world.collect("f.ack", ack(sent))
    world.read()
    with pytest.raises(WrongConfiguration, match="needs more memory") as caught:
        reconcile(replace(world.ports, memory_limit_mb=4))
    assert "memory_limit_mb" in caught.value.next_step


def test_a_full_spool_is_tried_again(tmp_path: Path) -> None:
    """The engine spills, and the place is too small."""
    with open_engine(tmp_path, memory_limit_mb=16) as engine:
        engine.execute("SET max_temp_directory_size = '1MB'")
        with pytest.raises(Unreachable, match="no space to spill"), translated("file f"):
            engine.execute(
                "CREATE TEMP TABLE t AS SELECT range AS n, repeat('x', 200) || range AS x FROM range(400000)"
            )
