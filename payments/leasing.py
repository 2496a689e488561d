"""Working under a lease so that a notice only wakes: drain what is due, and look again before letting go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from payments.errors import Busy, TryAgain
from payments.ports import Lease, Leases

TTL = timedelta(seconds=120)
"""How long a lease outlives a holder that died. Work renews it between its steps."""
BEATS_PER_TTL = 4
IDLE_MAX = 2

MayBegin = Callable[[], bool]
"""Whether there is time to begin something new. Who is stopped in the middle of a step has been killed, for all that anybody knows."""


def always() -> bool:
    """Nobody ends this process but by killing it."""
    return True


@contextmanager
def kept(leases: Leases, lease: Lease) -> Iterator[None]:
    """Renew the lease from a thread of its own meanwhile: one upload may take longer than a lease lasts.

    A process that is dead or stopped renews nothing. Whether the lease is still ours is asked between steps, by renewing.
    """
    done = threading.Event()

    def beat() -> None:
        while not done.wait(TTL.total_seconds() / BEATS_PER_TTL):
            try:
                leases.renew(lease, ttl=TTL)
            except Busy:
                return
            except TryAgain:
                continue  # the ledger may be back before the lease has run out

    thread = threading.Thread(target=beat, name=f"lease {lease.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def drain(
    leases: Leases,
    name: str,
    *,
    pending: Callable[[], bool],
    step: Callable[[Lease], bool],
    may_begin: MayBegin = always,
) -> bool:
    """Take the lease `name` and call `step` until it does nothing more, or must not begin. False: somebody else holds the lease.

    Whoever found the lease taken has acknowledged its notice and relies on the holder. So the holder asks `pending`
    once more *after* it let go: work recorded before that refusal is seen here, or by the next holder. That holds for one
    who found nothing to do as well: what it was told of may have been recorded behind its look. It looks a second time, and
    not for ever: there is work that is pending and that nobody can do yet.
    """
    idle = 0
    while idle < IDLE_MAX and may_begin() and pending():
        lease = leases.acquire(name, ttl=TTL)
        if lease is None:
            return False
        progressed = False
        try:
            with kept(leases, lease):
                while may_begin() and step(lease):
                    progressed = True
                    leases.renew(lease, ttl=TTL)
        finally:
            leases.release(lease)
        idle = 0 if progressed else idle + 1
    return True
