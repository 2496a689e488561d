"""Runs the stand-in acquirer: `python -m local.acquirer --dir DIR`, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import asyncssh

from local.acquirer.server import listen
from local.acquirer.settings import Settings, WrongSettings, load

DESK_READY_S_MAX = 45
DESK_STOP_S_MAX = 5


async def _start_desk(directory: Path) -> Process:
    """The desk as a child. Its input is a leash: when we end, however we end, it reads the end of it."""
    command = (sys.executable, "-m", "local.acquirer.desk", "--dir", str(directory))
    desk = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert desk.stdout is not None
    if await asyncio.wait_for(desk.stdout.readline(), DESK_READY_S_MAX) != b"ready\n":
        raise WrongSettings("the desk did not start; its message is above")
    return desk


async def _stop_desk(desk: Process) -> None:
    assert desk.stdin is not None
    desk.stdin.close()
    try:
        await asyncio.wait_for(desk.wait(), DESK_STOP_S_MAX)
    except TimeoutError:
        # It is made to be killed anywhere; waiting longer would only make the stop slow.
        desk.kill()
        await desk.wait()


async def run(directory: Path, settings: Settings) -> int:
    """Serve until told to stop. Returns 1 when the desk died by itself."""
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    desk = await _start_desk(directory)
    try:
        acceptor = await listen(directory, settings)
        sys.stdout.write(f"acquirer ready on {settings.host}:{acceptor.get_port()}\n")
        sys.stdout.flush()
        stopping, died = asyncio.create_task(stop.wait()), asyncio.create_task(desk.wait())
        await asyncio.wait({stopping, died}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        acceptor.close()
        if not stop.is_set():
            sys.stderr.write("acquirer: the desk ended by itself; its message is above\n")
            return 1
    finally:
        await _stop_desk(desk)
    return 0


def main() -> int:
    """Exit status 0 stopped, 1 failed, 2 wrong settings, keys or port."""
    parser = argparse.ArgumentParser(prog="local.acquirer", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="the directory that the demo prepared")
    directory: Path = parser.parse_args().dir.resolve()
    try:
        return asyncio.run(run(directory, load(directory)))
    except (WrongSettings, OSError, asyncssh.KeyImportError, TimeoutError) as error:
        sys.stderr.write(f"acquirer: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
