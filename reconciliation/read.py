"""Read: turns one result file into reported events, or sets it aside whole, with its reason."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from formats.reading import Reading, read_result
from payments.config import AcquirerSection, Configuration
from payments.errors import Busy, SetAside, Unreadable
from payments.keys import day_chain, reported_key, set_aside_key
from payments.ports import Clock, Ledger, ObjectStore, Secrets, Transaction
from payments.records import ResultFile
from payments.states import MismatchKind
from payments.tables import REPORTED
from reconciliation.evidence import dispute
from reconciliation.file_alarms import Numbers, compare_numbers, name_used_again
from reconciliation.opened import Opened, open_result, twin_of
from reconciliation.read_alarms import close_alarms, kind_of, open_alarm

log = logging.getLogger(__name__)
COUNTS = ("lines", "control", "events", "unreadable")


@dataclass(frozen=True)
class ReadPorts:
    """What read needs of the world."""

    ledger: Ledger
    store: ObjectStore
    clock: Clock
    configuration: Configuration
    spool: Path
    secrets: Secrets | None = None


@dataclass(slots=True)
class _Read:
    """What one file came to. `fatal` is empty when it may be used, else why not."""

    opened: Opened | None = None
    reading: Reading | None = None
    fatal: str = ""
    lines: int = 1  # of what could not be opened nobody knows more


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
        found = _opened(ports, acquirer, result, path, Path(folder) / "plain")
        with ports.ledger.look() as tx:
            twin = None if found.opened is None else twin_of(tx, result, found.opened)
        if found.opened is not None and twin is None:
            _read(acquirer, found.opened.path, target, found)
        aside = twin is not None or found.fatal != ""
        if aside:
            _write_nothing(target)
        # A file that is not used leaves an empty object: what is downstream waits for one object per result file.
        place = set_aside_key if aside else reported_key
        stored = ports.store.put_file(place(acquirer_name, day, digest), target)
    with ports.ledger.begin() as tx:
        if twin is not None:
            return _record_twin(tx, result, twin, found, stored.sha256)
        changed = _record(tx, ports, acquirer, result, found, stored.sha256)
        if found.reading is not None and changed.state == "read":
            _look_at_file(tx, acquirer, changed, found.reading, ports.clock.now())
        return changed


def parse_result_key(key: str) -> tuple[str, date, str]:
    """(acquirer, business date, sha256) of a key under results or reported. Raises SetAside."""
    parts = key.split("/")
    try:
        return parts[1], date.fromisoformat(parts[2]), parts[3].removesuffix(".parquet")
    except (IndexError, ValueError) as error:
        raise SetAside(f"object {key!a} is not a result: its key is not store/acquirer/date/sha256") from error


def _opened(ports: ReadPorts, acquirer: AcquirerSection, result: ResultFile, path: Path, folder: Path) -> _Read:
    try:
        return _Read(open_result(acquirer.results, result, path, folder, ports.secrets))
    except Unreadable as error:
        return _Read(fatal=str(error))


def _read(acquirer: AcquirerSection, path: Path, target: Path, found: _Read) -> None:
    """Write the reported rows to `target`, and say what came of it."""
    try:
        with pq.ParquetWriter(target, REPORTED, compression="zstd") as writer:
            found.reading = read_result(acquirer.results.format, path, zone=acquirer.zone)
            for batch in found.reading:
                writer.write_batch(batch)
    except Unreadable as error:
        found.fatal = str(error)
    if found.reading is not None and not found.fatal:
        contradictions = [p for p in found.reading.problems if p.kind != MismatchKind.FILE_UNREADABLE]
        if contradictions:
            found.fatal = f"{contradictions[0].kind}: {contradictions[0].detail}"
        elif not found.reading.complete:
            found.fatal = "the file ends without its trailer: it was cut off, or is still being written"
    if found.fatal:
        found.lines = _lines(path)


def _write_nothing(target: Path) -> None:
    with pq.ParquetWriter(target, REPORTED, compression="zstd") as writer:
        writer.write_table(pa.table([pa.array([], f.type) for f in REPORTED], schema=REPORTED))


def _lines(path: Path) -> int:
    count, last = 0, b"\n"
    with path.open("rb") as source:
        while piece := source.read(1 << 20):
            count, last = count + piece.count(b"\n"), piece[-1:]
    return max(1, count + (last != b"\n"))


def _record(
    tx: Transaction, ports: ReadPorts, acquirer: AcquirerSection, result: ResultFile, found: _Read, stored: str
) -> ResultFile:
    reading, now = found.reading, ports.clock.now()
    if found.fatal or reading is None:
        changes: dict[str, Any] = {"state": "unreadable", "lines": found.lines, "unreadable": found.lines}
        changes |= {"note": found.fatal[:500], "reconciled": True}
        kind, problem = kind_of(found.fatal), found.fatal
        log.warning("result file %s of %s is set aside: %s", result.name, result.acquirer, found.fatal)
    else:
        changes = {"state": "read", **{name: getattr(reading, name) for name in COUNTS}}
        changes["disputed"] = dispute(tx, acquirer, result, found.opened or Opened(Path()), reading, now)
        kind, problem = MismatchKind.FILE_UNREADABLE, "; ".join(each.detail for each in reading.problems)
    changed = tx.results.change(result, reported_sha256=stored, **changes, **_said_of(found))
    _tell(tx, changed, problem)
    if problem:
        open_alarm(tx, changed, kind, problem, now)
    else:
        close_alarms(tx, changed, now)
    return changed


def _record_twin(tx: Transaction, result: ResultFile, twin: ResultFile, found: _Read, stored: str) -> ResultFile:
    """Each content is used once: its events would only be duplicates of themselves."""
    note = f"it holds what {twin.name} ({twin.sha256[:12]}) held"
    changed = tx.results.change(
        result, state="duplicate", note=note, reconciled=True, reported_sha256=stored, **_said_of(found)
    )
    _tell(tx, changed, note)
    return changed


def _said_of(found: _Read) -> dict[str, Any]:
    """Its number and what it was wrapped in; of one that came plain, its number."""
    opened = found.opened
    if opened is None:
        return {}
    if not opened.content_sha256:
        return {"number": opened.number}
    return {name: getattr(opened, name) for name in ("content_sha256", "number", "signed_by", "signed_at")}


def _tell(tx: Transaction, result: ResultFile, problem: str) -> None:
    """The audit of the acquirer's day: what became of the file, and whose signature it bears."""
    body = {"name": result.name, "sha256": result.sha256, "problem": problem[:300]}
    if result.content_sha256:
        body["content_sha256"] = result.content_sha256
    if result.signed_by and result.signed_at is not None:
        body |= {"signed_by": result.signed_by, "signed_at": result.signed_at.isoformat()}
    tx.audit.append(day_chain(result.acquirer, result.business_date), result.state, body)


def _look_at_file(
    tx: Transaction, acquirer: AcquirerSection, result: ResultFile, reading: Reading, now: datetime
) -> None:
    """What a file that was read says beside its lines."""
    name_used_again(tx, result, now)
    if result.disputed:
        return  # by which number it names our file is in question
    if reading.original_sequence and reading.next_sequence is not None and reading.group_status is not None:
        said = Numbers(reading.original_sequence, reading.next_sequence, reading.group_status == "RJCT")
        compare_numbers(tx, result, said, now, strict=acquirer.sequence == "strict")
