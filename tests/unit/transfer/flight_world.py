"""The acquirer's server of deliver_world with many acts under way at once, which end in an order drawn by lot; for tests only."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from payments.errors import TargetExists, TieoutError, Unreachable
from payments.remote_ports import RemoteDrop, RemoteFile
from tests.unit.transfer.deliver_world import DeliverWorld, Server, Session
from tests.unit.transfer.mortal import Fate, Killed, MortalLedger
from transfer.deliver import deliver
from transfer.many_acts import Act, Ended


@dataclass
class Sky(Session):
    """A session with ManyActs. `cut_after`: so many acts end as they should, then the link is gone for all others."""

    lot: random.Random = field(default_factory=lambda: random.Random(0))
    cut_after: int = -1
    fate: Fate = field(default_factory=Fate)
    pending: list[tuple[int, Act]] = field(default_factory=list)
    tickets: int = 0
    most: int = 0

    def begin(self, act: Act) -> int:
        self.tickets += 1
        self.pending.append((self.tickets, act))
        self.most = max(self.most, len(self.pending))
        return self.tickets

    def ended(self, *, wait: bool) -> Ended | None:
        if not self.pending or not (wait or self.lot.random() < 0.5):
            return None
        ticket, act = self.pending.pop(self.lot.randrange(len(self.pending)))
        if self.cut_after == 0:
            # The request may have reached the server or not; nobody is told.
            if self.lot.random() < 0.5:
                self._quietly(act)
            return Ended(ticket, error=Unreachable("cut off"))
        self.cut_after -= 1
        try:
            ended = Ended(ticket, value=getattr(self, act.verb)(*act.given))
        except Killed:
            raise
        except Exception as error:  # noqa: BLE001
            ended = Ended(ticket, error=error)
        self.fate.point()
        return ended

    def free(self, target: str) -> None:
        if self.stat(target) is not None:
            raise TargetExists(f"{target} exists")

    def place(self, temporary: str, target: str) -> RemoteFile | None:
        self.rename(temporary, target)
        self.fate.point()
        with contextlib.suppress(TieoutError):  # as on a real session: the rename was confirmed
            return self.stat(target)
        return None

    def _quietly(self, act: Act) -> None:
        try:
            getattr(self, act.verb)(*act.given)
        except Exception:  # noqa: BLE001
            return


class FlightWorld(DeliverWorld):
    """A world whose sessions take many acts at once."""

    def fly(self, seed: int = 0, *, cut_after: int = -1, fate: Fate | None = None, holder: str = "worker:1") -> Sky:
        """Deliver over one such session, which is returned."""
        skies: list[Sky] = []
        fate = fate or Fate()

        @contextmanager
        def connect() -> Iterator[RemoteDrop]:
            with self.server.connect():
                skies.append(Sky(self.server, random.Random(seed), cut_after, fate))
                yield skies[-1]

        ledger: Any = MortalLedger(self.ledger, fate)
        deliver(self.ports(holder, ledger=ledger, connect=connect))
        return skies[0] if skies else Sky(Server())

    def leftovers(self) -> list[str]:
        return [path for path in self.server.files if path.endswith(".part")]
