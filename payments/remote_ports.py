"""The ports to the two other sides, as small Protocols: a legacy source, and where an acquirer takes and gives files.

Adapters live in `extractors`, `transfer` and `runtime`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as a remote directory lists it; `modified_s` is the server's own POSIX time.

    Not `plain`: a link, a pipe or a device, which nobody follows or reads.
    """

    name: str
    size: int
    modified_s: int
    plain: bool = True


class RemoteDrop(Protocol):
    """One open session with the acquirer's side. Paths are relative to its root. Closing is the connector's business.

    Errors: Unreachable (link, time-out, authentication), HostKeyRefused, TargetExists, DeliveryFailed (the server said no).
    """

    def stat(self, path: str) -> RemoteFile | None: ...

    def upload(self, local: Path, temporary: str) -> None:
        """Exclusive create, pipelined writes, fsync where offered, close, then stat: the size must be equal."""
        ...

    def rename(self, temporary: str, target: str) -> None:
        """Plain rename. TargetExists/DeliveryFailed: the server answered no. Unreachable: the answer was lost."""
        ...

    def remove(self, path: str) -> bool:
        """True when it was there and is gone, False when it was not there."""
        ...

    def listing(self, directory: str) -> list[RemoteFile]:
        """Whatever a directory holds but directories, ordered by name, at most 100,000."""
        ...

    def download(self, path: str, local: Path, *, bytes_max: int = ...) -> None: ...

    @property
    def host_key(self) -> str:
        """Fingerprint (`SHA256:...`) of the key that the server proved to hold."""
        ...


Position = list[Any]
"""A place in a source's order: [watermark value, primary key values ...], JSON values only."""


class Source(Protocol):
    """One open session with a legacy system, read by keyset in the order (watermark, primary key)."""

    def upper_bound(self, now: datetime) -> Position | None:
        """The last position that may be read now without a hole (late commits); None when there is nothing at all."""
        ...

    def strays(self, now: datetime) -> int:
        """How many rows may never be read, since their watermark has no place in the order; counted up to a limit."""
        ...

    def chunk_end(self, after: Position | None, upto: Position, rows: int) -> tuple[Position, int] | None:
        """The position of the `rows`-th row behind `after` (or of the last one up to `upto`) and the count; None: no row."""
        ...

    def read(self, after: Position | None, upto: Position) -> Iterable[Any]:
        """pyarrow.RecordBatch of the rows in (after, upto], in order, exact: text, int64, decimal128, date32 or UTC time."""
        ...
