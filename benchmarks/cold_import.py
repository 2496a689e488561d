"""CPU of a cold start, function by function: the median of seven fresh processes, and what each package costs of it.

Each process imports and builds what its function needs for its first message (`benchmarks/support/cold_start.py`), and
connects to nothing. Measured is the bundle of `make bundle-here`, unpacked, with nothing else on the path; without a bundle, or
with `--environment`, the packages of this environment. Prints one JSON line per function.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "build" / "bundle-here"
PROGRAM = Path(__file__).parent / "support" / "cold_start.py"
TRIES = 7
PACKAGES_SHOWN = 12
TARGETS_MS = {"curate": 550, "reconcile": 550, "deliver": 600, "dashboard": 550}
IMPORTED = re.compile(r"import time:\s+(?P<self_us>\d+) \|\s+\d+ \|\s+(?P<module>\S+)")
LAUNCH = "import runpy, sys; sys.path[:0] = sys.argv[1].split(':'); sys.argv[1:] = sys.argv[2:3]; runpy.run_path({!r}, run_name='__main__')"


def main() -> int:
    sys.path.insert(0, str(ROOT))
    from functions.topology import BESIDE, TOPOLOGY

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("functions", nargs="*", help="default: all of the topology")
    parser.add_argument("--environment", action="store_true", help="measure this environment, not the bundle")
    args = parser.parse_args()
    layers = {each.name: each.layers for each in (*TOPOLOGY, *BESIDE)}
    is_bundle = BUNDLE.is_dir() and not args.environment
    with tempfile.TemporaryDirectory(prefix="tieout-bench-") as folder:
        if is_bundle:
            unpack(Path(folder))
        for function in args.functions or layers:
            roots = [f"{folder}/code", *(f"{folder}/{layer}/python" for layer in layers[function])]
            command = [sys.executable, "-I", *(["-S"] if is_bundle else []), "-X", "importtime"]
            command += ["-c", LAUNCH.format(str(PROGRAM)), ":".join(roots if is_bundle else [str(ROOT)]), function]
            print(json.dumps(measured(function, command, "bundle" if is_bundle else "environment")), flush=True)
    return 0


def unpack(folder: Path) -> None:
    """As Lambda does, each layer in a folder of its own so that a function sees only its layers."""
    for archive in (BUNDLE / "code.zip", *sorted((BUNDLE / "layers").glob("*.zip"))):
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder / archive.stem)


def measured(function: str, traced: list[str], what: str) -> dict[str, Any]:
    """Seven runs without tracing; then one with it: the median is divided among the packages as their imports took time there."""
    plain = [word for word in traced if word not in {"-X", "importtime"}]
    runs = [json.loads(run(plain).stdout.splitlines()[-1]) for _ in range(TRIES)]
    costs: Counter[str] = Counter()
    for line in run(traced).stderr.splitlines():
        found = IMPORTED.match(line)
        if found:
            name = found["module"].partition(".")[0].removeprefix("_")
            name = "python" if name in sys.stdlib_module_names or f"_{name}" in sys.stdlib_module_names else name
            costs[name] += int(found["self_us"])
    total, median = sum(costs.values()), statistics.median(each["cpu_ms"] for each in runs)
    return {
        "figure": "cold import",
        "function": function,
        "measured": what,
        "cpu_ms": round(median),
        "cpu_ms_best": round(min(each["cpu_ms"] for each in runs)),
        "target_ms": TARGETS_MS.get(function),
        "package_ms": {name: round(median * us / total) for name, us in costs.most_common(PACKAGES_SHOWN)},
    }


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)


if __name__ == "__main__":
    sys.exit(main())
