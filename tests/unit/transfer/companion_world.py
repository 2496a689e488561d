"""A small world for deliver in which a marker or checksum file lies beside every delivered file; for tests only."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from payments.companions import Companion
from payments.config_files import AfterRename
from payments.records import OutboundFile
from tests.unit.transfer.deliver_world import sftp
from tests.unit.transfer.flight_world import FlightWorld

OVER = {"placed", "doubtful"}


class CompanionWorld(FlightWorld):
    """As FlightWorld; its oracle knows what may lie in the inbox besides."""

    def __init__(
        self, folder: Path, *, files: int = 1, write: str = "marker", atomic: bool = True, **changes: Any
    ) -> None:
        known = {"sftp": sftp(files_in_flight=4, rename_atomic=atomic), "after_rename": AfterRename(write=write)}  # type: ignore[arg-type]
        super().__init__(folder, files=files, **{**known, **changes})

    def companion(self, file: OutboundFile) -> Companion | None:
        with self.ledger.look() as tx:
            return tx.companions.get(file.file_id)

    def companion_states(self) -> list[str]:
        """By number; empty for a file that owes none."""
        return [each.state if (each := self.companion(file)) else "" for file in self.files()]

    def beside(self, file: OutboundFile) -> str:
        assert self.acquirer.after_rename is not None
        return f"inbox/{self.acquirer.after_rename.name_for(file.name)}"

    def body_beside(self, file: OutboundFile) -> bytes:
        assert self.acquirer.after_rename is not None
        line = f"{hashlib.sha256(self.bodies[file.file_id]).hexdigest()}  {file.name}\n"
        return b"" if self.acquirer.after_rename.write == "marker" else line.encode()

    def check(self) -> None:
        """Besides the oracle of files: one companion at most, right behind its file, and none for a file that is not placed."""
        super().check()
        placed = [name for name, _ in self.server.placed]
        assert set(placed) <= {path for file in self.files() for path in (f"inbox/{file.name}", self.beside(file))}
        for file in self.files():
            companion, times = self.companion(file), placed.count(self.beside(file))
            assert times <= 1, "a companion was placed twice"
            assert (companion is not None) == (file.state == "delivered")
            if times:
                assert placed.index(f"inbox/{file.name}") < placed.index(self.beside(file)), "before its file"
                assert dict(self.server.placed)[self.beside(file)] == self.body_beside(file)
                assert file.state != "in_doubt", "a companion of a file in doubt"
            if companion is not None and companion.state == "placed":
                assert times == 1, "said to be placed, and is not"
            if self.acquirer.sequence == "strict":
                behind = [f"inbox/{each.name}" for each in self.files() if each.sequence > file.sequence]
                if any(name in placed for name in behind):
                    assert companion is not None, "a file overtook one before it"
                    assert companion.state == "placed", "a file overtook the companion of one before it"
