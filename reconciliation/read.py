"""Read: turns one result file into reported events, or sets it aside whole, with its reason."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from formats.reading import Reading, read_result
from payments.config import AcquirerSection, Configuration
from payments.errors import Busy, SetAside, Unreadable
from payments.hashing import sha256_of
from payments.keys import day_chain, mismatch_id, reported_key
from payments.ports import Clock, Ledger, ObjectStore, Transaction
from payments.records import Mismatch, ResultFile
from payments.states import OPEN_MISMATCH_STATES, MismatchKind, MismatchState
from payments.tables import REPORTED
from reconciliation.file_alarms import Numbers, compare_numbers, name_used_again

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadPorts:
    """What read needs of the world."""

    ledger: Ledger
    store: ObjectStore
    clock: Clock
    configuration: Configuration
    spool: Path


def read(ports: ReadPorts, key: str) -> ResultFile | None:
    """Read the result file under `key`; None when it was read before. Raises Busy when it is not recorded yet."""
    acquirer_name, day, digest = parse_result_key(key)
    acquirer = ports.configuration.acquirer_named(acquirer_name)
    with ports.ledger.begin() as tx:
        result = tx.results.get(acquirer_name, digest)
    if result is None:
        raise Busy(f"result file {digest[:12]} of {acquirer_name} is stored but not recorded yet")
    if result.state != "collected":
        return None
    if acquirer is None:
        raise SetAside(f"result file {result.name}: acquirer {acquirer_name} is not configured")
    with ports.store.local(key) as path, tempfile.TemporaryDirectory(dir=ports.spool) as folder:
        target = Path(folder) / "reported.parquet"
        reading, fatal = _read(acquirer.results.format, path, acquirer.zone, target, digest)
        # An unreadable file leaves an empty object: what is downstream waits for one object per result file.
        stored = ports.store.put_file(reported_key(acquirer_name, day, digest), target)
        lines = _lines(path) if fatal else 0
    with ports.ledger.begin() as tx:
        changed = _record(tx, ports, result, reading, fatal, stored.sha256, lines)
        if reading is not None and changed.state == "read":
            _look_at_file(tx, acquirer, changed, reading, ports.clock.now())
        return changed


def parse_result_key(key: str) -> tuple[str, date, str]:
    """(acquirer, business date, sha256) of a key under results or reported. Raises SetAside."""
    parts = key.split("/")
    try:
        return parts[1], date.fromisoformat(parts[2]), parts[3].removesuffix(".parquet")
    except (IndexError, ValueError) as error:
        raise SetAside(f"object {key!a} is not a result: its key is not store/acquirer/date/sha256") from error


def _read(format_: str, path: Path, zone: str, target: Path, digest: str) -> tuple[Reading | None, str]:
    """Write the reported rows to `target`. The text is empty when the file may be used, else why not."""
    reading: Reading | None = None
    fatal = ""
    try:
        _check_bytes(path, digest)
        with pq.ParquetWriter(target, REPORTED, compression="zstd") as writer:
            reading = read_result(format_, path, zone=zone)
            for batch in reading:
                writer.write_batch(batch)
    except Unreadable as error:
        fatal = str(error)
    if reading is not None and not fatal:
        contradictions = [p for p in reading.problems if p.kind != MismatchKind.FILE_UNREADABLE]
        if contradictions:
            fatal = f"{contradictions[0].kind}: {contradictions[0].detail}"
        elif not reading.complete:
            fatal = "the file ends without its trailer: it was cut off, or is still being written"
    if fatal:
        with pq.ParquetWriter(target, REPORTED, compression="zstd") as writer:
            writer.write_table(pa.table([pa.array([], f.type) for f in REPORTED], schema=REPORTED))
    return reading, fatal


def _check_bytes(path: Path, digest: str) -> None:
    """Changed bytes are set aside like any bad file: reconcile waits for what is not read, and the others must go on."""
    if sha256_of(path) != digest:
        raise Unreadable("the stored bytes are not those that were collected; restore the object from a backup")


def _lines(path: Path) -> int:
    count, last = 0, b"\n"
    with path.open("rb") as source:
        while piece := source.read(1 << 20):
            count, last = count + piece.count(b"\n"), piece[-1:]
    return max(1, count + (last != b"\n"))


def _record(
    tx: Transaction, ports: ReadPorts, result: ResultFile, reading: Reading | None, fatal: str, stored: str, lines: int
) -> ResultFile:
    chain = day_chain(result.acquirer, result.business_date)
    problem = ""
    if fatal or reading is None:
        changed = tx.results.change(
            result,
            state="unreadable",
            lines=lines,
            unreadable=lines,
            reported_sha256=stored,
            note=fatal[:500],
            reconciled=True,
        )
        kind = _kind(fatal)
        problem = fatal
        log.warning("result file %s of %s is set aside: %s", result.name, result.acquirer, fatal)
    else:
        changed = tx.results.change(
            result,
            state="read",
            lines=reading.lines,
            control=reading.control,
            events=reading.events,
            unreadable=reading.unreadable,
            reported_sha256=stored,
        )
        kind = MismatchKind.FILE_UNREADABLE
        problem = "; ".join(each.detail for each in reading.problems)
    tx.audit.append(chain, changed.state, {"name": result.name, "sha256": result.sha256, "problem": problem[:300]})
    if problem:
        _open(tx, changed, kind, problem, ports)
    else:
        _close_earlier(tx, changed, ports)
    return changed


def _look_at_file(
    tx: Transaction, acquirer: AcquirerSection, result: ResultFile, reading: Reading, now: datetime
) -> None:
    """What a file that was read says beside its lines."""
    name_used_again(tx, result, now)
    if reading.original_sequence and reading.next_sequence is not None and reading.group_status is not None:
        said = Numbers(reading.original_sequence, reading.next_sequence, reading.group_status == "RJCT")
        compare_numbers(tx, result, said, now, strict=acquirer.sequence == "strict")


def _kind(fatal: str) -> MismatchKind:
    for kind in (MismatchKind.COUNT_DIFFERS, MismatchKind.SUM_DIFFERS, MismatchKind.FILE_REFUSED):
        if fatal.startswith(kind):
            return kind
    return MismatchKind.FILE_UNREADABLE


def _open(tx: Transaction, result: ResultFile, kind: MismatchKind, why: str, ports: ReadPorts) -> None:
    now = ports.clock.now()
    identity = mismatch_id("result", result.acquirer, result.sha256)
    # Files are read in any order: the version that ends this alarm may have been read already.
    ended = result.state == "unreadable" and any(
        _ends(tx, later, result) for later in tx.results.find(acquirer=result.acquirer, name=result.name, state="read")
    )
    if tx.mismatches.get(identity) is None:
        fresh = Mismatch(
            id=identity,
            acquirer=result.acquirer,
            business_date=result.business_date,
            kind=str(kind),
            state=str(MismatchState.CLOSED_BY_LATE_RESULT if ended else MismatchState.OPEN),
            opened_at=now,
            updated_at=now,
            closed_at=now if ended else None,
            result_sha256=result.sha256,
            detail={"why": why[:500], "name": result.name},
        )
        tx.replace_mismatches([fresh], [])


def _close_earlier(tx: Transaction, result: ResultFile, ports: ReadPorts) -> None:
    """A good version of a file that was cut off before ends that alarm."""
    now = ports.clock.now()
    for earlier in tx.results.find(acquirer=result.acquirer, name=result.name, state="unreadable"):
        known = tx.mismatches.get(mismatch_id("result", result.acquirer, earlier.sha256))
        if known is not None and known.state in OPEN_MISMATCH_STATES and _ends(tx, result, earlier):
            tx.mismatches.change(known, state=str(MismatchState.CLOSED_BY_LATE_RESULT), updated_at=now, closed_at=now)


def _ends(tx: Transaction, later: ResultFile, earlier: ResultFile) -> bool:
    """Whether `later`, of the same name, is a whole and faultless version of `earlier`."""
    return (
        later.collected_at >= earlier.collected_at
        and tx.mismatches.get(mismatch_id("result", later.acquirer, later.sha256)) is None
    )
