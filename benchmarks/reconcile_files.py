"""Measure `tieout reconcile` on two files: wall and CPU seconds and peak memory, beside pandas and polars where installed.

    python benchmarks/reconcile_files.py [--rows 5000000] [--seed 1] [--memory-limit-mb 512]

Prints one JSON line per figure. Each side has `rows` payments in eight columns; 1 % of them differ in every kind, 1 % are
twice in either file, and the right file is in another order. Every run happens in a fresh process and is checked against the
planted counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

BLOCK_ROWS = 250_000
KEY = "end_to_end_id"
# In the order of precedence; the place of a kind is the bucket of a hundred that has it.
DIFFERING = {
    "status": "status_conflict",
    "currency": "currency_differs",
    "direction": "direction_differs",
    "amount": "amount_differs",
    "creditor_account": "account_differs",
    "requested_date": "date_differs",
    "remittance": "data_differs",
}
MISSING, UNKNOWN, SENT_TWICE, REPORTED_TWICE = 7, 8, 9, 10
ALONE = {"missing_at_acquirer": MISSING, "unknown_to_us": UNKNOWN, "duplicate_sent": SENT_TWICE}
ALONE |= {"duplicate_result": REPORTED_TWICE}


def block(start: int, rows: int, seed: int) -> tuple[pa.Table, pa.Table, np.ndarray]:
    """Ours and theirs of one block before rows are left out or repeated, and the bucket of each row."""
    number = np.arange(start, start + rows, dtype=np.int64)
    mixed = (number * 2_654_435_761 + seed * 97) % 1_000_003
    bucket = (mixed // 7) % 100
    minor = mixed * 13 % 9_999_999 + 1
    days = np.datetime64("2026-03-02") + (mixed % 28)
    accounts = np.char.add("DE", np.char.zfill((mixed * 7919).astype(str), 20))
    cents = np.char.add(np.char.add((minor // 100).astype(str), "."), np.char.zfill((minor % 100).astype(str), 2))
    ours = {
        KEY: np.char.add("E2E", np.char.zfill(number.astype(str), 12)),
        "amount": cents,
        "currency": np.array(["EUR", "USD", "GBP"])[mixed % 3],
        "direction": np.array(["CRDT", "DBIT"])[mixed % 2],
        "status": np.array(["ACSC", "ACCC"])[mixed % 2],
        "requested_date": days.astype(str),
        "creditor_account": accounts,
        "remittance": np.char.add("invoice ", (mixed % 5000).astype(str)),
    }
    theirs = dict(ours)
    for place, name in enumerate(DIFFERING):
        other = {"currency": "CHF", "direction": "OTHR", "amount": "0.01", "requested_date": "2027-01-01"}
        theirs[name] = np.where(bucket == place, other.get(name, "different"), ours[name])
    return pa.table(ours), pa.table(theirs), bucket


def write_files(directory: Path, rows: int, seed: int) -> dict[str, int]:
    """left and right as .parquet and .csv; the planted count of each kind."""
    buckets = np.zeros(100, dtype=np.int64)
    writers: dict[str, tuple[pq.ParquetWriter, pyarrow.csv.CSVWriter]] = {}
    random = np.random.default_rng(seed)
    for start in range(0, rows, BLOCK_ROWS):
        ours, theirs, bucket = block(start, min(BLOCK_ROWS, rows - start), seed)
        buckets += np.bincount(bucket, minlength=100)
        at = np.arange(len(bucket))
        left = np.concatenate([at[bucket != UNKNOWN], at[bucket == SENT_TWICE]])
        right = random.permutation(np.concatenate([at[bucket != MISSING], at[bucket == REPORTED_TWICE]]))
        for side, table in (("left", ours.take(left)), ("right", theirs.take(right))):
            if side not in writers:
                writers[side] = (
                    pq.ParquetWriter(directory / f"{side}.parquet", table.schema, compression="zstd"),
                    pyarrow.csv.CSVWriter(directory / f"{side}.csv", table.schema),
                )
            for writer in writers[side]:
                writer.write_table(table)
    for pair in writers.values():
        for writer in pair:
            writer.close()
    planted = {kind: int(buckets[place]) for place, kind in enumerate(DIFFERING.values())}
    return planted | {kind: int(buckets[place]) for kind, place in ALONE.items()}


def ours(left: Path, right: Path, memory_limit_mb: int) -> dict[str, int]:
    from reconciliation.compare import compare_files

    found = compare_files(left, right, key=(KEY,), limit=0, memory_limit_mb=memory_limit_mb)
    return {str(kind): count for kind, count in found.mismatches_by_kind.items()}


def by_pandas(left: Path, right: Path, _memory_limit_mb: int) -> dict[str, int]:
    import pandas as pd

    tables = [pd.read_parquet(path) for path in (left, right)]
    extra = [table.duplicated(KEY) for table in tables]
    firsts = [table[~copies] for table, copies in zip(tables, extra, strict=True)]
    joined = firsts[0].merge(firsts[1], on=KEY, how="outer", suffixes=("", "_theirs"), indicator=True)
    both = joined["_merge"] == "both"
    found = {
        "duplicate_sent": int(extra[0].sum()),
        "duplicate_result": int(extra[1].sum()),
        "missing_at_acquirer": int((joined["_merge"] == "left_only").sum()),
        "unknown_to_us": int((joined["_merge"] == "right_only").sum()),
    }
    for name, kind in DIFFERING.items():
        differs = both & (joined[name] != joined[f"{name}_theirs"])
        found[kind] = int(differs.sum())
        both &= ~differs
    return found


def by_polars(left: Path, right: Path, _memory_limit_mb: int) -> dict[str, int]:
    import polars as pl

    tables = [pl.read_parquet(path) for path in (left, right)]
    firsts = [table.unique(KEY, keep="first", maintain_order=True) for table in tables]
    joined = firsts[0].join(firsts[1], on=KEY, how="full", suffix="_theirs")
    alone = {
        "duplicate_sent": len(tables[0]) - len(firsts[0]),
        "duplicate_result": len(tables[1]) - len(firsts[1]),
        "missing_at_acquirer": joined[f"{KEY}_theirs"].null_count(),
        "unknown_to_us": joined[KEY].null_count(),
    }
    pairs = joined.filter(pl.col(KEY).is_not_null() & pl.col(f"{KEY}_theirs").is_not_null())
    for name, kind in DIFFERING.items():
        differs = pairs[name] != pairs[f"{name}_theirs"]
        alone[kind] = int(differs.sum())
        pairs = pairs.filter(~differs)
    return alone


WORKERS: dict[str, tuple[str, str, Callable[[Path, Path, int], dict[str, int]]]] = {
    "tieout, Parquet to Parquet": ("duckdb", "parquet", ours),
    "tieout, CSV to CSV": ("duckdb", "csv", ours),
    "pandas merge, Parquet to Parquet": ("pandas", "parquet", by_pandas),
    "polars join, Parquet to Parquet": ("polars", "parquet", by_polars),
}


def peak_mb() -> int:
    """VmHWM, because ru_maxrss starts with what the parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def work(name: str, directory: Path, memory_limit_mb: int) -> None:
    """One measured run, in a process of its own."""
    _, suffix, act = WORKERS[name]
    started = time.perf_counter()
    found = act(directory / f"left.{suffix}", directory / f"right.{suffix}", memory_limit_mb)
    figure = {"wall_s": round(time.perf_counter() - started, 2), "cpu_s": round(time.process_time(), 2)}
    print(json.dumps({**figure, "peak_mb": peak_mb(), "found": found}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory-limit-mb", type=int, default=512)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker[0], Path(given.worker[1]), given.memory_limit_mb)
        return
    with tempfile.TemporaryDirectory(prefix="tieout-bench-") as directory:
        planted = write_files(Path(directory), given.rows, given.seed)
        for name, (package, _, _) in WORKERS.items():
            figure = {"figure": f"reconcile files: {name}", "rows": given.rows}
            if importlib.util.find_spec(package) is None:
                print(json.dumps({**figure, "skipped": f"{package} is not installed"}), flush=True)
                continue
            options = ["--memory-limit-mb", str(given.memory_limit_mb), "--worker", name, directory]
            answer = subprocess.run(
                [sys.executable, __file__, *options], check=True, capture_output=True, text=True, timeout=1800
            )
            measured = json.loads(answer.stdout)
            found = {kind: count for kind, count in measured.pop("found").items() if count}
            assert found == {kind: count for kind, count in planted.items() if count}, (name, found, planted)
            print(json.dumps({**figure, **measured, "mismatches": sum(found.values())}), flush=True)


if __name__ == "__main__":
    main()
