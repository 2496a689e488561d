"""What collecting from one acquirer needs of the world, handed from step to step of a poll."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from payments.config import AcquirerSection
from payments.leasing import MayBegin, always
from payments.ports import Clock, Ledger, ObjectStore
from payments.remote_ports import RemoteDrop


@dataclass(frozen=True)
class CollectPorts:
    """What collect needs of the world, for one acquirer."""

    ledger: Ledger
    store: ObjectStore
    clock: Clock
    acquirer: AcquirerSection
    connect: Callable[[], AbstractContextManager[RemoteDrop]]
    spool: Path
    may_begin: MayBegin = always
