"""The ports: what the stages need of our own world, as small Protocols. Adapters live in `runtime`.

The ports to the two other sides, a source and an acquirer, are in `payments.remote_ports`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from payments.records import (
    AcquirerProfile,
    Assembly,
    Attempt,
    Chunk,
    Decision,
    Firing,
    Mismatch,
    OutboundFile,
    Receipt,
    ResultBooks,
    ResultFile,
    Run,
    Sequence_,
    Sighting,
    StagedKey,
    Watermark,
)
from payments.side_ledgers import SideLedgers

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the object store holds under a key. `adopted`: it was already there when we came to put it."""

    key: str
    size: int
    sha256: str
    adopted: bool = False


class ObjectStore(Protocol):
    """Immutable objects under keys; every put is put-if-absent and durable when it returns."""

    def put(self, key: str, data: bytes) -> StoredObject:
        """Store, unless the key exists: then what is stored is hashed and returned with `adopted` set."""
        ...

    def put_file(self, key: str, path: Path) -> StoredObject:
        """The same for a spooled file of any size, which is never held in memory."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object. Raises Unreadable when there is none or it exceeds the limit of 256 MiB."""
        ...

    def local(self, key: str) -> AbstractContextManager[Path]:
        """The object as a read-only file on this machine, for as long as the context lasts."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys under a prefix, in order."""
        ...

    def exists(self, key: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One received message of a queue. `receipt` names this receive, `receives` counts them."""

    body: str
    receipt: str
    receives: int


class Queue(Protocol):
    """A queue with the behaviour of SQS: at least once, in any order, invisible while somebody works on it."""

    def send(self, queue: str, body: str, *, delay: timedelta = timedelta()) -> None: ...

    def receive(self, queue: str, *, limit: int, visibility: timedelta) -> list[Message]:
        """Up to `limit` (at most 10) visible messages, hidden from others for `visibility`."""
        ...

    def delete(self, queue: str, receipt: str) -> None: ...

    def release(self, queue: str, receipt: str, *, delay: timedelta) -> None:
        """Make a received message visible again after `delay`."""
        ...

    def depth(self, queue: str) -> tuple[int, int]:
        """(visible or delayed, in flight)."""
        ...


class Clock(Protocol):
    """What time it is. Stages ask nobody else."""

    def now(self) -> datetime: ...


class Secrets(Protocol):
    """Secrets by reference: `env:NAME`, `file:PATH`, `aws-secret:ARN`."""

    def get(self, reference: str) -> bytes:
        """Raises WrongConfiguration when there is none."""
        ...


class Records(Protocol[R]):
    """One table of the ledger as frozen records."""

    def add(self, record: R) -> None:
        """Raises Busy when a record with this key exists."""
        ...

    def get(self, *key: Any) -> R | None: ...

    def find(self, *, order: str = "", limit: int = 0, after: Any = None, **where: Any) -> list[R]:
        """Records whose fields equal `where` (a tuple means any of; None means is null).

        Ordered by the field `order` (a leading `-` turns it round), at most `limit` (0: all), starting behind the
        value `after` of that field.
        """
        ...

    def change(self, record: R, **changes: Any) -> R:
        """Compare and set: the stored record must still equal `record`'s revision (or, without one, exist). Raises Busy."""
        ...

    def count(self, **where: Any) -> int: ...


class AuditLog(Protocol):
    """Append-only, chained by hash: one chain per run, file and acquirer-day."""

    def append(self, chain: str, act: str, body: Mapping[str, Any], *, actor: str = "tieout") -> str:
        """Returns the new head (hex SHA-256). `body` holds no personal data and is canonical JSON."""
        ...


class RunLedger(Protocol):
    """What was extracted, curated and assembled."""

    @property
    def runs(self) -> Records[Run]: ...
    @property
    def chunks(self) -> Records[Chunk]: ...
    @property
    def watermarks(self) -> Records[Watermark]: ...
    @property
    def assemblies(self) -> Records[Assembly]: ...


class FileLedger(Protocol):
    """What was sent."""

    @property
    def files(self) -> Records[OutboundFile]: ...
    @property
    def attempts(self) -> Records[Attempt]: ...
    @property
    def receipts(self) -> Records[Receipt]: ...
    @property
    def sequences(self) -> Records[Sequence_]: ...


class MismatchLedger(Protocol):
    """What came back and how it disagrees."""

    @property
    def sightings(self) -> Records[Sighting]: ...
    @property
    def results(self) -> Records[ResultFile]: ...
    @property
    def result_books(self) -> Records[ResultBooks]: ...
    @property
    def mismatches(self) -> Records[Mismatch]: ...
    @property
    def decisions(self) -> Records[Decision]: ...

    def replace_mismatches(self, add: Sequence[Mismatch], change: Sequence[Mismatch]) -> None:
        """Bulk insert and update by id, in one statement each."""
        ...


class Transaction(RunLedger, FileLedger, MismatchLedger, SideLedgers, Protocol):
    """One transaction with all ledgers: all of it happens, or none."""

    @property
    def firings(self) -> Records[Firing]: ...
    @property
    def staged_keys(self) -> Records[StagedKey]: ...
    @property
    def profiles(self) -> Records[AcquirerProfile]: ...
    @property
    def audit(self) -> AuditLog: ...
    def is_leased(self, name: str) -> bool: ...  # now, by anybody


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as held: `fence` grows with every holder, so that a late holder can be told from the current one."""

    name: str
    holder: str
    fence: int


class Leases(Protocol):
    """Leases by the database's clock."""

    def acquire(self, name: str, *, ttl: timedelta) -> Lease | None:
        """None when somebody else holds it."""
        ...

    def renew(self, lease: Lease, *, ttl: timedelta) -> None:
        """Raises Busy when the lease is no longer ours."""
        ...

    def release(self, lease: Lease) -> None: ...


class Ledger(Protocol):
    """The SQL memory of what was done."""

    def begin(self) -> AbstractContextManager[Transaction]: ...

    def look(self) -> AbstractContextManager[Transaction]:
        """The same for reading only: one consistent look that takes no write lock."""
        ...

    @property
    def leases(self) -> Leases: ...
