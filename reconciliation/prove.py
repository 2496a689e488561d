"""Recomputes from stored bytes what was claimed of a run, a file or a day: the tie-out certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from payments.books import EQUATIONS, INCOMING_EQUATIONS, total_of
from payments.config import Configuration
from payments.errors import NotAllowed
from payments.keys import file_chain, reported_key, run_chain
from payments.ports import Ledger, ObjectStore, Secrets, Transaction
from payments.records import OutboundFile, ResultFile, Run
from reconciliation.certificate import Certificate
from reconciliation.facts import file_facts, files_called, run_called, run_facts
from reconciliation.prove_file import prove_file, prove_index, prove_result
from reconciliation.prove_redelivery import prove_redeliveries
from reconciliation.prove_run import prove_run
from reconciliation.prove_wrapped import own_keys, prove_wrapped_result
from reconciliation.statement import Statement, statement


@dataclass(frozen=True)
class ProvePorts:
    """What a proof needs of the world: it only reads."""

    ledger: Ledger
    store: ObjectStore
    configuration: Configuration
    secrets: Secrets | None = None


@dataclass(frozen=True, slots=True)
class Subjects:
    """What a name stands for. `statement` is there for a day: the equations of everything."""

    runs: list[Run]
    files: list[OutboundFile]
    results: list[ResultFile]
    statement: Statement | None = None

    @property
    def chains(self) -> list[str]:
        """The audit chains of the runs and files."""
        runs = [run_chain(run.source, run.ordinal) for run in self.runs]
        return runs + [file_chain(file.file_id) for file in self.files]


def subjects_of(tx: Transaction, name: str) -> Subjects:
    """`source/000001`, a file's name or file_id, or a business date. Raises NotAllowed when nothing is called so."""
    day = _day(name)
    if day is not None:
        runs, files = tx.runs.find(business_date=day), tx.files.find(business_date=day, order="name")
        results = tx.results.find(business_date=day)
        if runs or files or results:
            return Subjects(runs, files, results, statement(tx))
    elif (run := run_called(tx, name)) is not None:
        return Subjects([run], [], [])
    elif files := files_called(tx, name):
        results = [result for file in files for result, _ in file_facts(tx, file).results]
        return Subjects([], files, results)
    raise NotAllowed(
        f"there is no run, file or business date {name!a}",
        next_step="`tieout status` lists runs and files; a run is written like legacy/000001, a date like 2026-03-02.",
    )


def prove(ports: ProvePorts, name: str) -> tuple[Certificate, Subjects]:
    """The certificate of everything that `name` stands for. Raises NotAllowed for an unknown name."""
    with ports.ledger.look() as tx:
        subjects = subjects_of(tx, name)
    certificate = Certificate(name)
    for run in subjects.runs:
        with ports.ledger.look() as tx:
            # Both as of one moment: a run in flight goes on while others are proved.
            current = tx.runs.get(run.source, run.ordinal) or run
            chunks = run_facts(tx, current).chunks
        prove_run(certificate, ports.store, ports.configuration.source_named(run.source), current, chunks)
    for file in subjects.files:
        with ports.ledger.look() as tx:
            facts = file_facts(tx, file)
        prove_file(certificate, ports.store, facts, own_keys(ports.configuration, file.acquirer, ports.secrets))
        prove_redeliveries(certificate, ports.store, file, facts.redeliveries)
    for ordinal in sorted({file.assembly for file in subjects.files}):
        with ports.ledger.look() as tx:
            assembly = tx.assemblies.get(ordinal)
        if assembly is not None:
            files = [file for file in subjects.files if file.assembly == ordinal]
            prove_index(certificate, ports.store, assembly, files)
    for result in subjects.results:
        with ports.ledger.look() as tx:
            books = tx.result_books.find(acquirer=result.acquirer, sha256=result.sha256)
        reported = reported_key(result.acquirer, result.business_date, result.sha256)
        prove_result(certificate, ports.store, result, books, reported)
        acquirer = ports.configuration.acquirer_named(result.acquirer)
        prove_wrapped_result(certificate, ports.store, result, acquirer, ports.secrets)
    if subjects.statement is not None:
        _prove_equations(certificate, subjects.statement)
    return certificate, subjects


def _prove_equations(certificate: Certificate, books: Statement) -> None:
    """The equations of everything in the ledger, not only of this day."""
    for left, right in EQUATIONS:
        what = f"{left} = {' + '.join(right)}"
        certificate.same("all books", what, books.terms[left], total_of(books.terms[term] for term in right))
    for left, right in INCOMING_EQUATIONS:
        what = f"{left} = {' + '.join(right)}"
        certificate.same("all books", what, books.incoming[left], sum(books.incoming[term] for term in right))


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None
