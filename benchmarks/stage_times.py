"""What each stage costs per million payments: the real handlers over a PostgreSQL ledger and source, S3 and SQS by moto, SFTP on loopback.

Two runs, one of so few payments that only the beginning counts: `tieout cost` takes their difference for what a payment costs,
and what remains of the small one for what a run costs. Processor seconds are those of the process that runs the handlers;
wall time on a machine with other work is worth little, and no bill is made of it. With `--write` the figures become
tieout/data/measured.toml; without it they are printed, one JSON line per stage. Checks that the books of both runs tie.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SUPPORT = Path(__file__).parent / "support"
MEASURED = ROOT / "tieout" / "data" / "measured.toml"
SMALL, LARGE = 1_000, 1_000_000
IDLE_TIMES = 20
HEAD = """\
# What benchmarks/stage_times.py measured: `scripts/bench stage_times` measures again, with --write it replaces this file.
# cpu_s and wall_s are sums over all invocations of a stage; s3_put counts POST too; statements are trips to the ledger.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=LARGE)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="replace tieout/data/measured.toml")
    args = parser.parse_args()
    measured = {
        "measured_on": datetime.now(UTC).date(),
        "command": f"benchmarks/stage_times.py --payments {args.payments} --seed {args.seed}",
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "load_before": _load(),
        "small": _apart(SMALL, args.seed, False),
        "large": _apart(args.payments, args.seed, True),
    }
    measured["load_after"] = _load()
    measured["idle"] = measured["large"].pop("idle")
    for name, run in (("small", measured["small"]), ("large", measured["large"])):
        for stage, figures in run["stages"].items():
            print(json.dumps({"figure": "stage", "run": name, "stage": stage, "payments": run["payments"], **figures}))
    if args.write:
        MEASURED.write_text(HEAD + _toml(measured))
    return 0


def _apart(*arguments: object) -> dict[str, Any]:
    """In a process of its own: handlers keep their world for as long as their process lives."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_run, *arguments).result()


def _run(payments: int, seed: int, idle: bool) -> dict[str, Any]:
    sys.path[:0] = [str(ROOT), str(SUPPORT)]
    from stage_world import chain

    from reconciliation.statement import statement

    with chain(payments, seed) as made:
        before = made.sizes()
        made.run()
        after = made.sizes()
        with made.world.ledger.look() as tx:
            books = statement(tx)
        assert books.ties, books.faults
        assert books.terms["delivered"].count > 0.9 * payments
        assert books.terms["matched"].count > 0.9 * payments
        stages = {name: _rounded(asdict(each)) for name, each in made.meter.stages.items()}
        found: dict[str, Any] = {
            "payments": books.terms["extracted"].count,
            "stages": stages,
            "kept": {name: round(after[name] - before[name], 2) for name in after},
        }
        if idle:
            quiet = made.sizes()
            made.meter.stages.clear()
            made.idle(IDLE_TIMES)
            last = made.sizes()
            found["idle"] = {
                "times": IDLE_TIMES,
                "ledger_log_bytes": int(last["ledger_log_bytes"] - quiet["ledger_log_bytes"]),
                **{name: _rounded(asdict(each)) for name, each in made.meter.stages.items()},
            }
    return found


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}


def _load() -> float:
    return round(os.getloadavg()[0], 1)


def _commit() -> str:
    """Of the code that was run; a plus sign says that files were changed since."""
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    return commit.strip() + ("+" if changed.strip() else "")


def _toml(table: dict[str, Any], path: tuple[str, ...] = ()) -> str:
    lines = [f"\n[{'.'.join(path)}]"] if path else []
    inner = ""
    for name, value in table.items():
        if isinstance(value, dict):
            inner += _toml(value, (*path, name))
        else:
            lines.append(f"{name} = {json.dumps(value) if isinstance(value, str) else value}")
    return "\n".join(lines) + "\n" + inner


if __name__ == "__main__":
    sys.exit(main())
