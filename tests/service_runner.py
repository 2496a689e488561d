"""Runs `tieout run` and the stand-in acquirer as processes of their own, and looks at what they leave behind.

A demo directory is prepared once and copied for every run; runs that are compared with each other share one port, because
the configuration's hash stands in the manifests.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from local.demo import acquirer as acquirer_apart
from local.prepare import prepare
from payments.ports import ObjectStore
from reconciliation.statement import statement
from runtime.ledger.audit import audit_records, faults
from runtime.schedule import due_wakes
from runtime.settings import load
from runtime.wiring import World
from tests.servers.process import until

END_S_MAX = 240.0
COMMAND_S_MAX = 30
FEW_POLLS = {"collect_every_s = 3_600": "collect_every_s = 14_400"}
"""A quarter of the demo's polls: nothing else changes, and every run is shorter."""


def prepared(folder: Path, *, payments: int = 300, seed: int = 7) -> Path:
    """A demo directory that nobody has run yet."""
    prepare(folder, payments=payments, seed=seed, formats=("delimited", "pain"))
    return folder


def copied(demo: Path, target: Path, port: int, changes: Mapping[str, str] = FEW_POLLS) -> Path:
    """The same demo at another port, with texts of its tieout.toml replaced; each must be there."""
    shutil.copytree(demo, target)
    settings = target / "acquirer" / "acquirer.json"
    told = json.loads(settings.read_text())
    edit(target, {f"port = {told['port']}\n": f"port = {port}\n", **changes})
    settings.write_text(json.dumps({**told, "port": port}))
    return target


def edit(directory: Path, changes: Mapping[str, str]) -> None:
    """Replace texts of tieout.toml; each must be there."""
    file = directory / "tieout.toml"
    text = file.read_text()
    for old, new in changes.items():
        assert old in text, f"tieout.toml no longer holds {old!r}"
        text = text.replace(old, new)
    file.write_text(text)


def command(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command as a process of its own, which must end in time."""
    return subprocess.run(
        [sys.executable, "-m", "tieout", *words, "--config", str(directory / "tieout.toml")],
        capture_output=True,
        text=True,
        timeout=COMMAND_S_MAX,
        check=False,
    )


class Service:
    """`tieout run --no-page` in a directory. Its log is `service.log` there; a restart appends to it."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.log = directory / "service.log"
        command = [sys.executable, "-m", "tieout", "run", "--no-page", "--config", str(directory / "tieout.toml")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(environment or {})}
            )

    def kill(self) -> None:
        """SIGKILL to the service alone: its workers must die with it."""
        self.process.kill()
        self.process.wait(10)

    def stop(self, seconds: float = 20) -> int:
        """SIGTERM, and the exit status."""
        self.process.terminate()
        return self.process.wait(seconds)

    def workers(self) -> list[int]:
        """Process ids of the workers that live."""
        return sorted(pid for pid, parent, _command in _processes() if parent == self.process.pid)

    def ready(self) -> list[int]:
        """Process ids of the workers that have come so far as to open the ledger."""
        return [pid for pid in self.workers() if _has_open(pid, self.directory / "ledger.db")]

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def running(directory: Path, environment: Mapping[str, str] | None = None) -> Iterator[Service]:
    """A service that is certainly gone at the end."""
    service = Service(directory, environment)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.kill()


def _has_open(pid: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return any(each.readlink() == path for each in Path(f"/proc/{pid}/fd").iterdir())
    return False


def alive() -> set[int]:
    """Process ids of everything that lives."""
    return {pid for pid, _parent, _command in _processes()}


def processes_of(directory: Path) -> list[tuple[int, str]]:
    """(pid, command) of every living process that was started for this directory."""
    return [(pid, command) for pid, _parent, command in _processes() if str(directory) in command]


def _processes() -> Iterator[tuple[int, int, str]]:
    """(pid, parent, command line) of every process that lives, zombies left out."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(entry.name)
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                yield pid, int(parent), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def progress(directory: Path) -> int:
    """How many records the audit log holds: it grows with every step of the path, and never shrinks."""
    return _count(directory, "SELECT count(*) FROM audit")


def ticks(directory: Path) -> int:
    """How often the virtual clock was moved or asked."""
    return _count(directory, "SELECT tick FROM clock")


def _count(directory: Path, query: str) -> int:
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(_reading(directory)) as connection:
        return int(connection.execute(query).fetchone()[0])
    return 0


def _reading(directory: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{directory / 'ledger.db'}?mode=ro", uri=True, timeout=5)


def at_end(directory: Path) -> bool:
    """Whether virtual time is over and nothing is left to do, here or at the acquirer."""
    settings = load(str(directory / "tieout.toml"))
    end = settings.configuration.clock.end
    try:
        now, tick = (directory / "clock").read_text().split()
        answered = json.loads((directory / "acquirer" / "clock").read_text())["tick"]
    except (OSError, ValueError):
        return False
    if end is None or datetime.fromisoformat(now) < end or answered < int(tick):
        return False
    if _count(directory, "SELECT count(*) FROM notices WHERE queue NOT LIKE '%-dead'"):
        return False
    world = World(settings)
    with world.ledger.begin() as tx:
        return not due_wakes(tx, world.configuration, end)


def run_to_end(directory: Path, environment: Mapping[str, str] | None = None) -> None:
    """One service from where the directory stands to the end of its virtual time, undisturbed."""
    with acquirer_apart(directory), running(directory, environment) as service:
        until(lambda: at_end(directory) or service.process.poll() is not None, "the end of virtual time", END_S_MAX)
        assert service.stop() == 0, service.said()[-2000:]


def books(directory: Path) -> dict[str, object]:
    """What `tieout status --json` prints, from this process."""
    world = World.open(str(directory / "tieout.toml"))
    with world.ledger.begin() as tx:
        return statement(tx).to_json()


def audit_faults(directory: Path) -> list[str]:
    """What is wrong with the audit chains."""
    with World.open(str(directory / "tieout.toml")).ledger.engine.connect() as connection:
        return list(faults(audit_records(connection)))


def objects(directory: Path) -> dict[str, str]:
    """Key -> SHA-256 of every object, whatever the configuration's hash: it differs with addresses and stores."""
    settings = load(str(directory / "tieout.toml"))
    world = World(settings)
    return {key: _digest(world.store, key, settings.config_hash) for key in world.store.keys("")}


def _digest(store: ObjectStore, key: str, config_hash: str) -> str:
    return hashlib.sha256(store.get(key).replace(config_hash.encode(), b"config_hash")).hexdigest()


def placed(directory: Path) -> list[tuple[str, str]]:
    """(name, SHA-256) of every file that an acquirer was ever given: in its inbox or its archive."""
    paths = [path for folder in ("inbox", "archive") for path in (directory / "acquirer").glob(f"*/{folder}/*")]
    return sorted((path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths)


def sealed(directory: Path) -> list[tuple[str, str]]:
    """(name, SHA-256) of every outbound file as the ledger has it."""
    with World.open(str(directory / "tieout.toml")).ledger.begin() as tx:
        return sorted((file.name, file.sha256) for file in tx.files.find())


def answered(directory: Path) -> dict[str, str]:
    """Name -> SHA-256 of every answer in the acquirer's outboxes."""
    paths = (directory / "acquirer").glob("*/outbox/*")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def errors_logged(directory: Path) -> list[str]:
    """Lines of the service's log above a warning, or that are no log lines at all, such as a traceback."""
    found = []
    for line in (directory / "service.log").read_text().splitlines():
        try:
            quiet = json.loads(line)["level"] in {"info", "warning"}
        except (ValueError, KeyError, TypeError):
            quiet = False
        found += [] if quiet else [line]
    return found


def hard_stop(pid: int) -> None:
    """SIGKILL to one process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
