"""The queue as a table of the ledger, with the behaviour of SQS: at least once, invisible while worked on, a dead-letter queue."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Engine, case, func, or_, select

from payments.ports import Message
from runtime.dead_letters import DEAD, Letter
from runtime.ledger.engine import now_ms, translated, writing
from runtime.ledger.schema import notices

RECEIVE_LIMIT = 10
HIDDEN_MAX = timedelta(hours=1)
"""No message is delayed or worked on for longer. One that is hidden beyond was written while the database's clock was ahead."""


class LedgerQueue:
    """The port `Queue`. A message received more often than `receives_max` moves to the dead-letter queue."""

    def __init__(self, engine: Engine, *, receives_max: int = 5, holder: str = "") -> None:
        self._engine = engine
        self._holder = holder
        self._receives_max = receives_max

    def send(self, queue: str, body: str, *, delay: timedelta = timedelta()) -> None:
        with writing(self._engine) as connection:
            visible = now_ms(connection) + _ms(delay)
            connection.execute(
                notices.insert().values(queue=queue, body=body, visible_ms=visible, receives=0, receipt="")
            )

    def receive(self, queue: str, *, limit: int, visibility: timedelta) -> list[Message]:
        if not self._anything(queue):
            return []  # a look costs no write lock: idle workers stay out of the way
        with writing(self._engine) as connection:
            now = now_ms(connection)
            statement = (
                select(notices)
                .where(notices.c.queue == queue, _visible(now))
                .order_by(notices.c.visible_ms, notices.c.id)
                .limit(min(limit, RECEIVE_LIMIT))
            )
            if connection.dialect.name != "sqlite":
                statement = statement.with_for_update(skip_locked=True)
            found = []
            for row in connection.execute(statement).all():
                mine = notices.update().where(notices.c.id == row.id)
                if row.receives >= self._receives_max and not queue.endswith(DEAD):
                    connection.execute(mine.values(queue=queue + DEAD, receives=0, visible_ms=now, receipt=""))
                    continue
                receipt = f"{self._holder}/{row.id}/{uuid.uuid4().hex}"
                until = now + _ms(visibility)
                connection.execute(mine.values(visible_ms=until, receives=row.receives + 1, receipt=receipt))
                found.append(Message(row.body, receipt, row.receives + 1))
            return found

    def peek(self, queue: str, *, limit: int) -> list[Letter]:
        """The oldest first."""
        with translated(self._engine), self._engine.connect() as connection:
            mine = (notices.c.queue == queue) & _visible(now_ms(connection))
            statement = select(notices.c.body, notices.c.visible_ms).where(mine)
            found = connection.execute(statement.order_by(notices.c.visible_ms, notices.c.id).limit(limit)).all()
        return [Letter(row.body, datetime.fromtimestamp(row.visible_ms / 1000, UTC)) for row in found]

    def delete(self, queue: str, receipt: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(notices.delete().where(notices.c.queue == queue, notices.c.receipt == receipt))

    def release(self, queue: str, receipt: str, *, delay: timedelta) -> None:
        with writing(self._engine) as connection:
            visible = now_ms(connection) + _ms(delay)
            connection.execute(
                notices.update()
                .where(notices.c.queue == queue, notices.c.receipt == receipt)
                .values(visible_ms=visible, receipt="")
            )

    def depth(self, queue: str) -> tuple[int, int]:
        with translated(self._engine), self._engine.connect() as connection:
            flying = notices.c.receipt != ""
            hidden = ~_visible(now_ms(connection))
            # One statement: between two, a message could leave one count and enter the other.
            counts = select(func.count(), func.count(case((flying & hidden, 1)))).where(notices.c.queue == queue)
            total, in_flight = connection.execute(counts).one()
            return int(total) - int(in_flight), int(in_flight)

    def queues_waiting(self) -> list[str]:
        """Queues that hold a visible message: one look for a worker that serves many."""
        with translated(self._engine), self._engine.connect() as connection:
            statement = select(notices.c.queue).where(_visible(now_ms(connection))).distinct()
            return [str(row.queue) for row in connection.execute(statement)]

    def queues_busy(self) -> set[str]:
        """Queues that hold any message, visible, delayed or in flight."""
        with translated(self._engine), self._engine.connect() as connection:
            return {str(row.queue) for row in connection.execute(select(notices.c.queue).distinct())}

    def bodies(self, queue: str) -> list[str]:
        """Every message of a queue, visible, delayed or in flight."""
        with translated(self._engine), self._engine.connect() as connection:
            return [str(row.body) for row in connection.execute(select(notices.c.body).where(notices.c.queue == queue))]

    def release_held(self, holder_prefix: str, *, forgiven: bool = False) -> None:
        """Make the messages of processes that are known to be dead visible now.

        `forgiven`: their end was not the messages' fault, so that this receive is not counted against them.
        """
        receives = notices.c.receives - 1 if forgiven else notices.c.receives
        with writing(self._engine) as connection:
            connection.execute(
                notices.update()
                .where(notices.c.receipt != "", notices.c.receipt.startswith(holder_prefix, autoescape=True))
                .values(visible_ms=now_ms(connection), receipt="", receives=receives)
            )

    def _anything(self, queue: str) -> bool:
        with translated(self._engine), self._engine.connect() as connection:
            statement = select(notices.c.id).where(notices.c.queue == queue, _visible(now_ms(connection)))
            return connection.execute(statement.limit(1)).first() is not None


def _ms(wait: timedelta) -> int:
    assert timedelta() <= wait <= HIDDEN_MAX, (
        "a message that is hidden for longer would be taken for one of a wrong clock"
    )
    return int(wait.total_seconds() * 1000)


def _visible(now: int) -> ColumnElement[bool]:
    """As `due_at` says of other times, by the clock of the database."""
    return or_(notices.c.visible_ms <= now, notices.c.visible_ms > now + _ms(HIDDEN_MAX))
