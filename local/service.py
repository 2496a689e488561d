"""The service on one machine: starts the workers and the page, wakes what is due, sweeps, and moves the virtual clock."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dashboard.address import forget
from functions.topology import TOPOLOGY
from local.page import Pauses
from local.virtual import VirtualClock
from payments.errors import NotAllowed, TryAgain
from runtime.anchors import anchor_when_due
from runtime.beat import begin, raise_alarms, wake_due
from runtime.key_watch import watch_keys
from runtime.ledger.clock import LedgerClock
from runtime.ledger.queue import LedgerQueue
from runtime.old_exports import forget_exports
from runtime.schedule import next_due
from runtime.sweep import sweep
from runtime.wiring import World

log = logging.getLogger(__name__)

TURN_QUIET_S = 0.003
TURN_BUSY_S = 0.1
TURN_REAL_S = 0.2
"""How long the service rests between turns: in virtual time, with nothing to do but to move the clock, hardly at all."""
STOP_S_MAX = 3.0
"""A worker that is not done by then is killed: everything here is crash-only, so nothing is lost."""
PAGE = "page"
QUEUES = tuple(stage.queue for stage in TOPOLOGY)


class Service:
    """One running service. `turn` does what is due; `run` calls it until told to stop or, in virtual time, until the end."""

    def __init__(self, world: World, *, page: bool = True, instance: str = "") -> None:
        self._world = world
        self._page = page
        # The same for every service of this folder, of no other: a restart gives back what its dead workers held.
        self._instance = instance or _instance_of(world)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._page_pauses = Pauses()
        self._stopping = threading.Event()
        self._swept_s = time.monotonic()
        self._asked: int | None = None
        self._clock = self._virtual_clock()
        self._quiet = False
        self.ended = False

    def run(self, watch: Callable[[], None] = lambda: None, *, stay: bool = False) -> None:
        """Until `stop`, or until the virtual clock reaches its end and nothing is due; with `stay` the page lives on."""
        with _only_service(self._world):
            try:
                self._begin()
                while not self._stopping.is_set() and (stay or not self.ended):
                    try:
                        self.turn()
                    except TryAgain as error:
                        log.warning("%s. %s", error, error.next_step)
                        self._stopping.wait(1)
                    watch()
                    self._stopping.wait(self._rest_s())
            finally:
                self._end()

    def _rest_s(self) -> float:
        if self._clock is None or self.ended:
            return TURN_REAL_S
        return TURN_QUIET_S if self._quiet else TURN_BUSY_S

    def stop(self) -> None:
        self._stopping.set()

    def turn(self) -> None:
        """Replace dead children, wake what is due, sweep now and then, move the clock when all is quiet."""
        self._tend()
        if self.ended or not self._acquirer_has_answered():
            return
        # First the queues, then the ledger: with no message anywhere no worker is at it, and what the ledger says stays true.
        busy = self._busy()
        woken = wake_due(self._world, busy)
        if time.monotonic() - self._swept_s > self._world.configuration.service.sweep_every_s:
            self._look_after()
        if self._clock is not None:
            self._quiet = not woken and not busy
            self._move(self._clock, quiet=self._quiet)

    def _begin(self) -> None:
        queue = self._world.queue
        if isinstance(queue, LedgerQueue):
            # No other service is alive on this ledger's folder: whatever workers held belongs to dead ones.
            queue.release_held(f"worker-{self._instance}-", forgiven=True)
            self._world.ledger.leases.release_held(f"worker-{self._instance}-")
        self._world.tidy()
        begin(self._world)
        watch_keys(self._world)
        sweep(self._world, TOPOLOGY)
        if self._clock is not None:
            self._clock.publish()
        for number in range(self._world.configuration.service.workers):
            self._start(f"worker-{self._instance}-{number}", "local.worker")
        if self._page:
            self._start_page()

    def _start(self, name: str, module: str) -> None:
        arguments = [sys.executable, "-m", module, "--config", self._world.settings.path, "--parent", str(os.getpid())]
        environment = {**os.environ, "TIEOUT_INSTANCE": name}
        self._children[name] = subprocess.Popen(arguments, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603  (ours)

    def _tend(self) -> None:
        for name, child in list(self._children.items()):
            if child.poll() is None or self._stopping.is_set():
                continue
            if name == PAGE:
                self._tend_page(child)
                continue
            log.warning("%s ended with status %s and is started again", name, child.returncode)
            queue = self._world.queue
            if isinstance(queue, LedgerQueue):
                queue.release_held(f"{name}@")
            self._world.ledger.leases.release_held(f"{name}@")
            self._start(name, "local.worker")
            self._stopping.wait(TURN_REAL_S)  # a child that cannot live must not be started a thousand times a second

    def _tend_page(self, page: subprocess.Popen[bytes]) -> None:
        pause_s = self._page_pauses.ended()
        if pause_s is not None:
            log.warning("the page ended with status %s and is started again in %g s", page.returncode, pause_s)
        elif self._page_pauses.is_due:
            self._start_page()

    def _start_page(self) -> None:
        forget(self._world.settings.base)  # of a page that was killed
        self._start(PAGE, "dashboard.serve")
        self._page_pauses.started()

    def _look_after(self) -> None:
        """What is done now and then, whatever is due."""
        self._swept_s = time.monotonic()
        watch_keys(self._world)
        sweep(self._world, TOPOLOGY)
        raise_alarms(self._world)
        anchor_when_due(self._world)
        forget_exports(self._world)

    def _busy(self) -> set[str]:
        """Queues of the topology that hold any message. Dead letters keep nobody busy."""
        queue = self._world.queue
        if isinstance(queue, LedgerQueue):
            return queue.queues_busy() & set(QUEUES)
        return {name for name in QUEUES if queue.depth(name) != (0, 0)}

    def _move(self, clock: VirtualClock, *, quiet: bool) -> None:
        """One step of the clock's protocol: ask the acquirer when all is quiet here, jump when it is quiet there too."""
        if not quiet:
            self._asked = None
            return
        if self._asked is None:
            self._asked = clock.ask()
            return
        answer = clock.answer(self._asked)
        if answer is None:
            return
        now = clock.now()
        with self._world.ledger.look() as tx:
            ours = next_due(tx, self._world.configuration, now)
        end = self._world.configuration.clock.end
        times = [at for at in (ours, answer.next_due_at, end) if at is not None and at > now]
        self._asked = None
        if end is not None and now >= end:
            self.ended = True
        elif times:
            # The answer to this tick is asked for anyhow, before anybody here is woken; it stands while nobody is.
            self._asked = clock.move(min(times))

    def _acquirer_has_answered(self) -> bool:
        """What is due there at this time is done before anybody here is woken: whether a poll sees it must not be luck."""
        return self._clock is None or self._clock.answer(self._clock.shown) is not None

    def _virtual_clock(self) -> VirtualClock | None:
        clock, section = self._world.clock, self._world.configuration.clock
        if not isinstance(clock, LedgerClock):
            return None
        base = self._world.settings.base
        return VirtualClock(clock, base / "clock", base / section.peer if section.peer else None)

    def _end(self) -> None:
        """SIGTERM, a moment to finish, then SIGKILL: what was cut off is taken up at the next start."""
        for child in self._children.values():
            child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_S_MAX
        for child in self._children.values():
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _instance_of(world: World) -> str:
    place = f"{socket.gethostname()}:{world.settings.base}"
    return hashlib.blake2b(place.encode(), digest_size=6).hexdigest()


@contextmanager
def _only_service(world: World) -> Iterator[None]:
    """One service per configuration folder: a second one is refused while the first lives, however it dies."""
    path = Path(world.settings.base) / "service.lock"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise NotAllowed(
                f"a service already runs in {path.parent.name}/", next_step="Stop it first, or use another folder."
            ) from error
        yield
