"""Seals one planned file: expected, manifest and, last, the outbound bytes; then the record that fixes them for good."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from formats.grouping import grouped
from formats.outbound import FileHeader, validate_file, write_file
from payments.config import AcquirerSection
from payments.errors import SetAside
from payments.hashing import sha256_of
from payments.keys import expected_key, file_chain, file_manifest_key, outbound_key
from payments.ports import Ledger, ObjectStore, Secrets, StoredObject
from payments.records import OutboundFile
from payments.states import FileState, check_file_transition
from payments.tables import EXPECTED
from transfer.candidates import Slice
from transfer.encoding import encode, over_bytes


def seal(
    ledger: Ledger,
    store: ObjectStore,
    spool: Path,
    acquirer: AcquirerSection,
    file: OutboundFile,
    slices: Sequence[Slice],
    file_of: Sequence[np.ndarray],
    number: int,
    secrets: Secrets | None = None,
) -> None:
    """Write the objects of `file` (draft `number` of the division), then record it sealed.

    A file that its format refuses stays planned and is held with the reason: its neighbours go on. One that is larger
    than the acquirer takes is sealed and held.
    """
    with tempfile.TemporaryDirectory(dir=spool) as folder:
        body, expected = Path(folder) / "body", Path(folder) / "expected.parquet"
        try:
            _write(store, acquirer, file, slices, file_of, number, body, expected)
            validate_file(file.format, body, acquirer.layout, file.total)
            encoded, said = encode(acquirer, file.name, body, secrets, file.created_at)
        except SetAside as error:
            _hold(ledger, file, str(error))
            return
        day = file.business_date
        stored_expected = store.put_file(expected_key(file.acquirer, day, file.file_id), expected)
        digest, size = sha256_of(encoded), encoded.stat().st_size
        manifest = _manifest(file, digest, size, stored_expected, said)
        store.put(file_manifest_key(file.acquirer, day, file.file_id), manifest)
        outbound = store.put_file(outbound_key(file.acquirer, day, file.file_id, file.name), encoded)
        too_large = over_bytes(acquirer, body.stat().st_size)
    check_file_transition(file.name, FileState(file.state), FileState.SEALED)
    with ledger.begin() as tx:
        tx.files.change(
            file,
            state=str(FileState.SEALED),
            sha256=outbound.sha256,
            size=outbound.size,
            expected_sha256=stored_expected.sha256,
            held=file.held or too_large,
        )
        tx.audit.append(file_chain(file.file_id), "sealed", {"sha256": outbound.sha256, "size": outbound.size})


def _write(
    store: ObjectStore,
    acquirer: AcquirerSection,
    file: OutboundFile,
    slices: Sequence[Slice],
    file_of: Sequence[np.ndarray],
    number: int,
    body: Path,
    expected: Path,
) -> None:
    header = FileHeader(
        acquirer=file.acquirer,
        name=file.name,
        message_id=file.file_id,
        sequence=file.sequence,
        business_date=file.business_date,
        created_at=file.created_at,
        total=file.total,
        initiating_party=acquirer.initiating_party,
    )
    with body.open("wb") as sink, pq.ParquetWriter(expected, EXPECTED, compression="zstd") as writer:
        rows = _rows(store, slices, file_of, number)
        ordered = grouped(file.format, rows) if acquirer.split.group_payments else rows
        write_file(file.format, header, _recorded(ordered, file, writer), sink, acquirer.layout)


def _rows(
    store: ObjectStore, slices: Sequence[Slice], file_of: Sequence[np.ndarray], number: int
) -> Iterator[pa.Table]:
    """The rows of one file, slice by slice, in its order."""
    for each, place in zip(slices, file_of, strict=True):
        mine = place == number
        if mine.any():
            table = each.read(store)
            yield table if mine.all() else table.filter(pa.array(mine))


def _recorded(rows: Iterator[pa.Table], file: OutboundFile, writer: pq.ParquetWriter) -> Iterator[pa.Table]:
    """Passes rows on, and writes beside them what we expect to come back for each."""
    line = 1
    for table in rows:
        count = len(table)
        columns = {
            "line": pa.array(np.arange(line, line + count, dtype=np.int64)),
            "file_id": pa.array([file.file_id] * count, pa.string()),
        }
        taken = [columns[name] if name in columns else table[name] for name in EXPECTED.names]
        writer.write_table(pa.table(taken, schema=EXPECTED))
        line += count
        yield table


def _manifest(file: OutboundFile, sha256: str, size: int, expected: StoredObject, said: Mapping[str, Any]) -> bytes:
    """What we claim is in the file. Times come from the plan, never from now (I4). `said` is how its bytes are read."""
    claims = {
        "file_id": file.file_id,
        "name": file.name,
        "acquirer": file.acquirer,
        "business_date": file.business_date.isoformat(),
        "window": file.window,
        "split": file.split,
        "generation": file.generation,
        "sequence": file.sequence,
        "replaces": file.replaces,
        "format": file.format,
        "created_at": file.created_at.isoformat(),
        "total": file.total.to_json(digest=True),
        "sha256": sha256,
        "size": size,
        "expected_sha256": expected.sha256,
        "config_hash": file.config_hash,
        # Behind the others: an encrypted file says here that it states no hash.
        **said,
    }
    return (json.dumps(claims, indent=1, sort_keys=True) + "\n").encode()


def _hold(ledger: Ledger, file: OutboundFile, why: str) -> None:
    with ledger.begin() as tx:
        tx.files.change(file, held=f"cannot be written: {why}"[:500])
        tx.audit.append(file_chain(file.file_id), "held", {"why": "its format refuses it"})
