"""Compare two files, ours and the acquirer's: which payments agree, which differ and how, and do the counts tie?

`compare_files` is what `tieout reconcile LEFT RIGHT` runs. It needs no service and no configuration. The engine is DuckDB
with a memory limit; above it, it spills into a directory that is removed at the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payments.books import Total
from payments.errors import BooksOff, Unreadable
from payments.states import MismatchKind
from reconciliation import compare_sql as sql
from reconciliation.compare_columns import (
    FLOATS,
    Field,
    Plan,
    guess_key,
    named_fields,
    shared_fields,
    sum_columns,
)
from reconciliation.compare_engine import engine_in, translated
from reconciliation.compare_inputs import Input, open_input
from reconciliation.compare_listing import Difference, check_output, listed_differences, write_differences
from reconciliation.compare_sums import Side, counted, summed

MEMORY_LIMIT_MB = 512
THREADS = 2
LISTED = 20
LISTED_MAX = 10_000
REPORT = "This is a fault of the compare itself: keep both files and report it."


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answer. `matched.amount_minor` sums our rows of the pairs that agree; `mismatches` holds the first ones listed."""

    left: Side
    right: Side
    matched: Side
    mismatches_by_kind: dict[MismatchKind, int]
    key: tuple[str, ...]
    key_guessed: bool
    compared: tuple[str, ...]
    notes: tuple[str, ...]
    mismatches: tuple[Difference, ...]

    @property
    def agrees(self) -> bool:
        return not any(self.mismatches_by_kind.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "left": self.left.to_json(),
            "right": self.right.to_json(),
            "matched": self.matched.to_json(),
            "mismatches_by_kind": {str(kind): count for kind, count in self.mismatches_by_kind.items()},
            "agrees": self.agrees,
            "key": list(self.key),
            "key_guessed": self.key_guessed,
            "compared": list(self.compared),
            "notes": list(self.notes),
            "mismatches_listed": len(self.mismatches),
            "mismatches": [each.to_json() for each in self.mismatches],
        }


def compare_files(
    left: Path,
    right: Path,
    *,
    key: Sequence[str] = (),
    compare: Sequence[str] | None = None,
    renamed: Mapping[str, str] | None = None,
    limit: int = LISTED,
    output: Path | None = None,
    memory_limit_mb: int = MEMORY_LIMIT_MB,
    threads: int = THREADS,
) -> Comparison:
    """Compare `left` (ours) with `right` (the acquirer's): delimited text with a header line, or Parquet.

    `key` is guessed when empty, `compare` is all that both have when None; `renamed` pairs our names with theirs. `output`
    (.csv or .parquet) takes all mismatches. Raises WrongConfiguration, NotAllowed (the call is wrong), Unreadable (a file
    is), TryAgain (no space) and BooksOff (the counts or sums do not tie: a fault of ours).
    """
    if output is not None:
        check_output(output, left, right)
    with (
        tempfile.TemporaryDirectory(prefix="tieout-compare-") as directory,
        engine_in(Path(directory), memory_limit_mb=memory_limit_mb, threads=threads) as engine,
    ):
        ours = open_input(engine, "LEFT", left, Path(directory))
        theirs = open_input(engine, "RIGHT", right, Path(directory))
        plan = _plan(engine, ours, theirs, key=key, compare=compare, renamed=renamed or {})
        left_side, right_side = counted(engine, ours, plan.left_sums), counted(engine, theirs, plan.right_sums)
        _find_pairs(engine, plan, ours, theirs)
        matched, by_kind = _tied(engine, plan, left_side, right_side)
        mismatches = listed_differences(engine, plan, max(0, min(limit, LISTED_MAX)))
        ours.check_unchanged()
        theirs.check_unchanged()
        if output is not None:
            write_differences(engine, plan, output)
    return Comparison(
        left=Side.of(left_side, plan.left_sums),
        right=Side.of(right_side, plan.right_sums),
        matched=Side.of(matched, plan.left_sums),
        mismatches_by_kind=by_kind,
        key=tuple(field.name for field in plan.key),
        key_guessed=plan.key_guessed,
        compared=tuple(field.name for field in plan.compared),
        notes=(*ours.notes, *theirs.notes, *_float_notes(plan)),
        mismatches=mismatches,
    )


def _plan(
    engine: Any,
    ours: Input,
    theirs: Input,
    *,
    key: Sequence[str],
    compare: Sequence[str] | None,
    renamed: Mapping[str, str],
) -> Plan:
    shared = shared_fields(ours.columns, theirs.columns, renamed)

    def distinct_share(field: Field) -> float:
        value = sql.canonical(field.left, field)
        with translated(ours):
            found = engine.execute(
                f"SELECT approx_count_distinct({value}), count(*) FROM ({sql.rows(ours, [field.left])})"
            ).fetchone()
        return float(found[0] / max(found[1], 1))

    keys = named_fields("--key", key, shared) if key else (guess_key(shared, distinct_share),)
    candidates = tuple(shared.values()) if compare is None else named_fields("--compare", compare, shared)
    return Plan(
        key=keys,
        compared=tuple(field for field in candidates if field not in keys),
        key_guessed=not key,
        left_sums=sum_columns(ours.columns),
        right_sums=sum_columns(theirs.columns, renamed),
    )


def _find_pairs(engine: Any, plan: Plan, ours: Input, theirs: Input) -> None:
    """Leave the table `pairs` in the engine."""
    sides = (("left", ours), ("right", theirs))
    try:
        with translated(ours, theirs):
            engine.execute(sql.odd(plan, ours, theirs))
    except Unreadable:
        for name, source in sides:  # the engine does not always say which file it was: each is read alone
            with translated(source):
                engine.execute(sql.read_through(plan, name, source))
        raise
    for name, source in sides:
        with translated(source):
            engine.execute(sql.odd_rows(plan, name, source))
            engine.execute(sql.firsts(plan, name))
    with translated(ours, theirs):
        engine.execute(sql.pairs(plan))
        engine.execute(sql.extra_copies(plan, "l", "left", MismatchKind.DUPLICATE_SENT))
        engine.execute(sql.extra_copies(plan, "r", "right", MismatchKind.DUPLICATE_RESULT))
        for table in ("odd", "left_odd", "right_odd", "left_first", "right_first"):
            engine.execute(f"DROP TABLE {table}")


def _tied(engine: Any, plan: Plan, left: Total, right: Total) -> tuple[Total, dict[MismatchKind, int]]:
    """What matched, and every mismatch by kind. Raises BooksOff unless both sides are matched + their kinds.

    Matched is what is left of each side without its mismatches: both ways must give the same count and, where amounts were
    compared, the same sums. So a pair that was passed over wrongly shows.
    """
    rows = engine.execute("SELECT kind, count(*), count(left_n), count(right_n) FROM pairs GROUP BY kind").fetchall()
    by_kind = dict.fromkeys(MismatchKind, 0) | {MismatchKind(row[0]): int(row[1]) for row in rows if row[0]}
    remaining = []
    for at, (side, whole, columns) in enumerate((("left", left, plan.left_sums), ("right", right, plan.right_sums))):
        mismatched = f"SELECT * FROM pairs WHERE kind IS NOT NULL AND {side}_n IS NOT NULL"
        count = sum(int(row[2 + at]) for row in rows if row[0])
        taken = Total(count=count) if columns is None else summed(engine, columns, mismatched, side[0])
        if taken.count != count:
            raise BooksOff(
                f"{side}: {taken.count} mismatched rows were summed, but {count} were counted", next_step=REPORT
            )
        remaining.append(whole - taken)
    ours, theirs = remaining
    if ours.count != theirs.count or (plan.sums_must_agree and not ours.same_money(theirs)):
        raise BooksOff(
            f"the compare does not tie: {ours.count} of our rows and {theirs.count} of theirs agree, or their sums differ",
            next_step=REPORT,
        )
    return ours, by_kind


def _float_notes(plan: Plan) -> list[str]:
    """Floating point holds no exact amounts: its shortest decimal text is compared, and that is said."""
    return [
        f"{side} column {field.name} is floating point: the shortest decimal text of each value is compared"
        for field in (*plan.key, *plan.compared)
        for side, column in (("LEFT", field.left), ("RIGHT", field.right))
        if column.type in FLOATS
    ]
