"""Kills functions of a deployed chain in the middle of their work: while they hold a lease, as the ledger tells."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from sqlalchemy import Connection, text

from runtime.ledger.engine import open_engine
from tests.aws.assembly import PREFIX
from tests.aws.chain import Chain

LOOK_S = 0.003
END_S_MAX = 10.0
HELD = text("SELECT holder FROM leases WHERE expires_ms > 0")


@contextlib.contextmanager
def killing(chain: Chain, stages: AbstractSet[str]) -> Iterator[set[str]]:
    """One process of each of `stages`, the first that is seen at work; gives the set of those that were killed so far."""
    killed, is_over = set[str](), threading.Event()
    # A connection of its own, beside those of whoever drives the chain.
    engine = open_engine(chain.world.ledger_url, connections_max=1)

    def watch() -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while killed != stages and not is_over.wait(LOOK_S):
                for holder in connection.execute(HELD).scalars().all():
                    stage = holder.partition("@")[0]
                    if stage in stages - killed and _kill(chain, connection, stage, holder):
                        killed.add(stage)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        is_over.set()
        thread.join(END_S_MAX)
        engine.dispose()


def _kill(chain: Chain, connection: Connection, stage: str, holder: str) -> bool:
    """Whether it died at work: it stands still first, so that it cannot give the lease back before it is killed."""
    pid = int(holder.rpartition(":")[2])
    if pid not in chain.deployment.emulator.workers(PREFIX + stage):
        return False
    os.kill(pid, signal.SIGSTOP)
    is_at_work = holder in connection.execute(HELD).scalars().all()
    os.kill(pid, signal.SIGKILL if is_at_work else signal.SIGCONT)
    return is_at_work
