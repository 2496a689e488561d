"""The world of assemble with the acquirer's answers: files leave, results come back, chosen payments go again; for tests only."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq

from payments.acting import Actor
from payments.config import AcquirerSection
from payments.keys import payment_id, result_key
from payments.records import Mismatch, OutboundFile, ResultFile
from payments.redeliveries import Redelivery, taken_back
from payments.states import CLOSED_FILE_STATES, OPEN_MISMATCH_STATES, FileState
from reconciliation.read import ReadPorts, read
from reconciliation.reconcile import ReconcilePorts, reconcile
from reconciliation.statement import Statement, statement
from tests.unit.reconciliation.reconcile_texts import Say, results
from tests.unit.transfer.assemble_world import SOURCE, AssembleWorld
from transfer.acts_chosen import ActedOnPayments, ChosenPorts, redeliver_payments
from transfer.settled_stop import hold_if_settled

ANNA, BEN = Actor("anna", verified=True), Actor("ben", verified=True)


def identity(key: str) -> str:
    return payment_id(SOURCE, "payments", key)


class RedeliverWorld(AssembleWorld):
    """One acquirer (the first), its files and everything it said."""

    @property
    def north(self) -> AcquirerSection:
        return self.configuration.acquirer[0]

    def deliver(self) -> list[OutboundFile]:
        """Every sealed file that nobody holds is in the acquirer's hands, unless its delivery holds it."""
        left = []
        for file in self.files():
            if file.state == FileState.SEALED and not file.held:
                with self.ledger.begin() as tx:
                    is_held = hold_if_settled(tx, self.store, file)
                if not is_held:
                    now = self.clock.now()
                    due = now + timedelta(hours=8)
                    left.append(self.change(file, state="delivered", delivered_at=now, results_due_at=due))
        return left

    def said(self, file: OutboundFile | None, words: Mapping[str, str], *, minutes: int = 10, **other: Any) -> None:
        """One result file: source key -> status. It is read and reconciled."""
        self.collect(file, words, minutes=minutes, **other)
        self.reconcile()

    def collect(
        self, file: OutboundFile | None, words: Mapping[str, str], *, minutes: int = 10, at: str = ""
    ) -> ResultFile:
        self.clock.at += timedelta(minutes=minutes)
        says = [Say(f"REF-{key}", status, minor=100) for key, status in words.items()]
        stated = at or f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        return self.take_text(results(file, says, at=stated))

    def take_text(self, text: str) -> ResultFile:
        data = text.encode()
        digest = hashlib.sha256(data).hexdigest()
        with self.ledger.begin() as tx:
            name = f"{self.north.name}_results_{tx.results.count():04d}.csv"
        day = self.clock.now().date()
        key = result_key(self.north.name, day, digest, name)
        self.store.put(key, data)
        result = ResultFile(self.north.name, digest, name, key, day, len(data), self.clock.now(), "collected")
        with self.ledger.begin() as tx:
            tx.results.add(result)
        return result

    def reconcile(self, ledger: Any = None, store: Any = None) -> None:
        ledger, store = ledger or self.ledger, store or self.store
        with self.ledger.begin() as tx:
            fresh = tx.results.find(state="collected")
        for each in fresh:
            read(ReadPorts(ledger, store, self.clock, self.configuration, self.spool), each.key)
        assert reconcile(ReconcilePorts(ledger, store, self.clock, self.north, self.spool, 128))

    def choose(self, file: OutboundFile, keys: Collection[str] | None = None, actor: Actor = ANNA) -> ActedOnPayments:
        references = None if keys is None else [f"REF-{key}" for key in keys]
        ports = ChosenPorts(self.ledger, self.store, self.clock)
        return redeliver_payments(ports, file.file_id, references, actor)

    def agree(self, file: OutboundFile, keys: Collection[str] | None = None) -> ActedOnPayments:
        """Two people ask for the same."""
        assert not self.choose(file, keys).done
        acted = self.choose(file, keys, BEN)
        assert acted.done
        return acted

    # What came of it.

    def again(self, file: OutboundFile) -> OutboundFile:
        with self.ledger.begin() as tx:
            found = tx.files.get(file.file_id)
        assert found is not None
        return found

    def redeliveries(self) -> list[Redelivery]:
        with self.ledger.begin() as tx:
            return tx.redeliveries.find()

    def all_mismatches(self) -> list[Mismatch]:
        with self.ledger.begin() as tx:
            return tx.mismatches.find()

    def open_kinds(self) -> list[str]:
        """Open mismatches as `kind key generation`, sorted."""
        names = {identity(key): key for key in self.known_keys()}
        generations = {file.file_id: file.generation for file in self.files()}
        return sorted(
            f"{each.kind} {names.get(each.payment_id, each.reference)} {generations.get(each.file_id, '')}".strip()
            for each in self.all_mismatches()
            if each.state in OPEN_MISMATCH_STATES
        )

    def books(self) -> Statement:
        with self.ledger.begin() as tx:
            return statement(tx)

    def counts(self) -> dict[str, int]:
        """The terms of the books that hold anything."""
        return {term: total.count for term, total in self.books().terms.items() if total.count}

    def check(self) -> None:
        """Books, files and the rule of one live assignment (I1, I2)."""
        said = self.books()
        assert said.faults == ()
        self.check_books()
        for file in self.files():
            parts = file.matched + file.mismatched + file.awaiting
            assert parts == file.total, file.name
        live = self.live()
        assert [payment for payment, count in live.items() if count > 1] == []
        with self.ledger.begin() as tx:
            gone = taken_back(tx)
        assert sum(live.values()) == sum(
            file.total.count - gone[file.file_id].count if file.file_id in gone else file.total.count
            for file in self.files()
            if file.state not in CLOSED_FILE_STATES and not file.returned_in
        )

    def live(self) -> Counter[str]:
        """Payment -> in how many files it is live: in none that is closed, and in none that it was taken out of."""
        found: Counter[str] = Counter()
        gone = {each.file_id: self.listed(each.file_id) for each in self.redeliveries()}
        for file in self.files():
            if file.state in CLOSED_FILE_STATES or file.returned_in is not None:
                continue
            held = set(self.expected(file)["payment_id"].to_pylist())
            found.update(held - gone.get(file.file_id, set()))
        return found

    def listed(self, file_id: str) -> set[str]:
        """The payments that were chosen out of a file, from the stored lists, of redeliveries that were taken."""
        found: set[str] = set()
        for each in self.redeliveries():
            if each.file_id == file_id and each.returned_in:
                path = self.folder / "store" / f"redeliveries/{each.acquirer}/{each.file_id}/{each.list_sha256}.parquet"
                found |= set(pq.read_table(path)["payment_id"].to_pylist())
        return found
