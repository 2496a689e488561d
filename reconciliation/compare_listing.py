"""List the mismatches of a compare: the first ones for a screen, masked, and all of them into a file, whole."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payments.errors import NotAllowed, WrongConfiguration
from payments.states import MismatchKind
from reconciliation import compare_sql as sql
from reconciliation.compare_columns import Plan, masked

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class DifferingField:
    """One compared column whose values differ; accounts and names are masked."""

    field: str
    left: str | None
    right: str | None

    def to_json(self) -> dict[str, str | None]:
        return {"field": self.field, "left": self.left, "right": self.right}


@dataclass(frozen=True, slots=True)
class Difference:
    """One mismatch. Rows are data rows from 1, the header not counted; None where that side has no row."""

    kind: MismatchKind
    key: dict[str, str | None]
    left_row: int | None
    right_row: int | None
    fields: tuple[DifferingField, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": str(self.kind),
            "key": self.key,
            "left_row": self.left_row,
            "right_row": self.right_row,
            "fields": [each.to_json() for each in self.fields],
        }


def listed_differences(engine: Any, plan: Plan, limit: int) -> tuple[Difference, ...]:
    """The first `limit` mismatches in the order of our rows, then of theirs."""
    rows = engine.execute(_differences(plan, limit)).fetchall()
    return tuple(_difference(plan, row) for row in rows)


def _difference(plan: Plan, row: tuple[Any, ...]) -> Difference:
    kind, left_row, right_row, differing, *values = row
    keys, values = values[: len(plan.key)], values[len(plan.key) :]
    return Difference(
        kind=MismatchKind(kind),
        key={field.name: masked(field.name, value, is_key=True) for field, value in zip(plan.key, keys, strict=True)},
        left_row=left_row,
        right_row=right_row,
        fields=tuple(
            DifferingField(
                field.name,
                masked(field.name, values[2 * at], is_key=False),
                masked(field.name, values[2 * at + 1], is_key=False),
            )
            for at, field in enumerate(plan.compared)
            if field.name in differing
        ),
    )


def check_output(output: Path, *inputs: Path) -> None:
    """Refuse a place that cannot take the mismatches, before any work. Raises WrongConfiguration or NotAllowed."""
    if output.suffix.lower() not in SUFFIXES:
        raise WrongConfiguration(
            f"--output {output.name} is neither .csv nor .parquet", next_step="Name a file that ends in one of them."
        )
    if not output.parent.is_dir() or output.is_dir():
        raise WrongConfiguration(f"--output {output.name}: its directory does not exist", next_step="Make it first.")
    if output.exists() and any(output.samefile(each) for each in inputs if each.exists()):
        raise NotAllowed(f"--output {output.name} is one of the files compared", next_step="Name another file.")


def write_differences(engine: Any, plan: Plan, output: Path) -> None:
    """Write all mismatches, values whole and as given, readable by the owner only; the file appears complete or not at all."""
    suffix = output.suffix.lower()
    try:
        handle, name = tempfile.mkstemp(prefix=f".{output.name}-", suffix=suffix, dir=output.parent)  # mode 0600
    except OSError as error:
        reason = f"--output {output.name} cannot be written: {error.strerror}"
        raise WrongConfiguration(reason, next_step="Name another directory.") from error
    os.close(handle)
    temporary = Path(name)
    try:
        engine.execute(_export(plan, name, as_parquet=suffix == ".parquet"))
        temporary.chmod(0o600)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)


def _differences(plan: Plan, limit: int | None = None) -> str:
    """Every mismatch with its values as given: kind, rows, differing names, key, then ours and theirs per compared column."""
    chosen = "SELECT * FROM pairs WHERE kind IS NOT NULL ORDER BY left_n NULLS LAST, right_n"
    cells = ["kind", "left_n AS row_left", "right_n AS row_right", "fields AS differing"]
    for at, field in enumerate(plan.key):
        ours, theirs = f"CAST(l{field.left.index} AS VARCHAR)", f"CAST(r{field.right.index} AS VARCHAR)"
        cells.append(f"CASE WHEN left_n IS NULL THEN {theirs} ELSE {ours} END AS key_{at}")
    for at, field in enumerate(plan.compared):
        cells.append(f"CAST(l{field.left.index} AS VARCHAR) AS left_{at}")
        cells.append(f"CAST(r{field.right.index} AS VARCHAR) AS right_{at}")
    return f"SELECT {', '.join(cells)} FROM ({chosen}{'' if limit is None else f' LIMIT {limit}'})"


def _export(plan: Plan, target: str, *, as_parquet: bool) -> str:
    """Write every mismatch to `target`; in a delimited file no cell and no name reads as a formula."""
    guard = "{}" if as_parquet else "tie_cell({})"
    cells = ["kind", "row_left", "row_right", guard.format("array_to_string(differing, '|')") + " AS differing"]
    for at, field in enumerate(plan.key):
        cells.append(f"{guard.format(f'key_{at}')} AS {sql.identifier(f'key_{field.name}')}")
    for at, field in enumerate(plan.compared):
        cells.append(f"{guard.format(f'left_{at}')} AS {sql.identifier(f'left_{field.name}')}")
        cells.append(f"{guard.format(f'right_{at}')} AS {sql.identifier(f'right_{field.name}')}")
    form = "FORMAT parquet, COMPRESSION zstd" if as_parquet else "FORMAT csv, HEADER"
    return f"COPY (SELECT {', '.join(cells)} FROM ({_differences(plan)})) TO {sql.literal(target)} ({form})"
