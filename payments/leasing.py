"""Working under a lease so that a notice only wakes: drain what is due, and look again before letting go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from payments.ports import Lease, Leases

TTL = timedelta(seconds=120)
"""How long a lease outlives a holder that died. Work renews it between its steps."""


def drain(leases: Leases, name: str, *, pending: Callable[[], bool], step: Callable[[Lease], bool]) -> bool:
    """Take the lease `name` and call `step` until it does nothing more. False: somebody else holds the lease.

    Whoever found the lease taken has acknowledged its notice and relies on the holder. So the holder asks `pending`
    once more *after* it let go: work recorded before that refusal is seen here, or by the next holder.
    """
    while pending():
        lease = leases.acquire(name, ttl=TTL)
        if lease is None:
            return False
        progressed = False
        try:
            while step(lease):
                progressed = True
                leases.renew(lease, ttl=TTL)
        finally:
            leases.release(lease)
        if not progressed:
            break
    return True
