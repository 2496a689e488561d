"""A small world for deliver: sealed files in a real ledger and store, and an acquirer's server that fails as told; for tests only."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from payments.books import Total
from payments.config import Sftp
from payments.errors import DeliveryFailed, TargetExists
from payments.keys import file_id, outbound_key
from payments.records import Attempt, OutboundFile, Receipt
from payments.remote_ports import RemoteDrop, RemoteFile
from payments.states import FileState
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.store_file import FileStore
from tests.unit.transfer.assemble_world import HOST_KEY as PINNED_KEY
from tests.unit.transfer.assemble_world import START, TODAY, Clock, acquirer, empty_ledger
from transfer.deliver import DeliverPorts, deliver

HOST_KEY = "SHA256:proven"


@dataclass
class Fault:
    """What goes wrong at one act: `when` is before or after its effect; half: an upload stops in the middle."""

    act: str
    when: str
    error: BaseException


@dataclass
class Server:
    """The acquirer's side. `placed` remembers every name that ever appeared in the inbox by a rename."""

    files: dict[str, bytes] = field(default_factory=dict)
    placed: list[tuple[str, bytes]] = field(default_factory=list)
    uploads: list[tuple[str, bytes]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    hooks: dict[tuple[str, str], Callable[[], None]] = field(default_factory=dict)
    takes_to: str | None = None  # where the acquirer moves a file at once: a folder, or "" for nowhere to be seen
    connects: int = 0
    acts: int = 0

    @contextmanager
    def connect(self) -> Iterator[RemoteDrop]:
        self.connects += 1
        self.step("connect", "before")
        yield Session(self)

    def step(self, act: str, when: str) -> None:
        """One moment: a test may do something here, or something goes wrong, each once."""
        hook = self.hooks.pop((act, when), None)
        if hook is not None:
            hook()
        if self.faults and (self.faults[0].act, self.faults[0].when) == (act, when):
            raise self.faults.pop(0).error

    def rename(self, old: str, new: str) -> None:
        if new in self.files:
            raise TargetExists(f"{new} exists")
        if old not in self.files:
            raise DeliveryFailed(f"{old} does not exist")
        data = self.files.pop(old)
        self.placed.append((new, data))
        if self.takes_to is None:
            self.files[new] = data
        elif self.takes_to:
            self.files[f"{self.takes_to}/{new.rpartition('/')[2]}"] = data


@dataclass
class Session:
    """The port RemoteDrop on that server."""

    server: Server

    def stat(self, path: str) -> RemoteFile | None:
        found: RemoteFile | None = self._act("stat", lambda: self._seen(path))
        return found

    def upload(self, local: Path, temporary: str) -> None:
        data = local.read_bytes()
        self.server.step("upload", "before")
        if temporary in self.server.files:
            raise DeliveryFailed(f"{temporary} is taken")
        self.server.files[temporary] = data[: len(data) // 2]
        self.server.step("upload", "half")
        if temporary in self.server.files:  # somebody may have removed it: then we write into a file without a name
            self.server.files[temporary] = data
        self.server.uploads.append((temporary, data))
        self.server.step("upload", "after")

    def rename(self, temporary: str, target: str) -> None:
        self._act("rename", lambda: self.server.rename(temporary, target))

    def remove(self, path: str) -> bool:
        gone: bool = self._act("remove", lambda: self.server.files.pop(path, None) is not None)
        return gone

    def listing(self, directory: str) -> list[RemoteFile]:
        return [
            each
            for path in sorted(self.server.files)
            if path.startswith(f"{directory}/") and (each := self._seen(path))
        ]

    def download(self, path: str, local: Path, *, bytes_max: int = 2**63 - 1) -> None:
        self._act("download", lambda: local.write_bytes(self.server.files[path][:bytes_max]))

    @property
    def host_key(self) -> str:
        return HOST_KEY

    def _act(self, act: str, effect: Callable[[], Any]) -> Any:
        self.server.step(act, "before")
        answer = effect()
        self.server.step(act, "after")
        return answer

    def _seen(self, path: str) -> RemoteFile | None:
        data = self.server.files.get(path)
        return None if data is None else RemoteFile(path.rpartition("/")[2], len(data), 0)


class DeliverWorld:
    """One ledger with sealed files, one store that holds their bytes, one server."""

    def __init__(self, folder: Path, *, files: int = 1, **changes: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.clock, self.server = folder, Clock(), Server()
        self.acquirer = acquirer(**changes)
        self.spool = folder / "spool"
        self.spool.mkdir()
        (folder / "ledger.db").write_bytes(empty_ledger())
        self.engine = open_engine(f"sqlite:{folder / 'ledger.db'}")
        self.ledger = SqlLedger(self.engine, self.clock, holder="worker:1")
        self.store = FileStore(folder / "store")
        self.bodies = {file.file_id: self.seal(file) for file in map(self.planned, range(1, files + 1))}

    def planned(self, sequence: int, generation: int = 1, **changes: Any) -> OutboundFile:
        name = f"{self.acquirer.name}_{TODAY:%Y%m%d}_{sequence:06d}_{generation}.csv"
        known = {
            "file_id": file_id(self.acquirer.name, TODAY, f"w{sequence}", 0, generation),
            "acquirer": self.acquirer.name,
            "business_date": TODAY,
            "window": f"w{sequence}",
            "split": 0,
            "generation": generation,
            "sequence": sequence,
            "name": name,
            "format": "delimited",
            "state": str(FileState.SEALED),
            "assembly": 1,
            "created_at": START,
            "config_hash": "c",
            "total": Total(1, {"EUR/CRDT": sequence}),
        }
        return OutboundFile(**{**known, **changes})

    def seal(self, file: OutboundFile) -> bytes:
        """Put the bytes of the file and its record."""
        body = f"FH,{file.file_id}\nPD,{file.sequence}\nFT,1\n".encode() * 20
        digest = hashlib.sha256(body).hexdigest()
        self.store.put(outbound_key(file.acquirer, file.business_date, file.file_id, file.name), body)
        with self.ledger.begin() as tx:
            tx.files.add(replace(file, size=len(body), sha256=digest))
        return body

    def ports(self, holder: str = "worker:1", ledger: Any = None, connect: Any = None) -> DeliverPorts:
        ledger = ledger or SqlLedger(self.engine, self.clock, holder=holder)
        return DeliverPorts(
            ledger, self.store, self.clock, self.acquirer, connect or self.server.connect, holder, self.spool
        )

    def deliver(self, holder: str = "worker:1") -> bool:
        return deliver(self.ports(holder))

    def restart(self) -> None:
        """The leases of dead workers have run out."""
        self.ledger.leases.release_held("")

    def later(self, seconds: float = 86_400) -> None:
        self.clock.at += timedelta(seconds=seconds)

    def change(self, sequence: int, **changes: Any) -> OutboundFile:
        with self.ledger.begin() as tx:
            return tx.files.change(tx.files.find(sequence=sequence)[0], **changes)

    def files(self) -> list[OutboundFile]:
        with self.ledger.begin() as tx:
            return sorted(tx.files.find(), key=lambda file: (file.sequence, file.generation))

    def file(self) -> OutboundFile:
        (found,) = self.files()
        return found

    def states(self) -> list[str]:
        return [file.state for file in self.files()]

    def attempts(self, file: OutboundFile) -> list[Attempt]:
        with self.ledger.begin() as tx:
            return tx.attempts.find(file_id=file.file_id)

    def receipt(self, file: OutboundFile) -> Receipt | None:
        with self.ledger.begin() as tx:
            return tx.receipts.get(file.file_id)

    def inbox(self) -> list[str]:
        """Complete names in the inbox; temporary ones begin with a dot and fit no partner's pattern."""
        names = [path.partition("/")[2] for path in sorted(self.server.files) if path.startswith("inbox/")]
        return [name for name in names if not name.startswith(".")]

    def check(self) -> None:
        """The oracle of scenarios.md: one complete remote file per file at most, and no word in the ledger without evidence."""
        placed = [name for name, _ in self.server.placed]
        assert len(placed) == len(set(placed)), "a name was placed twice"
        by_name = dict(self.server.placed)
        for file in self.files():
            body = self.bodies[file.file_id]
            found = by_name.get(f"inbox/{file.name}")
            assert found is None or found == body, "something else than the sealed bytes was placed"
            key = outbound_key(file.acquirer, file.business_date, file.file_id, file.name)
            assert self.store.get(key) == body, "the source object changed"
            receipt, attempts = self.receipt(file), self.attempts(file)
            if file.state == FileState.DELIVERED:
                assert found is not None, "delivered without a file"
                assert receipt is not None
                assert (receipt.sha256, receipt.size, receipt.host_key) == (file.sha256, len(body), HOST_KEY)
                assert attempts[-1].state == "done"
            else:
                assert receipt is None
            if file.state == FileState.SEALED:
                assert found is None, "sealed again though it was placed"
                assert all(each.state in {"failed", "revoked"} for each in attempts)
            if file.state == FileState.IN_DOUBT:
                assert attempts[-1].state == "doubtful"
            assert file.state in {"sealed", "delivering", "delivered", "in_doubt"}
            if self.acquirer.sequence == "strict" and found is not None:
                before = {each.state for each in self.files() if each.sequence < file.sequence}
                assert before <= {"delivered"}, "a file overtook one before it"


def sftp(**changes: Any) -> Sftp:
    return Sftp(host="127.0.0.1", user="tieout", host_keys=[PINNED_KEY], archive="archive", **changes)


def settle(world: DeliverWorld, turns: int = 8) -> None:
    """Deliver again and again, a day apart, as a service does; what a turn raises is its handler's business."""
    for _ in range(turns):
        with contextlib.suppress(Exception):  # the worker logs it and takes the message up again
            world.deliver()
        world.check()
        if all(file.state in {"delivered", "in_doubt"} or file.held for file in world.files()):
            break
        world.later()
