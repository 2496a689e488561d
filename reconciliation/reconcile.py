"""Reconcile: takes the acquirer's lease, and folds every result file that was read into the files it speaks of.

A pass waits until everything that the last poll saw is read: so the same polls give the same passes, and the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from payments.config import AcquirerSection
from payments.keys import day_chain, reported_key
from payments.leasing import TTL, drain
from payments.ports import Clock, Lease, Ledger, ObjectStore, Transaction
from payments.records import OutboundFile, ResultBooks, ResultFile
from payments.states import FileState, MismatchKind
from reconciliation.differences import of_lost
from reconciliation.engine import open_engine
from reconciliation.file_fold import FileFold, fold_file
from reconciliation.file_record import record_fold
from reconciliation.naming import Named, find_names

EVER_LEFT = tuple(str(state) for state in FileState if state not in {FileState.PLANNED, FileState.CANCELLED})


ENGINE_PART = 2
"""The engine gets this part of the memory limit; the rest is for the rows of the file at hand."""


@dataclass(frozen=True)
class ReconcilePorts:
    """What reconcile needs of the world, for one acquirer."""

    ledger: Ledger
    store: ObjectStore
    clock: Clock
    acquirer: AcquirerSection
    spool: Path
    memory_limit_mb: int


def reconcile(ports: ReconcilePorts) -> bool:
    """Fold everything that is new or due. False: another worker is at it, and will look again."""

    def pending() -> bool:
        with ports.ledger.begin() as tx:
            return _is_pending(tx, ports.acquirer.name, ports.clock.now())

    name = f"reconcile:{ports.acquirer.name}"
    return drain(ports.ledger.leases, name, pending=pending, step=lambda lease: _pass(ports, lease))


def _is_pending(tx: Transaction, acquirer: str, now: datetime) -> bool:
    if tx.results.count(acquirer=acquirer, state="collected") or tx.sightings.count(
        acquirer=acquirer, state="fetching"
    ):
        return False
    return bool(tx.results.count(acquirer=acquirer, state="read", reconciled=False) or overdue_files(tx, acquirer, now))


def overdue_files(tx: Transaction, acquirer: str, now: datetime) -> list[OutboundFile]:
    """Files whose results were due and that nobody has looked at since."""
    states = tuple(str(s) for s in (FileState.DELIVERED, FileState.ACKNOWLEDGED, FileState.PARTIALLY_ACCEPTED))
    files = tx.files.find(acquirer=acquirer, state=states, overdue=False)
    return [
        file for file in files if file.results_due_at is not None and file.results_due_at <= now and file.awaiting.count
    ]


def _pass(ports: ReconcilePorts, lease: Lease) -> bool:
    name, now = ports.acquirer.name, ports.clock.now()
    with ports.ledger.begin() as tx:
        if not _is_pending(tx, name, now):
            return False
        fresh = tx.results.find(acquirer=name, state="read", reconciled=False)
        left = tx.files.find(acquirer=name, state=EVER_LEFT)
        touched = {file.file_id for file in overdue_files(tx, name, now)}
    with open_engine(ports.spool, memory_limit_mb=ports.memory_limit_mb // ENGINE_PART) as engine:
        named = {result.sha256: _names(ports, engine, result, left) for result in fresh}
        with ports.ledger.begin() as tx:
            for result in fresh:
                _remember(tx, result, named[result.sha256], now)
        touched |= {file for each in named.values() for file in each.files}
        by_id = {file.file_id: file for file in left}
        for file_id in sorted(touched):
            ports.ledger.leases.renew(lease, ttl=TTL)
            fold = _fold(ports, engine, by_id[file_id], left, now)
            with ports.ledger.begin() as tx:
                record_fold(tx, fold, ports.acquirer, now)
    with ports.ledger.begin() as tx:
        for result in fresh:
            tx.results.change(result, reconciled=True)
    return True


def _names(ports: ReconcilePorts, engine: Any, result: ResultFile, left: list[OutboundFile]) -> Named:
    key = reported_key(result.acquirer, result.business_date, result.sha256)
    before = [file for file in left if file.delivered_at is None or file.delivered_at <= result.collected_at]
    with ports.store.local(key) as path:
        return find_names(engine, ports.store, path, before)


def _remember(tx: Transaction, result: ResultFile, named: Named, now: datetime) -> None:
    """Which files a result file speaks of: every later fold of such a file reads it again."""
    for file_id in sorted(named.files):
        if tx.result_books.get(result.acquirer, result.sha256, file_id) is None:
            tx.result_books.add(ResultBooks(result.acquirer, result.sha256, file_id))
    lost, ambiguous = len(named.lost), len(named.ambiguous)
    if (lost or ambiguous) and tx.result_books.get(result.acquirer, result.sha256, "") is None:
        tx.result_books.add(ResultBooks(result.acquirer, result.sha256, "", unknown=lost, ambiguous=ambiguous))
        mismatches = of_lost(result, MismatchKind.UNKNOWN_TO_US, named.lost, now)
        mismatches += of_lost(result, MismatchKind.AMBIGUOUS_MATCH, named.ambiguous, now)
        tx.replace_mismatches(mismatches, [])
    body = {"result": result.sha256, "files": sorted(named.files), "unknown": lost, "ambiguous": ambiguous}
    tx.audit.append(day_chain(result.acquirer, result.business_date), "reconciled", body)


def _fold(ports: ReconcilePorts, engine: Any, file: OutboundFile, left: list[OutboundFile], now: datetime) -> FileFold:
    """The outcome of one file over all result files that ever spoke of it."""
    with ports.ledger.begin() as tx:
        current = tx.files.get(file.file_id) or file
        books = tx.result_books.find(acquirer=file.acquirer, file_id=file.file_id)
        found = [tx.results.get(file.acquirer, each.sha256) for each in books]
    results = [each for each in found if each is not None and each.state == "read"]
    with ExitStack() as stack:
        groups = _group_statuses(ports, engine, stack, results, file)
        return fold_file(engine, ports.store, stack, ports.acquirer, current, results, left, groups, now, ports.spool)


def _group_statuses(
    ports: ReconcilePorts, engine: Any, stack: ExitStack, results: list[ResultFile], file: OutboundFile
) -> Mapping[str, tuple[str, str]]:
    """Result sha256 -> (accepted | partial | refused, reason) for those that acknowledge the file as a whole."""
    statuses = {}
    for result in results:
        key = reported_key(result.acquirer, result.business_date, result.sha256)
        named = find_names(engine, ports.store, stack.enter_context(ports.store.local(key)), [file])
        if file.file_id in named.group:
            statuses[result.sha256] = (named.group[file.file_id], named.reasons.get(file.file_id, ""))
    return statuses
