"""CPU of `tieout status` on an empty ledger: the median of seven fresh processes.

Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TRIES = 7


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tieout-bench-") as folder:
        config = Path(folder) / "tieout.toml"
        config.write_text("")
        command = [sys.executable, "-m", "tieout", "status", "--config", str(config)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)  # makes the ledger
        spent = [cpu_s(command) for _ in range(TRIES)]
    print(json.dumps({"figure": "tieout status, empty ledger", "cpu_s": round(statistics.median(spent), 3)}))
    return 0


def cpu_s(command: list[str]) -> float:
    before = os.times()
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    after = os.times()
    return (after.children_user - before.children_user) + (after.children_system - before.children_system)


if __name__ == "__main__":
    sys.exit(main())
