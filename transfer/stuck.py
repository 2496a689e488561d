"""Says which files do not leave by themselves: held, in doubt, or refused by the server at their last attempt."""

from __future__ import annotations

from payments.ports import Transaction
from payments.records import OutboundFile
from payments.states import FileState

SHOWN_MAX = 20
WAITING = tuple(str(state) for state in (FileState.PLANNED, FileState.SEALED, FileState.IN_DOUBT))


def stuck(tx: Transaction) -> list[str]:
    """One text per file, by number; above 20 the rest as a count. Nothing here is a difference with the acquirer."""
    texts = [text for file in tx.files.find(state=WAITING, order="sequence") if (text := _why(file))]
    more = len(texts) - SHOWN_MAX
    return [*texts[:SHOWN_MAX], *([f"{more:,} more files"] if more > 0 else [])]


def _why(file: OutboundFile) -> str:
    if file.state == FileState.IN_DOUBT:
        return f"{file.name} is in doubt: {file.note}"
    if file.held:
        return f"{file.name} is held: {file.held}"
    if file.attempts and file.note:
        again = f"; next attempt {file.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC" if file.next_attempt_at else ""
        return f"{file.name} has not left: {file.note}{again}"
    return ""
