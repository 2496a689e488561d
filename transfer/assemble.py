"""Assemble: folds completed runs and the pool into files. First the plan is committed, then its effects follow it.

gather -> fold -> divide -> [plan committed] -> index, pool -> each file sealed -> [done]
                                  ^                                            |
                                  '---- a restart goes on from here, same bytes'
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from payments.books import Total, total_of
from payments.config import Configuration
from payments.errors import BooksOff
from payments.keys import file_chain, index_key, pool_key, run_chain
from payments.leasing import TTL, drain
from payments.ports import Clock, Lease, Ledger, ObjectStore, Secrets, Transaction
from payments.records import Assembly, OutboundFile, Run, Sequence_
from payments.states import FileState
from transfer.after_sealing import close_of_file, record_findings
from transfer.assembly_due import is_pending
from transfer.assembly_inputs import Inputs, gather, inputs_of_plan, latest_dates, slices_of, waits_of
from transfer.assembly_returns import (
    check_settled,
    newest_generations,
    promised_back,
    take_chosen,
    where_they_went,
)
from transfer.candidates import Slice
from transfer.fold import Folded, fold
from transfer.integrity import ChunkTampered, check_curated
from transfer.kept_objects import kept_objects
from transfer.planning import Division, Numbers, divide, number_files
from transfer.sealing import seal
from transfer.segments import write_segments
from transfer.windows_firing import first_split, mark_planned, record_firings, settle_missed
from transfer.windows_plan import plan_of_dates, plan_of_windows, reasons_move

LEASE = "assemble"
"""One lease for all acquirers: a payment whose next version is routed elsewhere must meet its first assignment.
See docs/decisions/0002."""


@dataclass(frozen=True)
class AssemblePorts:
    """What assemble needs of the world."""

    ledger: Ledger
    store: ObjectStore
    clock: Clock
    configuration: Configuration
    config_hash: str
    spool: Path
    secrets: Secrets | None = None


def assemble(ports: AssemblePorts) -> bool:
    """Fold and seal everything that is due. False: another worker is at it, and will look again."""

    def pending() -> bool:
        with ports.ledger.begin() as tx:
            return is_pending(tx, ports.configuration, ports.clock.now())

    with kept_objects(ports.store) as store:
        mine = replace(ports, store=store)
        return drain(ports.ledger.leases, LEASE, pending=pending, step=lambda lease: _step(mine, lease))


def _step(ports: AssemblePorts, lease: Lease) -> bool:
    """One assembly, resumed or new. False: there was nothing to do."""
    now = ports.clock.now()
    with ports.ledger.begin() as tx:
        planned = next(iter(tx.assemblies.find(state="planned", limit=1)), None)
        settled = [settle_missed(tx, each, now) for each in ports.configuration.acquirer]
        inputs = gather(tx, ports.configuration, now) if planned is None else inputs_of_plan(tx, planned)
    renew: Callable[[], None] = lambda: ports.ledger.leases.renew(lease, ttl=TTL)  # noqa: E731
    slices = slices_of(ports.store, inputs)
    acquirers = {each.name: each for each in ports.configuration.acquirer}
    _check_objects(ports, inputs, slices, renew, planned=planned is not None)
    folded = _fold(ports, inputs, slices, renew)
    division = divide(ports.store, slices, folded, acquirers)
    if planned is None:
        if not (
            division.drafts
            or inputs.runs
            or inputs.predecessors
            or reasons_move(ports.ledger, inputs, folded, division)
        ):
            with ports.ledger.begin() as tx:
                return record_firings(tx, inputs.places, set(), now) or any(settled)
        _check(ports, inputs, division)
        planned = _commit(ports, inputs, slices, folded, division)
    files = _planned_files(ports, planned)
    if [file.total for file in files] != [draft.total for draft in division.drafts]:
        raise BooksOff(
            f"assembly {planned.ordinal}: its plan no longer follows from its inputs",
            next_step="The configuration changed between plan and restart: put it back, or ask for help with `tieout prove`.",
        )
    with tempfile.TemporaryDirectory(dir=ports.spool) as folder:
        index, pool = write_segments(ports.store, slices, folded, division.file_of, files, Path(folder))
        stored_index = ports.store.put_file(index_key(planned.ordinal), index)
        stored_pool = ports.store.put_file(pool_key(planned.ordinal), pool)
    for number, file in enumerate(files):
        renew()
        if file.state == FileState.PLANNED:
            seal(
                ports.ledger,
                ports.store,
                ports.spool,
                acquirers[file.acquirer],
                file,
                slices,
                division.file_of,
                number,
                ports.secrets,
            )
    with ports.ledger.begin() as tx:
        tx.assemblies.change(planned, state="done", index_sha256=stored_index.sha256, pool_sha256=stored_pool.sha256)
    return True


def _fold(ports: AssemblePorts, inputs: Inputs, slices: list[Slice], progress: Callable[[], None]) -> Folded:
    return fold(
        ports.store,
        slices,
        [index_key(number) for number in range(1, inputs.ordinal)],
        latest_dates(ports.configuration, inputs),
        gone_back=inputs.gone_back,
        settled=inputs.settled,
        waits=waits_of(inputs),
        progress=progress,
    )


def _check_objects(
    ports: AssemblePorts, inputs: Inputs, slices: list[Slice], progress: Callable[[], None], *, planned: bool
) -> None:
    """A run with a damaged object is stopped before it is planned; a plan that was made waits for the object."""
    try:
        check_curated(ports.ledger, ports.store, slices, progress=progress)
    except ChunkTampered as error:
        if not planned:
            _stop(
                ports,
                inputs,
                f"run:{error.key.source}:{error.key.run}",
                f"{error.key.curated} {error.what}",
            )
        raise


def _check(ports: AssemblePorts, inputs: Inputs, division: Division) -> None:
    """Every row that was promised was read, and every row that was read has one outcome; else nothing is planned."""
    promised = {f"run:{run.source}:{run.ordinal}": run.curated for run in inputs.runs}
    promised |= promised_back(ports.ledger, inputs)
    promised["pool"] = inputs.previous_pool
    for label, total in promised.items():
        if division.seen.get(label, Total()) != total:
            _stop(ports, inputs, label, "books off at assembly")
            raise BooksOff(
                f"assemble: {label} promised {total.count} rows; what was read differs in count, sum or hash"
            )
    if total_of(division.seen.values()) != total_of([*division.outcomes.values(), division.pool]):
        raise BooksOff(f"assembly {inputs.ordinal}: outcomes do not add up to the rows read")


def _stop(ports: AssemblePorts, inputs: Inputs, label: str, why: str) -> None:
    """The next assembly goes on without this run, until `tieout requeue` says that it is whole again."""
    with ports.ledger.begin() as tx:
        for run in inputs.runs:
            if label == f"run:{run.source}:{run.ordinal}":
                tx.runs.change(run, state="stopped", note=why)
                tx.audit.append(run_chain(run.source, run.ordinal), "run_stopped", {"why": why})


def _commit(ports: AssemblePorts, inputs: Inputs, slices: list[Slice], folded: Folded, division: Division) -> Assembly:
    """One transaction: the plan, its files with numbers and dates, the runs and returned files it takes."""
    went = where_they_went(ports.store, inputs, slices, division)
    with ports.ledger.begin() as tx:
        check_settled(tx, inputs)
        files = plan_files(tx, ports.configuration, inputs, division, ports.config_hash)
        _take_numbers(tx, files)
        assembly = Assembly(
            ordinal=inputs.ordinal,
            state="planned",
            created_at=inputs.created_at,
            config_hash=ports.config_hash,
            plan={
                "runs": [[run.source, run.ordinal] for run in inputs.runs],
                "returned": [file.file_id for file in inputs.returned],
                "files": [file.file_id for file in files],
                "pool_due": plan_of_dates(folded),
                **({"settled": sorted(inputs.settled)} if inputs.settled else {}),
                **plan_of_windows(tx, inputs, division),
            },
            outcomes={name: total.to_json(digest=True) for name, total in division.outcomes.items()},
            pool=division.pool,
        )
        tx.assemblies.add(assembly)
        for run in inputs.runs:
            _take_run(tx, run, inputs.ordinal)
        for file in inputs.returned:
            tx.files.change(file, returned_in=inputs.ordinal)
            close_of_file(tx, file, inputs.created_at, "its payments went back; their newest versions were folded")
            tx.audit.append(file_chain(file.file_id), "rows_returned", {"assembly": inputs.ordinal})
        take_chosen(tx, ports.store, inputs, files, went)
        for file in files:
            tx.files.add(file)
            tx.audit.append(file_chain(file.file_id), "planned", _claims(file))
            if file.acquirer in inputs.places:
                mark_planned(tx, file, inputs.places[file.acquirer], inputs.created_at)
        record_firings(tx, inputs.places, {file.acquirer for file in files}, inputs.created_at)
        record_findings(tx, folded.findings, inputs.created_at)
    return assembly


def plan_files(
    tx: Transaction, configuration: Configuration, inputs: Inputs, division: Division, config_hash: str
) -> list[OutboundFile]:
    """The files of a plan, named and numbered as the ledger stands. Writes nothing: a dry run asks the same."""
    acquirers = {each.name: each for each in configuration.acquirer}
    return number_files(
        division.drafts,
        assembly=inputs.ordinal,
        created_at=inputs.created_at,
        acquirers=acquirers,
        replaced=inputs.predecessors,
        newest=newest_generations(tx, inputs.predecessors.values()),
        usual={name: _usual(tx, name) for name in acquirers},
        numbers=_numbers(tx, configuration, inputs, {draft.replaces for draft in division.drafts}),
        config_hash=config_hash,
        places=inputs.places,
        first_splits={name: first_split(tx, place) for name, place in inputs.places.items()},
    )


def _take_run(tx: Transaction, run: Run, ordinal: int) -> None:
    tx.runs.change(run, state="assembled", assembly=ordinal)
    tx.audit.append(run_chain(run.source, run.ordinal), "run_assembled", {"assembly": ordinal})


def _claims(file: OutboundFile) -> dict[str, object]:
    return {
        "name": file.name,
        "sequence": file.sequence,
        "business_date": file.business_date.isoformat(),
        "held": file.held,
        "total": file.total.to_json(digest=True),
    }


def _usual(tx: Transaction, acquirer: str) -> list[int]:
    return [file.total.count for file in tx.files.find(acquirer=acquirer, order="-created_at", limit=20)]


def _numbers(tx: Transaction, configuration: Configuration, inputs: Inputs, replaced: set[str]) -> Numbers:
    """Free numbers belong to files that never left, whose rows are back, and that nobody replaces."""
    following, free = {}, {}
    returned = {file.file_id for file in inputs.returned}
    for acquirer in configuration.acquirer:
        record = tx.sequences.get(acquirer.name)
        following[acquirer.name] = acquirer.sequence_first if record is None else record.next_value
        cancelled = tx.files.find(acquirer=acquirer.name, state=str(FileState.CANCELLED))
        held = {f.sequence for f in tx.files.find(acquirer=acquirer.name) if f.state != FileState.CANCELLED}
        back = {f.sequence for f in cancelled if f.returned_in or f.file_id in returned}
        # The replacements of this very plan take their numbers by themselves.
        free[acquirer.name] = sorted(back - held - {f.sequence for f in cancelled if f.file_id in replaced})
    return Numbers(free, following)


def _take_numbers(tx: Transaction, files: list[OutboundFile]) -> None:
    for acquirer in sorted({file.acquirer for file in files}):
        following = max(file.sequence for file in files if file.acquirer == acquirer) + 1
        record = tx.sequences.get(acquirer)
        if record is None:
            tx.sequences.add(Sequence_(acquirer, following))
        elif following > record.next_value:
            tx.sequences.change(record, next_value=following)


def _planned_files(ports: AssemblePorts, assembly: Assembly) -> list[OutboundFile]:
    """The files of a plan in its order, as they are now."""
    with ports.ledger.begin() as tx:
        found = [tx.files.get(each) for each in assembly.plan["files"]]
    return [each for each in found if each is not None]
