"""Opens the stored bytes of a result file: checks that they are those that were collected, and takes their wrapping off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from formats.delimited_in import result_number
from formats.unwrap import layers_of, unwrap
from payments.config_results import Results
from payments.errors import Unreadable
from payments.hashing import sha256_of
from payments.ports import Secrets, Transaction
from payments.records import ResultFile


@dataclass(frozen=True, slots=True)
class Opened:
    """The content of a result file. What is said of it beyond `path` is empty where it came plain."""

    path: Path
    content_sha256: str = ""
    number: int | None = None
    signed_by: str = ""
    signed_at: datetime | None = None


def open_result(results: Results, result: ResultFile, path: Path, folder: Path, secrets: Secrets | None) -> Opened:
    """`path` holds the stored bytes; plain texts are written into `folder`, which is private and removed by its owner.

    Keys are judged as of the time of collection. Raises Unreadable when it cannot be opened or believed, WrongConfiguration when
    our keys are missing.
    """
    if sha256_of(path) != result.sha256:
        # Set aside like any bad file: reconcile waits for what is not read, and the others must go on.
        raise Unreadable("the stored bytes are not those that were collected; restore the object from a backup")
    if not layers_of(results, result.name):
        return Opened(path, number=_number(results, path))
    folder.mkdir(mode=0o700)
    found = unwrap(results, result.name, path, folder, secrets, result.collected_at)
    number = _number(results, found.path)
    signature = found.signature
    if signature is None:
        return Opened(found.path, sha256_of(found.path), number)
    return Opened(found.path, sha256_of(found.path), number, signature.fingerprint, signature.made_at)


def _number(results: Results, path: Path) -> int | None:
    return result_number(path) if results.format == "delimited" else None


def twin_of(tx: Transaction, result: ResultFile, opened: Opened) -> ResultFile | None:
    """A result file that was read and holds the same: encrypted twice, the same text is other bytes each time."""
    if not opened.content_sha256:
        return None
    known = tx.results.find(acquirer=result.acquirer, content_sha256=opened.content_sha256, state="read")
    others = [each for each in known if each.sha256 != result.sha256]
    # A signature that only the second one bears is evidence that the first one is not.
    return next((each for each in others if each.signed_by or not opened.signed_by), None)
