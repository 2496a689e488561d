"""The fold of versions: which row of a payment may be sent, and what becomes of the others (design section 4).

Only rows that could touch each other come here: several rows of one payment, a payment that was assigned before, or a
payment reference that occurs twice. All others are decided by `transfer.fold` without looking at their neighbours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from payments.states import Outcome, PoolReason


@dataclass(slots=True)
class Row:
    """One candidate row, in the fixed order of the plan."""

    position: int  # in the order of the plan
    payment_id: str
    content_hash: bytes
    acquirer: str
    reference: str
    stopped: bool
    returned_from: str = ""  # the closed file (file_id) that it comes back from
    was: str = ""  # its pool reason before this assembly
    outcome: str = ""
    reason: str = ""
    twin: str = ""


@dataclass(frozen=True, slots=True)
class Assigned:
    """An earlier assignment of a payment. `stopped`: the last that the source said since then is that it stopped it."""

    payment_id: str
    content_hash: bytes
    acquirer: str
    reference: str
    file_id: str
    stopped: bool = False


@dataclass(slots=True)
class Findings:
    """What the fold found beside outcomes, by payment_id: the assignment that was sealed with an older state of it."""

    changed_after_sealed: dict[str, Assigned] = field(default_factory=dict)
    reverted: dict[str, Assigned] = field(default_factory=dict)
    recall_needed: dict[str, Assigned] = field(default_factory=dict)
    successors: dict[int, str] = field(default_factory=dict)
    """Position of a row that may be sent in the place of a returned one -> the closed file (file_id)."""


def fold_versions(
    rows: list[Row], earlier: Mapping[str, Assigned], holders: Iterable[Assigned], settled: Collection[str] = ()
) -> Findings:
    """Set `outcome`, `reason` and `twin` of every row. Rows left without outcome may be sent.

    `earlier` holds the newest assignment per payment_id, unless its rows went back to an earlier assembly; `holders` every
    earlier assignment that used one of the references at hand; `settled` are payments (payment_id) that the acquirer
    settled under an assignment that was closed. Pure but for the rows, which it fills in.
    """
    findings = Findings()
    payments: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda each: each.position):
        payments.setdefault(row.payment_id, []).append(row)
    current = [
        found
        for payment, versions in payments.items()
        if (found := _newest(versions, earlier.get(payment), findings)) is not None and not _is_settled(found, settled)
    ]
    _first_reference_wins(sorted(current, key=lambda each: each.position), holders)
    return findings


def _newest(versions: list[Row], baseline: Assigned | None, findings: Findings) -> Row | None:
    """Walk the versions of one payment in order; the row that stands at the end, if any."""
    returned = next((row for row in versions if row.returned_from), None)
    stopped_since = returned is not None and baseline is not None and baseline.stopped
    if returned is not None:
        baseline = None  # its file is closed and its rows are back: what was sealed binds nobody any more
    current: Row | None = None
    for row in versions:
        if row.returned_from and stopped_since:
            row.outcome = Outcome.SUPERSEDED  # by the stop row, which came while the file was out
        elif row.stopped:
            if current is not None:
                current.outcome = Outcome.SUPERSEDED
            row.outcome, current = Outcome.WITHDRAWN, None
            if baseline is not None:
                findings.recall_needed[row.payment_id] = baseline
        elif baseline is not None and row.content_hash == baseline.content_hash:
            if current is not None:  # the source went back to what we sent
                current.outcome, current = Outcome.SUPERSEDED, None
                findings.reverted[row.payment_id] = baseline
            row.outcome = Outcome.UNCHANGED
        elif current is not None and row.content_hash == current.content_hash:
            row.outcome = Outcome.UNCHANGED
        else:
            if current is not None:
                current.outcome = Outcome.SUPERSEDED
            current = row
    if current is not None and baseline is not None:
        current.outcome, current.reason = Outcome.UNASSIGNED, PoolReason.CHANGED_AFTER_SEALED
        if current.was != PoolReason.CHANGED_AFTER_SEALED:
            findings.changed_after_sealed[current.payment_id] = baseline
            findings.reverted.pop(current.payment_id, None)
        return None
    if current is not None and returned is not None and current.acquirer == returned.acquirer:
        findings.successors[current.position] = returned.returned_from
    return current


def _is_settled(current: Row, settled: Collection[str]) -> bool:
    """Whether the money has moved already, though nobody reckoned with it any more: then no version of it is sent."""
    if current.payment_id not in settled:
        return False
    current.outcome, current.reason = Outcome.UNASSIGNED, PoolReason.SETTLED
    return True


def _first_reference_wins(current: list[Row], holders: Iterable[Assigned]) -> None:
    """A payment reference is unique per acquirer: the first payment keeps it, the others point at it."""
    held = {(each.acquirer, each.reference): each.payment_id for each in holders}
    for row in current:
        first = held.setdefault((row.acquirer, row.reference), row.payment_id)
        if first != row.payment_id:
            row.outcome, row.twin = Outcome.DUPLICATE, first
