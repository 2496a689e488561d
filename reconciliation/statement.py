"""The statement: every term of the books, whether they tie, and whether the acquirer agrees; from the ledger's roll-ups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payments.books import INCOMING_TERMS, TERMS, Total, imbalances, incoming_imbalances, total_of
from payments.ports import Transaction
from payments.records import Chunk, Mismatch, OutboundFile, Run
from payments.redeliveries import taken_back
from payments.states import (
    OPEN_MISMATCH_STATES,
    STAGE_OF_STATUS,
    TERM_OF_FILE_STATE,
    FileState,
    MismatchKind,
    Outcome,
)
from reconciliation.successors import spoken_for

SETTLED_RUNS = frozenset({"curated", "assembled", "stopped"})
OPEN_STATES = tuple(str(state) for state in OPEN_MISMATCH_STATES)
_K = MismatchKind
NOTHING_REPORTED = frozenset({_K.MISSING_AT_ACQUIRER, _K.STATUS_REJECTED, _K.RETURNED, _K.STATUS_CONFLICT})
"""Kinds in which the acquirer's side of the difference is zero: the money did not stay there."""
ONLY_REPORTED = frozenset({_K.UNKNOWN_TO_US, _K.DUPLICATE_RESULT, _K.AMBIGUOUS_MATCH, _K.SETTLED_AFTER_REDELIVERY})
"""Kinds in which our side of the difference is zero: we expect none of it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """The books at one moment. `in_flight` rows are extracted and not yet curated: they enter the books with their chunk."""

    terms: Mapping[str, Total]
    incoming: Mapping[str, int]
    in_flight: Total
    results_in_flight: int
    files: Mapping[str, int]
    mismatches_by_kind: Mapping[str, int]
    difference_minor: Mapping[str, int]
    faults: tuple[str, ...]

    @property
    def ties(self) -> bool:
        """All equations hold: nothing is unaccounted for."""
        return not self.faults

    @property
    def agrees(self) -> bool:
        """No mismatch is open: what the acquirer reports is what we expect."""
        return not any(self.mismatches_by_kind.values())

    def to_json(self) -> dict[str, Any]:
        """The object of `tieout status --json`: every term of I1 at its top level."""
        return {
            **{term: self.terms[term].to_json() for term in TERMS},
            "in_flight": self.in_flight.to_json(),
            "incoming": dict(self.incoming),
            "files": dict(self.files),
            "mismatches_by_kind": dict(self.mismatches_by_kind),
            "ties": self.ties,
            "agrees": self.agrees,
            "difference_minor": dict(self.difference_minor),
            "faults": list(self.faults),
        }


def statement(tx: Transaction) -> Statement:
    """Adds up the ledger's roll-ups; nothing here reads a payment."""
    runs, files = tx.runs.find(), tx.files.find()
    terms = dict.fromkeys(TERMS, Total())
    in_flight, waiting = Total(), Total()
    for run in runs:
        extracted, curated, quarantined, flying = _of_run(tx, run)
        terms["extracted"] += extracted
        terms["curated"] += curated
        terms["quarantined"] += quarantined
        in_flight += flying
        if run.assembly is None:
            waiting += curated
    _add_assemblies(tx, terms, waiting)
    _add_files(terms, files, taken_back(tx))
    incoming, results_flying = _incoming(tx)
    mismatches = tx.mismatches.find(state=OPEN_STATES)
    faults = [f"{each.left} is not {' + '.join(each.right)}" for each in imbalances(terms)]
    faults += [f"incoming: {left} does not add up" for left in incoming_imbalances(incoming)]
    faults += [f"run {run.source}/{run.ordinal:06d} is stopped: {run.note}" for run in runs if run.state == "stopped"]
    kinds = Counter(each.kind for each in mismatches)
    return Statement(
        terms=terms,
        incoming=incoming,
        in_flight=in_flight,
        results_in_flight=results_flying,
        files={str(state): sum(file.state == state for file in files) for state in FileState},
        mismatches_by_kind={str(kind): kinds[kind] for kind in MismatchKind},
        difference_minor=difference(mismatches),
        faults=tuple(faults),
    )


def _of_run(tx: Transaction, run: Run) -> tuple[Total, Total, Total, Total]:
    """(extracted, curated, quarantined, in flight) of one run; rows enter the first three together, chunk by chunk."""
    if run.state in SETTLED_RUNS:
        return run.extracted, run.curated, run.quarantined, Total()
    chunks: list[Chunk] = tx.chunks.find(source=run.source, run=run.ordinal)
    done = [each for each in chunks if each.state == "curated"]
    return (
        total_of(each.extracted for each in done),
        total_of(each.curated for each in done),
        total_of(each.quarantined for each in done),
        total_of(each.extracted for each in chunks if each.state != "curated"),
    )


def _add_assemblies(tx: Transaction, terms: dict[str, Total], waiting: Total) -> None:
    assemblies = tx.assemblies.find()
    for assembly in assemblies:
        for outcome, total in assembly.outcomes.items():
            if outcome != Outcome.ASSIGNED:
                terms[outcome] += Total.from_json(total)
    terms["unassigned"] += waiting + (assemblies[-1].pool if assemblies else Total())


def _add_files(terms: dict[str, Total], files: list[OutboundFile], chosen: Mapping[str, Total]) -> None:
    """Rows that went back count under their newest assignment, no longer under this file; of `chosen` ones, file by file.

    Chosen payments are mismatched in their file for ever: a rejection never goes away, whatever else is said.
    """
    for file in files:
        if file.returned_in:
            continue
        term, gone = TERM_OF_FILE_STATE[FileState(file.state)], chosen.get(file.file_id, Total())
        terms["assigned"] += file.total - gone
        terms[term] += file.total - gone
        if term == "delivered":
            terms["matched"] += file.matched
            terms["mismatched"] += file.mismatched - gone
            terms["awaiting"] += file.awaiting


def _incoming(tx: Transaction) -> tuple[dict[str, int], int]:
    """The terms of I1b over result files that were reconciled, and how many are on their way there."""
    counts = dict.fromkeys(INCOMING_TERMS, 0)
    results = tx.results.find()
    for result in results:
        if result.reconciled:
            for name in ("lines", "control", "events", "unreadable"):
                counts[name] += getattr(result, name)
    done = {(each.acquirer, each.sha256) for each in results if each.reconciled}
    for books in tx.result_books.find():
        if (books.acquirer, books.sha256) in done:
            for name in ("applied", "unknown", "duplicate", "ambiguous", "withdrawn"):
                counts[name] += getattr(books, name)
    return counts, sum(not each.reconciled for each in results)


def difference(mismatches: list[Mismatch]) -> dict[str, int]:
    """Reported minus expected of all open mismatches, in minor units per currency and direction."""
    sums: Counter[str] = Counter()
    twice = spoken_for(
        each for each in mismatches if each.expected_minor is not None and each.kind not in ONLY_REPORTED
    )
    for each in mismatches:
        if not each.currency or not each.direction or each.id in twice:
            continue
        ours = f"{each.currency}/{each.direction}"
        kind = MismatchKind(each.kind)
        if kind in ONLY_REPORTED:
            # A rejection that comes twice, or is about nobody's payment, has moved no money.
            sums[ours] += (each.reported_minor or 0) if each.detail.get("status") in STAGE_OF_STATUS else 0
            continue
        sums[ours] -= each.expected_minor or 0
        if kind not in NOTHING_REPORTED:
            currency = each.detail.get("reported_currency") or each.currency
            direction = each.detail.get("reported_direction") or each.direction
            # Who states no amount disputes none.
            stated = each.expected_minor if each.reported_minor is None else each.reported_minor
            sums[f"{currency}/{direction}"] += stated or 0
    return {key: value for key, value in sorted(sums.items()) if value}
