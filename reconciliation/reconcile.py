"""Reconcile: takes the acquirer's lease, and folds every result file that was read into the files it speaks of.

A pass waits until everything that the last poll saw is read: so the same polls give the same passes, and the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from payments.config import AcquirerSection
from payments.errors import AskPerson, NotStored
from payments.keys import day_chain, reported_key
from payments.leasing import TTL, MayBegin, always, drain
from payments.markers import named_by
from payments.ports import Clock, Lease, Ledger, ObjectStore, Transaction
from payments.records import OutboundFile, ResultBooks, ResultFile
from payments.redelivery_lists import payments_in
from payments.states import MismatchKind
from reconciliation.differences import of_lost
from reconciliation.due import is_pending, overdue_files
from reconciliation.engine import open_engine, translated
from reconciliation.file_fold import FileFold, Heard, fold_file
from reconciliation.file_record import record_fold
from reconciliation.markers import is_marked
from reconciliation.naming import MAY_HAVE_LEFT, Named, Word, find_names, is_younger, standing

ENGINE_PART = 4
"""The engine gets this part of the memory limit; the rest is for the rows of the file at hand, which it copies more than once."""


@dataclass(frozen=True)
class ReconcilePorts:
    """What reconcile needs of the world, for one acquirer."""

    ledger: Ledger
    store: ObjectStore
    clock: Clock
    acquirer: AcquirerSection
    spool: Path
    memory_limit_mb: int
    may_begin: MayBegin = always


def reconcile(ports: ReconcilePorts) -> bool:
    """Fold everything that is new or due. False: another worker is at it, and will look again."""

    def pending() -> bool:
        with ports.ledger.begin() as tx:
            return is_pending(tx, ports.acquirer.name, ports.clock.now())

    name = f"reconcile:{ports.acquirer.name}"
    step = lambda lease: _pass(ports, lease)  # noqa: E731
    return drain(ports.ledger.leases, name, pending=pending, step=step, may_begin=ports.may_begin)


def _pass(ports: ReconcilePorts, lease: Lease) -> bool:
    name, now = ports.acquirer.name, ports.clock.now()
    with ports.ledger.begin() as tx:
        if not is_pending(tx, name, now):
            return False
        fresh = tx.results.find(acquirer=name, state="read", reconciled=False)
        left = tx.files.find(acquirer=name, state=MAY_HAVE_LEFT)
        touched = {file.file_id for file in overdue_files(tx, name, now)}
        markers = tx.sightings.find(acquirer=name, state="complete")
        marked = {named_by(ports.acquirer, each.name) for each in markers}
        touched |= {file.file_id for file in left if file.name in marked}
    by_id = {file.file_id: file for file in left}
    failures = _Failures()
    with open_engine(ports.spool, memory_limit_mb=ports.memory_limit_mb // ENGINE_PART) as engine:
        names = _Names(ports, engine, left)
        for result in fresh:
            with failures.kept():
                touched |= names.of(result).files
                with ports.ledger.begin() as tx:
                    _remember(tx, result, names.of(result), now, ports.acquirer.format)
        for file_id in sorted(touched):
            ports.ledger.leases.renew(lease, ttl=TTL)
            with failures.kept():
                fold = _fold(ports, engine, by_id[file_id], names, now)
                with ports.ledger.begin() as tx:
                    record_fold(tx, fold, ports.acquirer)
    # What failed is looked at again with the next pass, and with it every result file that may speak of it.
    failures.raise_first()
    with ports.ledger.begin() as tx:
        for result in fresh:
            _conclude(tx, result, names.of(result))
        for marker in markers:
            tx.sightings.change(marker, state="concluded")
    return True


class _Failures:
    """What needs a person: one damaged or missing object must not keep the other files of an acquirer from being reconciled."""

    def __init__(self) -> None:
        self._errors: list[AskPerson | NotStored] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        try:
            yield
        except (AskPerson, NotStored) as error:
            self._errors.append(error)

    def raise_first(self) -> None:
        for error in self._errors:
            raise error


class _Names:
    """What each result file speaks of, found once per pass. `left` are the files that may have left, by id."""

    def __init__(self, ports: ReconcilePorts, engine: Any, left: list[OutboundFile]) -> None:
        self.left = {file.file_id: file for file in left}
        self._ports = ports
        self._engine = engine
        self._found: dict[str, Named] = {}

    def of(self, result: ResultFile) -> Named:
        if result.sha256 not in self._found:
            key = reported_key(result.acquirer, result.business_date, result.sha256)
            with translated(f"result file {result.sha256[:12]}"), self._ports.store.local(key) as path:
                self._found[result.sha256] = find_names(
                    self._engine, self._ports.store, path, self._candidates(result), result.collected_at
                )
        return self._found[result.sha256]

    def _candidates(self, result: ResultFile) -> list[OutboundFile]:
        """What it speaks of stays the same for ever: of younger files none that it was not found to speak of the first time."""
        with self._ports.ledger.look() as tx:
            books = tx.result_books.find(acquirer=result.acquirer, sha256=result.sha256)
        known, at = {each.file_id for each in books}, result.collected_at
        return [each for each in self.left.values() if not (known and is_younger(each, at)) or each.file_id in known]

    def heard(self, result: ResultFile, file: OutboundFile) -> Heard:
        """The result file as one of those that speak of `file`."""
        named, at = self.of(result), result.collected_at
        others = [self.left[each] for each in sorted(named.holders) if each != file.file_id]
        rivals = [each for each in others if standing(each, at) <= standing(file, at)]
        word = named.words.get(file.file_id)
        # A word that is no evidence is still one: its file is no list of payments.
        return Heard(result, word and (Word("") if result.disputed else word), rivals)


def _remember(tx: Transaction, result: ResultFile, named: Named, now: datetime, format_: str) -> None:
    """Which files a result file speaks of: every later fold of such a file reads it again."""
    for file_id in sorted(named.files):
        if tx.result_books.get(result.acquirer, result.sha256, file_id) is None:
            tx.result_books.add(ResultBooks(result.acquirer, result.sha256, file_id))
    strange = [*named.lost, *named.strangers]
    if not (strange or named.ambiguous) or tx.result_books.get(result.acquirer, result.sha256, "") is not None:
        return
    lost, ambiguous = len(named.lost), len(named.ambiguous)
    tx.result_books.add(ResultBooks(result.acquirer, result.sha256, "", unknown=lost, ambiguous=ambiguous))
    mismatches = of_lost(result, MismatchKind.UNKNOWN_TO_US, strange, now, format_=format_)
    mismatches += of_lost(result, MismatchKind.AMBIGUOUS_MATCH, named.ambiguous, now, format_=format_)
    tx.replace_mismatches(mismatches, [])


def _conclude(tx: Transaction, result: ResultFile, named: Named) -> None:
    tx.results.change(result, reconciled=True)
    lost, ambiguous = len(named.lost), len(named.ambiguous)
    body = {"result": result.sha256, "files": sorted(named.files), "unknown": lost, "ambiguous": ambiguous}
    tx.audit.append(day_chain(result.acquirer, result.business_date), "reconciled", body)


def _fold(ports: ReconcilePorts, engine: Any, file: OutboundFile, names: _Names, now: datetime) -> FileFold:
    """The outcome of one file over all result files that ever spoke of it."""
    with ports.ledger.begin() as tx:
        current = tx.files.get(file.file_id) or file
        books = tx.result_books.find(acquirer=file.acquirer, file_id=file.file_id)
        found = [tx.results.get(file.acquirer, each.sha256) for each in books]
        marked = is_marked(tx, ports.acquirer, current)
        again = tx.redeliveries.find(file_id=file.file_id)
    gone = frozenset(payment for each in again for payment in payments_in(ports.store, each))
    heard = [names.heard(each, file) for each in found if each is not None and each.state == "read"]
    return fold_file(engine, ports.store, ports.acquirer, current, heard, now, ports.spool, marked=marked, gone=gone)
