"""The acquirer's desk, a process of its own: watches the clock and the inboxes, and does what is due. It ends with its parent."""

from __future__ import annotations

import argparse
import fcntl
import gc
import os
import select
import signal
import sys
import time
from datetime import datetime
from pathlib import Path

from local.acquirer.clock import Watch
from local.acquirer.counter import Counter
from local.acquirer.memory import TruthBook
from local.acquirer.settings import Settings, WrongSettings, load

LOOK_EVERY_S = 0.05
CLOCK_EVERY_S = 0.005
LOCK_WAIT_S_MAX = 30.0


class Desk:
    """All counters of one acquirer."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        truth = TruthBook(directory / "truth" / "acquirer.jsonl")
        self._counters = [
            Counter(directory / "acquirer" / partner.name, partner, settings.seed, truth)
            for partner in settings.partners
        ]

    def look(self) -> list[list[str]]:
        """The finished files of every inbox."""
        return [counter.look() for counter in self._counters]

    def work(self, names: list[list[str]], now: datetime) -> datetime | None:
        """Do everything that is due by `now`; returns the next due time of all partners."""
        due = [counter.work(mine, now) for counter, mine in zip(self._counters, names, strict=True)]
        return min((each for each in due if each is not None), default=None)


def turn(desk: Desk, watch: Watch) -> None:
    """One look, and the work that follows from it."""
    moment = watch.read()
    names = desk.look()
    # A file may be dated only by a clock that stood still while it was found.
    if watch.read() == moment:
        watch.answer(moment, desk.work(names, moment.now))


def serve(directory: Path, settings: Settings) -> None:
    """Turn after turn until the parent closes our standard input, by will or by death."""
    desk, watch = Desk(directory, settings), Watch(directory)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    look_at = 0.0
    while not select.select([sys.stdin], [], [], CLOCK_EVERY_S)[0]:
        if time.monotonic() >= look_at or watch.is_news(watch.read()):
            turn(desk, watch)
            look_at = time.monotonic() + LOOK_EVERY_S


def hold_alone(directory: Path) -> int:
    """Take the lock of this directory: an old desk that outlives its parent may still be ending its last turn."""
    lock = os.open(directory / "acquirer" / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    give_up_at = time.monotonic() + LOCK_WAIT_S_MAX
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                raise WrongSettings(f"{directory}: another acquirer works here; stop it first") from None
            time.sleep(CLOCK_EVERY_S)
        else:
            return lock


def main() -> int:
    """Run the desk of `--dir`. Exit status 2 for wrong settings."""
    parser = argparse.ArgumentParser(prog="local.acquirer.desk")
    parser.add_argument("--dir", type=Path, required=True)
    directory: Path = parser.parse_args().dir
    # The parent alone decides when to stop: closing our input lets the turn at hand end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        settings = load(directory)
        hold_alone(directory)
        gc.set_threshold(200_000, 20, 100)  # a million lists of fields, and no cycle among them
        serve(directory, settings)
    except WrongSettings as error:
        sys.stderr.write(f"acquirer: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
