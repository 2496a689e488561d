"""Parts of a file's way that look at the acquirer's side or clear up there: what lies under a name, and whether it is ours."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from payments.errors import TieoutError
from payments.hashing import sha256_of
from transfer.deliver import DeliverPorts
from transfer.many_acts import Act
from transfer.verdicts import Part

log = logging.getLogger(__name__)


def inbox(ports: DeliverPorts, name: str) -> str:
    """The remote path of a name in the inbox."""
    return f"{ports.acquirer.drop.inbox}/{name}"


def stat(path: str) -> Act:
    return Act("stat", (path,))


def is_there(path: str) -> Part[bool]:
    """Whether a name is there; a link that breaks now, or a server that does not say, is no evidence that it is."""
    try:
        return (yield stat(path)) is not None
    except TieoutError as error:
        log.info("%s could not be looked at: %s", path, error)
        return False


def same_bytes(ports: DeliverPorts, path: str, sha256: str) -> Part[bool]:
    """Reads the whole remote file."""
    with tempfile.TemporaryDirectory(dir=ports.spool) as folder:
        local = Path(folder) / "read-back"
        yield Act("download", (path, local))
        return sha256_of(local) == sha256


def found_ours(
    ports: DeliverPorts, name: str, sha256: str, *, in_archive: bool = True
) -> Part[tuple[str, bool] | None]:
    """The first of inbox and archive that holds the name, and whether with these bytes. None: neither does.

    Without `in_archive` only the inbox is asked: what lies in the archive may be older than the attempt.
    """
    for directory in (ports.acquirer.drop.inbox, ports.acquirer.drop.archive if in_archive else ""):
        path = f"{directory}/{name}"
        if directory and (yield stat(path)) is not None:
            return directory, (yield from same_bytes(ports, path, sha256))
    return None


def clean(ports: DeliverPorts, temporary_name: str) -> Part[None]:
    """Best effort: a temporary file that stays behind is harmless, its name fits no pattern."""
    try:
        yield Act("remove", (inbox(ports, temporary_name),))
    except TieoutError as error:
        log.info("temporary file %s stays behind: %s", temporary_name, error)
