"""Builds the sample source: a legacy platform's SQLite database with one insert-only payment journal, filled by seed.

    PAYMENT_JOURNAL   one row per revision of a payment: PAY_NO is the payment, REV_NO its revision, CHG_TS when it was written
    truth             one JSON line per planted row, after a first line that sums up (see local.legacy_truth)

AMT is declared DECIMAL. SQLite gives that name numeric affinity: `12.50` comes back as 12.5, and text that is not a number
stays text. Every amount has at most 15 significant digits, so nothing is lost by it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from local.legacy_sample import Row, Sample, draw, rows, total
from local.legacy_truth import Plant, Truth, plan
from payments.errors import NotAllowed

ROWS_PER_BLOCK = 50_000
PAYMENTS_MAX = 20_000_000
RUNS_APART_MIN = timedelta(minutes=15)
TABLE = "PAYMENT_JOURNAL"

_TYPES = {"rev_no": "INTEGER NOT NULL", "chg_ts": "INTEGER NOT NULL", "pay_no": "TEXT NOT NULL", "amt": "DECIMAL"}
_COLUMNS = ", ".join(f"{name.upper()} {_TYPES.get(name, 'TEXT')}" for name in Row._fields)
CREATE = f"CREATE TABLE {TABLE} ({_COLUMNS}, PRIMARY KEY (PAY_NO, REV_NO)) WITHOUT ROWID"
INDEX = f"CREATE INDEX {TABLE}_CHG ON {TABLE} (CHG_TS, PAY_NO, REV_NO)"
INSERT = f"INSERT INTO {TABLE} VALUES ({', '.join('?' * len(Row._fields))})"


def build(path: Path, *, payments: int, seed: int, start: datetime, runs_at: list[datetime], truth: Path) -> None:
    """Write the database and its truth; what was at either path is replaced. Same arguments, same rows.

    `start` is when the sample begins, `runs_at` are the times at which it is extracted (aware, ascending): a payment is
    entered before one of them, most before the first; revisions planted "after sealing" come before a later one. `payments`
    counts PAY_NOs: planted later revisions are rows beyond it. Raises NotAllowed for numbers outside the limits.
    """
    check_size(payments, seed)
    _check_times(start, runs_at)
    rng = np.random.default_rng(seed)
    sample = draw(rng, payments=payments, start=start, runs_at=runs_at)
    plants = plan(rng, sample, runs_at)
    ordinary = np.ones(payments, dtype=np.bool_)
    ordinary[[plant.payment for plant in plants]] = False
    found = Truth(extracted=total(sample, ordinary))
    _fill(path, _blocks(sample, plants, found))
    text = found.document(payments=payments, rows=found.extracted.count, seed=seed)
    _replace_text(truth, "".join(text))


def check_size(payments: int, seed: int) -> None:
    """Raises NotAllowed for numbers that no sample can be made with."""
    if not 1 <= payments <= PAYMENTS_MAX or seed < 0:
        raise NotAllowed(
            f"a sample of {payments} payments with seed {seed} cannot be made",
            next_step=f"Ask for 1 to {PAYMENTS_MAX} payments and a seed of 0 or more.",
        )


def _check_times(start: datetime, runs_at: list[datetime]) -> None:
    gaps = [later - earlier for earlier, later in pairwise([start, *runs_at])]
    if not runs_at or any(gap < RUNS_APART_MIN for gap in gaps):
        raise NotAllowed(
            "the sample's start and extraction times must be ascending and at least 15 minutes apart",
            next_step="Give at least one time behind the start, and times that are further apart.",
        )


def _blocks(sample: Sample, plants: list[Plant], truth: Truth) -> Iterator[list[tuple[Any, ...]]]:
    """The journal's rows, a block of payments at a time, planted rows in place of ordinary ones."""

    def original(payment: int) -> Row:
        return Row._make(rows(sample, payment, payment + 1)[0])

    by_block: defaultdict[int, list[Plant]] = defaultdict(list)
    for plant in sorted(plants, key=lambda plant: plant.payment):
        by_block[plant.payment // ROWS_PER_BLOCK].append(plant)
    for block, begin in enumerate(range(0, len(sample), ROWS_PER_BLOCK)):
        journal = rows(sample, begin, begin + ROWS_PER_BLOCK)
        for plant in by_block[block]:
            position = plant.payment - begin
            first, *further = truth.altered(plant, Row._make(journal[position]), original)
            journal[position] = first
            journal.extend(further)
        yield journal


def _fill(path: Path, blocks: Iterator[list[tuple[Any, ...]]]) -> None:
    """Write a new database beside the old one and put it in its place when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished, isolation_level=None)) as database:
        # Nobody reads it before the rename, and a crash only means building again.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN")
        database.execute(CREATE)
        for block in blocks:
            database.executemany(INSERT, block)
        database.execute(INDEX)
        database.execute("COMMIT")
    unfinished.replace(path)


def _replace_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
