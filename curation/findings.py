"""What the rules found, and how it is written down: the list of reasons of each refused row, with masked values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.catalogue import Rule
from payments.tables import REASON

HIDDEN = frozenset({"debtor_name", "creditor_name", "remittance_unstructured", "remittance_reference"})
"""Fields of which a reason shows nothing."""
SHOWN_CHARACTERS_MAX = 12
"""Anything longer may be an account or card number in the wrong column: only its ends are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule and the rows (mask of n) that break it; `values` are the n values judged, or None."""

    rule: Rule
    rows: npt.NDArray[np.bool_]
    values: pa.Array | None = None


def refused_rows(findings: Sequence[Finding], count: int) -> npt.NDArray[np.bool_]:
    """The mask of rows with at least one finding."""
    refused = np.zeros(count, dtype=bool)
    for finding in findings:
        refused |= finding.rows
    return refused


def reasons_of(findings: Sequence[Finding], refused: npt.NDArray[np.bool_]) -> pa.Array:
    """For each refused row, in order, the list of its reasons (tables.REASON) in the order of the findings."""
    rows = [np.flatnonzero(finding.rows) for finding in findings]
    if not rows:
        return pa.array([], pa.list_(REASON))
    row_of_each = np.concatenate(rows)
    order = np.argsort(row_of_each, kind="stable")
    columns = {
        "rule": _repeated([finding.rule.name for finding in findings], rows),
        "code": _repeated([finding.rule.code for finding in findings], rows),
        "field": _repeated([finding.rule.field for finding in findings], rows),
        "value_masked": pa.concat_arrays([_masked(each, at) for each, at in zip(findings, rows, strict=True)]),
        "message": _repeated([finding.rule.message for finding in findings], rows),
    }
    fields = [REASON.field(name) for name in columns]
    reasons = pa.StructArray.from_arrays(list(columns.values()), fields=fields).take(pa.array(order))
    counts = np.bincount(row_of_each, minlength=len(refused))[refused]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), reasons, type=pa.list_(REASON))


def _repeated(words: list[str], rows: list[npt.NDArray[np.int64]]) -> pa.Array:
    index = np.repeat(np.arange(len(words)), [len(each) for each in rows])
    return pa.array(words, pa.string()).take(pa.array(index))


def _masked(finding: Finding, rows: npt.NDArray[np.int64]) -> pa.Array:
    if finding.values is None or finding.rule.field in HIDDEN:
        return pa.nulls(len(rows), pa.string())
    is_account = finding.rule.field.endswith("_account")
    values = finding.values.take(pa.array(rows)).to_pylist()
    return pa.array([None if each is None else masked(each, account=is_account) for each in values], pa.string())


def masked(value: str, *, account: bool) -> str:
    """Short values as they are; accounts, and whatever is long enough to be one, by their first and last two characters."""
    if not account and len(value) <= SHOWN_CHARACTERS_MAX:
        return value
    return f"{value[:2]}***{value[-2:]}" if len(value) > 4 else "***"
