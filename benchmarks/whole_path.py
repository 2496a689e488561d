"""The whole path: from extract to tie-out, delimited, with an acquirer that answers at once; wall, CPU and peak memory.

Prints one JSON line per figure. The clock starts with the first extraction and stops when the books tie.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

from local.demo import run_demo
from local.prepare import prepare
from local.router import local_world


class Watcher(threading.Thread):
    """Samples peak memory and CPU of this process and all its children until stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb: dict[str, float] = {}
        self.cpu_s: dict[str, float] = {}
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.5):
            for folder in Path("/proc").iterdir():
                if folder.name.isdigit():
                    self._look(folder)

    def _look(self, folder: Path) -> None:
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(ROOT) not in command and folder.name != str(OWN):
                return
            peak = re.search(r"VmHWM:\s+(\d+)", (folder / "status").read_text())
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
        except (OSError, UnicodeDecodeError):
            return
        name = re.sub(r".*-m (\S+).*", r"\1", command) if " -m " in command else "service"
        name = f"{name} {folder.name}"
        if peak:
            self.peak_mb[name] = int(peak.group(1)) / 1024
        self.cpu_s[name] = (int(stat[11]) + int(stat[12])) / 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    global ROOT, OWN  # noqa: PLW0603  (what the watcher looks for)
    import os

    OWN = os.getpid()
    with tempfile.TemporaryDirectory(prefix="tieout-bench-") as folder:
        ROOT = Path(folder) / "demo"
        prepare(ROOT, payments=args.payments, seed=args.seed, delays="none")
        config = ROOT / "tieout.toml"
        text = re.sub(r"^end = \S+", "end = 2026-03-02T07:45:00Z", config.read_text(), flags=re.MULTILINE)
        config.write_text(text)
        watcher = Watcher()
        watcher.start()
        marks: dict[str, float] = {}

        def watch(world: object) -> None:
            with world.ledger.look() as tx:  # type: ignore[attr-defined]
                if "extract" not in marks and tx.runs.count():
                    marks["extract"] = time.perf_counter()
                if "assembled" not in marks and tx.runs.count(state="assembled"):
                    marks["assembled"] = time.perf_counter()
                if (
                    "delivered" not in marks
                    and tx.files.count()
                    and not tx.files.count(state=("planned", "sealed", "delivering"))
                ):
                    marks["delivered"] = time.perf_counter()
                if tx.results.count() and not tx.results.count(reconciled=False):
                    marks["tied"] = time.perf_counter()

        result = run_demo(ROOT, page=False, watch=watch)
        watcher.done.set()
        watcher.join()
        assert result.ties, result.faults
        assert result.terms["delivered"].count > 0.9 * args.payments
        wall = marks["tied"] - marks["extract"]
        print(json.dumps({"figure": "whole path wall", "payments": args.payments, "wall_s": round(wall, 2)}))
        steps = {name: round(at - marks["extract"], 2) for name, at in marks.items()}
        print(json.dumps({"figure": "reached after", "s": steps}))
        for name, peak in sorted(watcher.peak_mb.items()):
            figure = {"figure": "process", "name": name, "peak_mb": round(peak), "cpu_s": watcher.cpu_s[name]}
            print(json.dumps(figure))
        print(json.dumps({"figure": "peak memory of any process", "peak_mb": round(max(watcher.peak_mb.values()))}))
        local_world(str(config)).ledger.engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
