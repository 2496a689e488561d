"""The virtual clock: one row of the ledger. It moves only when somebody moves it."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine, select

from runtime.ledger.engine import translated, writing
from runtime.ledger.schema import clock


class SystemClock:
    """The port `Clock` on the machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class LedgerClock:
    """The port `Clock` on the ledger's row."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def start(self, at: datetime) -> None:
        """Set the first time, unless the clock was started before: then it goes on from where it stands."""
        with writing(self._engine) as connection:
            if connection.execute(select(clock.c.id)).first() is None:
                connection.execute(clock.insert().values(id=1, now_at=at, tick=0))

    def now(self) -> datetime:
        return self.read()[0]

    def read(self) -> tuple[datetime, int]:
        """(time, tick)."""
        with translated(self._engine), self._engine.connect() as connection:
            row = connection.execute(select(clock.c.now_at, clock.c.tick)).one()
            return row.now_at, int(row.tick)

    def move(self, to: datetime) -> int:
        """Move to a later time (or stay) and count one tick. Returns the tick."""
        with writing(self._engine) as connection:
            row = connection.execute(select(clock.c.now_at, clock.c.tick)).one()
            tick = int(row.tick) + 1
            connection.execute(clock.update().values(now_at=max(to, row.now_at), tick=tick))
            return tick
