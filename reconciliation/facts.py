"""Gathers what the ledger knows of one file or one run: for the page and for `tieout trace`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from payments.companions import Companion
from payments.ports import Transaction
from payments.records import Attempt, Chunk, OutboundFile, Receipt, ResultBooks, ResultFile, Run
from payments.redeliveries import Redelivery


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One outbound file with its attempts (oldest first), its receipt, and every result file that speaks of it."""

    file: OutboundFile
    attempts: list[Attempt]
    receipt: Receipt | None
    results: list[tuple[ResultFile, ResultBooks]]
    mismatches_by_kind: Mapping[str, int]  # whatever their state
    replaced_by: OutboundFile | None
    companion: Companion | None  # its marker or checksum file
    redeliveries: list[Redelivery]  # payments of it that were sent again one by one, oldest first


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run with its chunks, and the files of the assembly that took it."""

    run: Run
    chunks: list[Chunk]
    files: list[OutboundFile]


def file_facts(tx: Transaction, file: OutboundFile) -> FileFacts:
    books = tx.result_books.find(acquirer=file.acquirer, file_id=file.file_id)
    results = [(tx.results.get(file.acquirer, each.sha256), each) for each in books]
    known = [(result, each) for result, each in results if result is not None]
    kinds = Counter(each.kind for each in tx.mismatches.find(file_id=file.file_id))
    successors = tx.files.find(acquirer=file.acquirer, replaces=file.file_id)
    return FileFacts(
        file=file,
        attempts=tx.attempts.find(file_id=file.file_id, order="attempt"),
        receipt=tx.receipts.get(file.file_id),
        results=sorted(known, key=lambda pair: (pair[0].collected_at, pair[0].name)),
        mismatches_by_kind=dict(sorted(kinds.items())),
        replaced_by=successors[-1] if successors else None,
        companion=tx.companions.get(file.file_id),
        redeliveries=tx.redeliveries.find(file_id=file.file_id, order="decided_at"),
    )


def run_facts(tx: Transaction, run: Run) -> RunFacts:
    chunks = tx.chunks.find(source=run.source, run=run.ordinal, order="ordinal")
    files = [] if run.assembly is None else tx.files.find(assembly=run.assembly, order="name")
    return RunFacts(run, chunks, files)


def files_called(tx: Transaction, name: str) -> list[OutboundFile]:
    """The files of this name or file_id, oldest first; several where a name was used again."""
    file = tx.files.get(name)
    return [file] if file is not None else tx.files.find(name=name, order="created_at")


def run_called(tx: Transaction, name: str) -> Run | None:
    """The run `source/ordinal`, like legacy/000001."""
    source, slash, ordinal = name.partition("/")
    return tx.runs.get(source, int(ordinal)) if slash and ordinal.isascii() and ordinal.isdigit() else None
