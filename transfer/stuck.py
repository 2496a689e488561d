"""Says which files do not leave by themselves: in doubt, held, or refused by the server at their last attempt."""

from __future__ import annotations

from collections.abc import Collection

from payments.concerns import Concern
from payments.contacts import is_failing, of_inbox
from payments.ports import Transaction
from payments.records import OutboundFile
from payments.states import FileState

SHOWN_MAX = 20
WAITING = tuple(str(state) for state in (FileState.PLANNED, FileState.SEALED, FileState.DELIVERING))


def in_doubt(tx: Transaction) -> list[Concern]:
    """One concern per file of which nobody knows whether it arrived, by number. All of them: each may be money sent twice."""
    files = tx.files.find(state=str(FileState.IN_DOUBT), order="sequence")
    return [Concern(f"{file.name} is in doubt: {file.note}", _shown(tx, file)) for file in files]


def waiting(tx: Transaction) -> list[Concern]:
    """One concern per file that a person, or its server, keeps here, by number; above 20 the rest as a count."""
    here = tx.files.find(state=WAITING, order="sequence")
    failing = {each for each in {file.acquirer for file in here} if is_failing(tx, of_inbox(each))}
    files = [(file, text) for file in here if (text := _why(file, failing))]
    found = [Concern(text, _next(tx, file)) for file, text in files[:SHOWN_MAX]]
    more = len(files) - SHOWN_MAX
    return [*found, *([Concern(f"{more:,} more files", ("status", "--json"))] if more > 0 else [])]


def _why(file: OutboundFile, failing: Collection[str]) -> str:
    """Empty when it leaves by itself. `failing`: acquirers that were not reached by the last try."""
    if file.held:
        return f"{file.name} is held: {file.held}"
    if file.state == FileState.DELIVERING:
        if file.next_attempt_at is None:
            return ""  # an attempt is under way
        due = f"{file.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"{file.name} may have arrived, and the server cannot be asked: {file.note}; next try {due}"
    if file.note and (file.attempts or file.acquirer in failing):
        again = f"; next attempt {file.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC" if file.next_attempt_at else ""
        return f"{file.name} has not left: {file.note}{again}"
    return ""


def _next(tx: Transaction, file: OutboundFile) -> tuple[str, ...]:
    return _shown(tx, file) if file.held else ("acquirer", file.acquirer, "test")


def _shown(tx: Transaction, file: OutboundFile) -> tuple[str, ...]:
    """By name where that is enough: an acquirer may want one name again and again."""
    known_as = file.name if tx.files.count(name=file.name) == 1 else file.file_id
    return ("file", known_as, "show")
