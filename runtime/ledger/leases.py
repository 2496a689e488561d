"""Leases in the ledger, by the database's clock, each with a fencing number that grows with every holder."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from payments.errors import Busy
from payments.ports import Lease
from runtime.ledger.engine import now_ms, writing
from runtime.ledger.schema import leases


class SqlLeases:
    """The port `Leases`. `holder` names this process; it is shown to people and used at restart."""

    def __init__(self, engine: Engine, holder: str) -> None:
        self._engine = engine
        self._holder = holder

    def acquire(self, name: str, *, ttl: timedelta) -> Lease | None:
        with writing(self._engine) as connection:
            now = now_ms(connection)
            expires = now + int(ttl.total_seconds() * 1000)
            statement = leases.select().where(leases.c.name == name)
            if connection.dialect.name != "sqlite":
                statement = statement.with_for_update()
            row = connection.execute(statement).one_or_none()
            if row is None:
                connection.execute(leases.insert().values(name=name, holder=self._holder, fence=1, expires_ms=expires))
                return Lease(name, self._holder, 1)
            if row.expires_ms > now:
                return None
            fence = int(row.fence) + 1
            connection.execute(
                leases.update()
                .where(leases.c.name == name)
                .values(holder=self._holder, fence=fence, expires_ms=expires)
            )
            return Lease(name, self._holder, fence)

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
