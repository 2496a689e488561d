"""The marker or checksum file that we put beside a delivered file: what it is called, what is in it, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from payments.states import IN_ACQUIRERS_HANDS, FileState

if TYPE_CHECKING:
    from payments.config_files import AfterRename
    from payments.ports import Records
    from payments.records import OutboundFile

SUFFIX = ".part"
OPEN = ("due", "started", "rename_intended", "doubtful")
"""States in which it is not known to lie beside its file."""


@dataclass(frozen=True, slots=True)
class Companion:
    """A marker or checksum file, by the file that it belongs to; it is owed from `due_at`, when that file was delivered.

    States: due, started, rename_intended, placed; doubtful (nobody here can know whether it was placed). `note` says what
    went wrong last.
    """

    file_id: str
    acquirer: str
    kind: str
    name: str
    state: str
    due_at: datetime
    temporary_name: str = ""
    attempts: int = 0
    next_attempt_at: datetime | None = None
    placed_at: datetime | None = None
    note: str = ""
    revision: int = 0


class CompanionLedger(Protocol):
    """What lies beside the files we sent."""

    @property
    def companions(self) -> Records[Companion]: ...


def companion_of(after: AfterRename, file: OutboundFile, at: datetime) -> Companion:
    """The one that a file delivered at this time needs, due at once."""
    return Companion(file.file_id, file.acquirer, after.write, after.name_for(file.name), "due", at)


def content_of(companion: Companion, file: OutboundFile) -> bytes:
    """Nothing in a marker; in a checksum file one line as `sha256sum --check` reads it."""
    return b"" if companion.kind == "marker" else f"{file.sha256}  {file.name}\n".encode()


def temporary_beside(temporary_name: str) -> str:
    """The temporary name of the companion that is uploaded together with a file of that temporary name."""
    return f"{temporary_name.removesuffix(SUFFIX)}-beside{SUFFIX}"


def is_owed(companion: Companion, file: OutboundFile) -> bool:
    """Whether somebody must still see to it.

    Not once the file was refused or never received; and a doubt is over when the acquirer speaks of the file.
    """
    if companion.state not in OPEN or file.state not in IN_ACQUIRERS_HANDS:
        return False
    return companion.state != "doubtful" or file.state == FileState.DELIVERED
