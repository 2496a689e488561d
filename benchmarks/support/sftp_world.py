"""What the benchmark of delivery needs around it: a real OpenSSH server, a distance, and a ledger with sealed files."""

from __future__ import annotations

import os
import pwd
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payments.config import AcquirerSection, Sftp
from payments.config_files import AfterRename
from transfer.sftp import connect

if TYPE_CHECKING:
    from runtime.ledger.ledger import SqlLedger
    from transfer.deliver import DeliverPorts

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 3, 2)
PATIENCE_S = 600


@dataclass(frozen=True)
class Server:
    """Where to connect, with which keys; `root` is where its files lie."""

    port: int
    user: str
    key: Path
    host_key: str
    root: Path

    def sftp(self, files_in_flight: int) -> Sftp:
        return Sftp(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            host_keys=[self.host_key],
            files_in_flight=files_in_flight,
            rename_atomic=True,
        )


class Clock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def peak_mb() -> float:
    """Of this process. What a parent sees of a child includes the parent's own memory before the start."""
    (kib,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return round(int(kib) / 1024, 1)


def states(ports: DeliverPorts) -> dict[str, int]:
    with ports.ledger.look() as tx:
        found = [file.state for file in tx.files.find()]
    return {state: found.count(state) for state in sorted(set(found))}


def ports_for(
    server: Server, folder: Path, in_flight: int, *, strict: bool = False, marked: bool = False
) -> DeliverPorts:
    from runtime.store_file import FileStore
    from transfer.deliver import DeliverPorts

    ledger, sftp = ledger_of(folder), server.sftp(in_flight)
    section = AcquirerSection(
        name="north",
        results_list="all",
        final_status="ACSC",
        complete_when="trailer",
        sequence="strict" if strict else "free",
        after_rename=AfterRename(write="marker") if marked else None,
        sftp=sftp,
    )
    key = server.key.read_bytes()
    return DeliverPorts(
        ledger,
        FileStore(folder / "store"),
        Clock(),
        section,
        lambda: connect(sftp, key=key, password=None),
        "bench",
        folder,
    )


def seal(folder: Path, files: Sequence[Path]) -> None:
    """A ledger and a store with these files sealed."""
    from runtime.store_file import FileStore

    folder.mkdir()
    ledger = ledger_of(folder)
    store = FileStore(folder / "store")
    for at, path in enumerate(files):
        put(store, ledger, path, at + 1)


def ledger_of(folder: Path) -> SqlLedger:
    from runtime.ledger.engine import open_engine
    from runtime.ledger.ledger import SqlLedger
    from runtime.ledger.migrate import upgrade

    engine = open_engine(f"sqlite:{folder / 'ledger.db'}")
    upgrade(engine)
    return SqlLedger(engine, Clock(), holder="bench")


def put(store: Any, ledger: Any, path: Path, sequence: int) -> None:
    """One sealed file: its object and its record."""
    from payments.books import Total
    from payments.keys import file_id, outbound_key
    from payments.records import OutboundFile

    file = OutboundFile(
        file_id=file_id("north", DAY, f"w{sequence}", 0, 1),
        acquirer="north",
        business_date=DAY,
        window=f"w{sequence}",
        split=0,
        generation=1,
        sequence=sequence,
        name=f"north_{sequence:06d}.csv",
        format="delimited",
        state="sealed",
        assembly=1,
        created_at=datetime.now(UTC),
        config_hash="c",
        total=Total(1, {"EUR/CRDT": 1}),
    )
    stored = store.put_file(outbound_key(file.acquirer, file.business_date, file.file_id, file.name), path)
    with ledger.begin() as tx:
        tx.files.add(replace(file, size=stored.size, sha256=stored.sha256))


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    from tests.servers.openssh import openssh_server

    folder.mkdir()
    with openssh_server(folder) as account:
        key = folder / "client_key"
        key.write_bytes(account.client_key)
        key.chmod(0o600)
        yield Server(account.port, pwd.getpwuid(os.geteuid()).pw_name, key, account.host_key, account.root)


@contextmanager
def further(server: Server, rtt_ms: float) -> Iterator[Server]:
    """The same server behind the proxy; without a distance, the server itself."""
    if not rtt_ms:
        yield server
        return
    command = [sys.executable, "-m", "local.delay_proxy", "--port", str(server.port)]
    proxy = subprocess.Popen(
        [*command, "--rtt-ms", str(rtt_ms)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert proxy.stdin is not None
    assert proxy.stdout is not None
    try:
        yield replace(server, port=int(proxy.stdout.readline()))
    finally:
        proxy.stdin.close()
        proxy.terminate()
        proxy.wait(PATIENCE_S)


def write(path: Path, size: int, seed: int) -> None:
    rng = random.Random(seed)
    with path.open("wb") as target:
        while size:
            piece = rng.randbytes(min(size, 1 << 20))
            size -= len(piece)
            target.write(piece)
