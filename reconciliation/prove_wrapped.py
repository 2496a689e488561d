"""Proves what lies in a wrapping: result files are opened and read again, and our own encrypted files where we hold a key for them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from formats.openpgp_in import open_message
from formats.reading import read_result
from payments.config import AcquirerSection, Configuration
from payments.config_results import ResultsPgp
from payments.errors import Unreadable, WrongConfiguration
from payments.keys import reported_key
from payments.ports import ObjectStore, Secrets
from payments.records import ResultFile
from payments.tables import REPORTED
from reconciliation.certificate import Certificate
from reconciliation.opened import Opened, open_result

SPOOLED = "tieout-prove-"


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The private keys by which we may read what we encrypted ourselves: where one of ours is among its recipients."""

    keys: list[str]
    passphrase: str
    secrets: Secrets

    def opened(self, path: Path, target: Path, at: datetime, bytes_max: int) -> bool:
        """Whether `target` holds the content now. That it is ours and unchanged is known by the hash that was sealed."""
        pgp = ResultsPgp(keys=self.keys, passphrase=self.passphrase, signature="none")
        try:
            open_message(path, target, pgp, self.secrets, at=at, bytes_max=bytes_max)
        except (Unreadable, WrongConfiguration):
            return False
        return True


def own_keys(configuration: Configuration, acquirer: str, secrets: Secrets | None) -> OwnKeys | None:
    """None where no private key of ours is configured."""
    found = configuration.acquirer_named(acquirer)
    pgp = None if found is None else found.results.pgp
    return OwnKeys(pgp.keys, pgp.passphrase, secrets) if pgp and pgp.keys and secrets is not None else None


def prove_wrapped_result(
    certificate: Certificate,
    store: ObjectStore,
    result: ResultFile,
    acquirer: AcquirerSection | None,
    secrets: Secrets | None,
) -> None:
    """Its content, its signature and, where it was read, its rows once more. Nothing for a file that came plain."""
    if not result.content_sha256:
        return
    name = f"result {result.name}"
    with certificate.stored(store, result.key, None) as path, tempfile.TemporaryDirectory(prefix=SPOOLED) as folder:
        if path is None:
            return
        opened = _opened(result, acquirer, path, Path(folder) / "plain", secrets)
        if opened is None or acquirer is None:
            # Its bytes are proved by their hash: who cannot open them any more can say no more, and says so.
            certificate.same(name, "content of its wrapping", "not opened", "not opened")
            return
        certificate.same(name, "SHA-256 of its content", result.content_sha256, opened.content_sha256)
        certificate.same(name, "signed by", result.signed_by or "nobody", opened.signed_by or "nobody")
        certificate.same(name, "signed at", _text(result.signed_at), _text(opened.signed_at))
        if result.state == "read":
            differing = _differing(store, result, acquirer, opened.path)
            certificate.same(name, "rows that differ when its content is read again", 0, differing)


def _opened(
    result: ResultFile, acquirer: AcquirerSection | None, path: Path, folder: Path, secrets: Secrets | None
) -> Opened | None:
    """None where the keys of then are no longer configured."""
    if acquirer is None:
        return None
    try:
        opened = open_result(acquirer.results, result, path, folder, secrets)
    except (WrongConfiguration, Unreadable):
        return None
    return opened if opened.content_sha256 else None


def _differing(store: ObjectStore, result: ResultFile, acquirer: AcquirerSection, content: Path) -> int:
    """How many rows of the reported object are not those that its content gives now, in the order of its lines."""
    with store.local(reported_key(result.acquirer, result.business_date, result.sha256)) as path:
        read = _rows(batch for batch in read_result(acquirer.results.format, content, zone=acquirer.zone))
        return sum(again != kept for again, kept in zip_longest(read, _rows(pq.ParquetFile(path).iter_batches())))


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[dict[str, object]]:
    for batch in batches:
        yield from pa.Table.from_batches([batch]).select(REPORTED.names).to_pylist()


def _text(at: datetime | None) -> str:
    return "" if at is None else at.isoformat()
