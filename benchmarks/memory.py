"""Peak memory and CPU of every stage, each in a fresh process, at two sizes: the ratio says whether memory is constant.

Prints one JSON line per stage and size, and one per stage with the ratio. Stages run one after another on the same folder.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from local.demo import acquirer
from local.prepare import prepare
from local.router import local_world
from local.virtual import VirtualClock
from reconciliation.statement import statement
from runtime.ledger.clock import LedgerClock
from runtime.wiring import World

AFTER_EXTRACTION = datetime(2026, 3, 2, 5, 31, tzinfo=UTC)
STAGES = ("extract", "curate", "assemble", "deliver", "collect", "read", "reconcile")
BOUNDED = ("extract", "curate", "assemble", "deliver")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=(200_000, 2_000_000))
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--dir", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        print(json.dumps(stage(args.stage, args.dir)))
        return 0
    peaks: dict[str, list[float]] = {name: [] for name in STAGES}
    for payments in args.sizes:
        with tempfile.TemporaryDirectory(prefix="tieout-bench-") as folder:
            for name, figure in path(Path(folder) / "demo", payments):
                peaks[name].append(figure["peak_mb"])
                print(json.dumps({"figure": f"{name} peak", "payments": payments, **figure}), flush=True)
    for name, (small, large) in peaks.items():
        figure = {"figure": f"{name} growth", "ratio": round(large / small, 3), "bounded": name in BOUNDED}
        print(json.dumps(figure))
    return 0


def path(directory: Path, payments: int) -> list[tuple[str, dict[str, float]]]:
    """Run every stage on a fresh sample; each answer is checked at the end."""
    prepare(directory, payments=payments, seed=7, delays="none")
    world = opened(directory)
    assert isinstance(world.clock, LedgerClock)
    world.clock.move(AFTER_EXTRACTION)
    figures = [(name, fresh(name, directory)) for name in STAGES[:3]]
    with acquirer(directory):
        figures.append(("deliver", fresh("deliver", directory)))
        clock = VirtualClock(world.clock, directory / "clock", directory / "acquirer" / "clock")
        tick = clock.ask()
        deadline = time.monotonic() + 600
        while clock.answer(tick) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        figures.append(("collect", fresh("collect", directory)))
    figures += [(name, fresh(name, directory)) for name in STAGES[5:]]
    with world.ledger.look() as tx:
        result = statement(tx)
    assert result.ties, result.faults
    assert result.terms["delivered"].count > 0.9 * payments
    assert result.terms["matched"].count > 0.9 * payments
    return figures


def opened(directory: Path) -> World:
    world = local_world(str(directory / "tieout.toml"))
    world.emit = None  # each stage is called by hand
    return world


def fresh(name: str, directory: Path) -> dict[str, float]:
    """One stage in a process of its own."""
    command = [sys.executable, __file__, "--stage", name, "--dir", str(directory)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800)
    figure: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figure


def stage(name: str, directory: Path) -> dict[str, float]:
    world = opened(directory)
    world.ledger  # noqa: B018
    acts: dict[str, Callable[[], object]] = {
        "extract": lambda: world.extract_source("legacy"),
        "curate": lambda: [world.curate_object(key) for key in world.store.keys("raw/")],
        "assemble": world.assemble,
        "deliver": lambda: world.deliver_to("northbank"),
        "collect": lambda: world.collect_from("northbank"),
        "read": lambda: [world.read_result(key) for key in world.store.keys("results/")],
        "reconcile": lambda: world.reconcile_with("northbank"),
    }
    before, started = time.process_time(), time.perf_counter()
    acts[name]()
    status = Path("/proc/self/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+)", status)
    peak_kb = int(peak.group(1)) if peak else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "peak_mb": round(peak_kb / 1024),
        "cpu_s": round(time.process_time() - before, 2),
        "wall_s": round(time.perf_counter() - started, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
