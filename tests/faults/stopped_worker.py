"""A worker that delivers over real SFTP and stops itself (SIGSTOP) at a chosen moment: a program of its own, for tests only.

python stopped_worker.py FOLDER SETTINGS.json MOMENT
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import payments.leasing
import transfer.deliver
from payments.config import Sftp
from payments.errors import TieoutError
from payments.ports import Lease, Leases
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.store_file import FileStore
from tests.unit.transfer.assemble_world import Clock, acquirer
from transfer.deliver import DeliverPorts, deliver
from transfer.sftp import connect

LEASE = timedelta(seconds=1)
RENEWING = threading.Lock()
"""Held while a lease is renewed and while the process stops: stopped inside a transaction it would keep SQLite's lock,
and everybody would wait for it, which is safe and proves nothing."""


class GuardedLeases:
    """The leases, one call at a time."""

    def __init__(self, inner: Leases) -> None:
        self._inner = inner

    def acquire(self, name: str, *, ttl: timedelta) -> Lease | None:
        with RENEWING:
            return self._inner.acquire(name, ttl=ttl)

    def renew(self, lease: Lease, *, ttl: timedelta) -> None:
        with RENEWING:
            self._inner.renew(lease, ttl=ttl)

    def release(self, lease: Lease) -> None:
        with RENEWING:
            self._inner.release(lease)


class Stopping:
    """The session, with a stop of the whole process at one moment."""

    def __init__(self, drop: Any, moment: str) -> None:
        self._drop, self._moment = drop, moment

    def upload(self, local: Path, temporary: str) -> None:
        self._stop_at("before-upload")
        self._drop.upload(local, temporary)
        self._stop_at("after-upload")

    def rename(self, temporary: str, target: str) -> None:
        self._stop_at("before-rename")
        self._drop.rename(temporary, target)
        self._stop_at("after-rename")

    def _stop_at(self, moment: str) -> None:
        if moment == self._moment:
            with RENEWING:
                os.kill(os.getpid(), signal.SIGSTOP)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drop, name)


def ports_for(folder: Path, sftp: Sftp, key: bytes, holder: str, moment: str) -> DeliverPorts:
    """What deliver needs, on a ledger and store that exist, against a real server."""

    @contextmanager
    def session() -> Iterator[Any]:
        with connect(sftp, key=key, password=None) as drop:
            yield Stopping(drop, moment)

    clock = Clock()
    ledger: Any = SqlLedger(open_engine(f"sqlite:{folder / 'ledger.db'}"), clock, holder=holder)
    ledger.leases = GuardedLeases(ledger.leases)
    section = acquirer(sftp=sftp)
    return DeliverPorts(ledger, FileStore(folder / "store"), clock, section, session, holder, folder / "spool")


def main() -> int:
    folder, described, moment = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), sys.argv[3]
    payments.leasing.TTL = LEASE
    setattr(transfer.deliver, "TTL", LEASE)  # noqa: B010  (it took over the name)
    sftp = Sftp(**described)
    try:
        deliver(ports_for(folder, sftp, (folder / "key").read_bytes(), "worker:old", moment))
    except TieoutError as error:
        print(type(error).__name__, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
