"""Which marker and checksum files are owed to an acquirer, which of them may be tried now, and which a person must hear of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from payments.companions import OPEN, Companion, is_owed
from payments.concerns import Concern
from payments.config import AcquirerSection
from payments.ports import Transaction
from payments.records import OutboundFile
from payments.waiting import due_at

LATE_AFTER = timedelta(minutes=5)
"""It follows its file within seconds: after this nobody is at it."""
SHOWN_MAX = 20


def owed(tx: Transaction, acquirer: str = "") -> Iterator[tuple[OutboundFile, Companion]]:
    """Those of one acquirer, or all, each with its file."""
    found = tx.companions.find(state=OPEN, acquirer=acquirer) if acquirer else tx.companions.find(state=OPEN)
    for companion in found:
        file = tx.files.get(companion.file_id)
        if file is not None and is_owed(companion, file):
            yield file, companion


def may_be_placed(acquirer: AcquirerSection, companion: Companion, now: datetime) -> bool:
    """Whether it waits neither for a person nor for its pause to end."""
    if companion.state == "doubtful":
        return False
    return due_at(companion.next_attempt_at, now, timedelta(seconds=acquirer.retry.longest_s)) <= now


def late_companions(tx: Transaction, now: datetime) -> list[Concern]:
    """One concern per companion that failed, is in doubt, or is owed for minutes; above 20 the rest as a count."""
    pairs = sorted(owed(tx), key=lambda pair: (pair[1].due_at, pair[0].name))
    late = [
        (file, each) for file, each in pairs if each.note or each.state == "doubtful" or each.due_at < now - LATE_AFTER
    ]
    found = [Concern(why(each, file), ("file", file.file_id, "show")) for file, each in late[:SHOWN_MAX]]
    more = len(late) - SHOWN_MAX
    return [*found, *([Concern(f"{more:,} more companions", ("status", "--json"))] if more > 0 else [])]


def why(companion: Companion, file: OutboundFile) -> str:
    """What is wrong, for people."""
    what = "marker" if companion.kind == "marker" else "checksum file"
    if companion.state == "doubtful":
        return f"the {what} {companion.name} of {file.name} may or may not have been placed: {companion.note}"
    again = companion.next_attempt_at
    told = f": {companion.note}" if companion.note else ""
    due = f"; next attempt {again:%Y-%m-%d %H:%M:%S} UTC" if again else ""
    return f"the {what} {companion.name} of {file.name} is missing, the file itself was delivered{told}{due}"
