"""Reads from the ledger what is worth a curve: rows, bytes and amounts that moved since the last look, ages and lateness now.

The ledger is asked, not the handlers: what it says was done was done, once, wherever and however often somebody tried.
No measure names a payment, a person or an account (I7).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from payments.states import OPEN_MISMATCH_STATES, FileState

if TYPE_CHECKING:
    from payments.config import Configuration
    from payments.ports import Transaction
    from payments.records import OutboundFile
    from runtime.attention import Attention

Unit = Literal["Count", "Bytes", "Seconds"]
NOT_LEFT = tuple(str(state) for state in (FileState.PLANNED, FileState.SEALED, FileState.DELIVERING))


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure. Amounts are counts of minor units: `of` names their currency and direction."""

    name: str
    unit: Unit
    value: float
    of: dict[str, str] = field(default_factory=dict)


def measures(
    tx: Transaction, configuration: Configuration, found: Attention, since: datetime, now: datetime
) -> list[Measure]:
    """What happened in (since, now], and how things stand at `now`."""
    return [*_moved(tx, since, now), *_waiting(tx, configuration, found, now)]


def _moved(tx: Transaction, since: datetime, now: datetime) -> Iterator[Measure]:
    for run in tx.runs.find(order="closed_at", after=since):
        if run.closed_at is None or run.closed_at > now:
            continue
        of = {"Source": run.source}
        yield Measure("RowsExtracted", "Count", run.extracted.count, of)
        yield Measure("RunSeconds", "Seconds", (run.closed_at - run.opened_at).total_seconds(), of)
    for receipt in tx.receipts.find(order="delivered_at", after=since):
        file = tx.files.get(receipt.file_id)
        if file is None or receipt.delivered_at > now:
            continue
        of = {"Acquirer": file.acquirer}
        yield Measure("FilesDelivered", "Count", 1, of)
        yield Measure("RowsDelivered", "Count", file.total.count, of)
        yield Measure("BytesDelivered", "Bytes", file.size, of)
        yield Measure("SecondsToDelivery", "Seconds", (receipt.delivered_at - file.created_at).total_seconds(), of)
        for key, amount in file.total.amount_minor.items():
            yield Measure("AmountDeliveredMinor", "Count", amount, {**of, "Money": key})
    for result in tx.results.find(order="collected_at", after=since):
        if result.collected_at <= now:
            of = {"Acquirer": result.acquirer}
            yield Measure("ResultFiles", "Count", 1, of)
            yield Measure("ResultBytes", "Bytes", result.size, of)


def _waiting(tx: Transaction, configuration: Configuration, found: Attention, now: datetime) -> Iterator[Measure]:
    for name, concerns in (
        ("DeliveriesStopped", found.stopped),
        ("FilesInDoubt", found.in_doubt),
        ("AnswersOverdue", found.overdue),
        ("AtRisk", found.at_risk),
        ("Stuck", found.waiting),
        ("Failing", found.failing),
        ("ObjectsGone", found.gone),
    ):
        yield Measure(name, "Count", len(concerns))
    late = max(((now - each.due_at).total_seconds() for each in found.overdue), default=0.0)
    yield Measure("LatenessSeconds", "Seconds", late)
    runs = tx.runs.find(state=("open", "closed", "curated"))
    yield Measure("OldestRunAgeSeconds", "Seconds", _oldest([run.opened_at for run in runs], now))
    yield Measure("RunsStopped", "Count", tx.runs.count(state="stopped") + len(found.runs))
    files = tx.files.find(state=NOT_LEFT)
    for acquirer in configuration.acquirer:
        mine = [file for file in files if file.acquirer == acquirer.name]
        yield from _of_acquirer(acquirer.name, mine, now)
    states = tuple(str(state) for state in sorted(OPEN_MISMATCH_STATES))
    yield Measure("MismatchesOpen", "Count", tx.mismatches.count(state=states))
    for source in found.sources:
        if source.watermark_age_s is not None:
            yield Measure("WatermarkAgeSeconds", "Seconds", source.watermark_age_s, {"Source": source.name})


def _of_acquirer(name: str, files: list[OutboundFile], now: datetime) -> Iterator[Measure]:
    of = {"Acquirer": name}
    yield Measure("FilesToDeliver", "Count", len(files), of)
    yield Measure("BytesToDeliver", "Bytes", sum(file.size for file in files), of)
    yield Measure("OldestFileAgeSeconds", "Seconds", _oldest([file.created_at for file in files], now), of)


def _oldest(times: list[datetime], now: datetime) -> float:
    """At least 0: what began behind `now` was not there yet."""
    return max([0.0, *((now - each).total_seconds() for each in times)])
