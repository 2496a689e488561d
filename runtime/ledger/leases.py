"""Leases in the ledger, by the database's clock, each with a fencing number that grows with every holder."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, Engine, select, text

from payments.errors import Busy
from payments.ports import Lease
from runtime.ledger.engine import now_ms, writing
from runtime.ledger.schema import leases

CLOCK_STEP_MAX = timedelta(minutes=10)
"""So far the database's clock may be set back without a lease being taken from a holder that is alive."""
NEW = text(
    "INSERT INTO leases (name, holder, fence, expires_ms) VALUES (:name, '', 0, 0) ON CONFLICT (name) DO NOTHING"
)


def is_held(connection: Connection, name: str) -> bool:
    """Whether somebody has this lease now."""
    ends = connection.execute(select(leases.c.expires_ms).where(leases.c.name == name)).scalar()
    return ends is not None and int(ends) > now_ms(connection)


class SqlLeases:
    """The port `Leases`. `holder` names this process; it is shown to people and used at restart."""

    def __init__(self, engine: Engine, holder: str) -> None:
        self._engine = engine
        self._holder = holder

    def acquire(self, name: str, *, ttl: timedelta) -> Lease | None:
        with writing(self._engine) as connection:
            # Two that ask first of all at once must both find a row: one of them gets None, never an error.
            connection.execute(NEW, {"name": name})
            row = connection.execute(leases.select().where(leases.c.name == name).with_for_update()).one()
            now = now_ms(connection)  # only now: we may have waited for the row
            # One that ends further ahead was written while the clock was ahead: its holder may be long dead.
            if now < row.expires_ms <= now + int((ttl + CLOCK_STEP_MAX).total_seconds() * 1000):
                return None
            lease = Lease(name, self._holder, int(row.fence) + 1)
            connection.execute(
                leases.update()
                .where(leases.c.name == name)
                .values(holder=lease.holder, fence=lease.fence, expires_ms=now + int(ttl.total_seconds() * 1000))
            )
            return lease

    def renew(self, lease: Lease, *, ttl: timedelta) -> None:
        self._set_expiry(lease, ttl)

    def release(self, lease: Lease) -> None:
        """Give the lease back. One that is no longer ours is left alone."""
        try:
            self._set_expiry(lease, timedelta(0))
        except Busy:
            return

    def _set_expiry(self, lease: Lease, ttl: timedelta) -> None:
        with writing(self._engine) as connection:
            now = now_ms(connection)
            changed = connection.execute(
                leases.update()
                .where(leases.c.name == lease.name, leases.c.fence == lease.fence, leases.c.expires_ms > now)
                .values(expires_ms=now + int(ttl.total_seconds() * 1000))
            )
            if changed.rowcount != 1:
                raise Busy(f"lease {lease.name} is no longer ours")

    def release_held(self, holder_prefix: str) -> int:
        """End the leases of processes that are known to be dead. Returns how many."""
        with writing(self._engine) as connection:
            changed = connection.execute(
                leases.update()
                .where(leases.c.holder.startswith(holder_prefix, autoescape=True), leases.c.expires_ms > 0)
                .values(expires_ms=0)
            )
            return changed.rowcount
