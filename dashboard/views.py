"""Reads what each page shows from the ledger. Nothing here writes, and nothing reads a payment's names or accounts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments.books import EQUATIONS, INCOMING_EQUATIONS, Total, total_of
from payments.config import Configuration
from payments.records import OutboundFile
from payments.states import FileState
from reconciliation.statement import OPEN_STATES, Statement, statement
from runtime.attention import attention
from runtime.ledger.audit import AuditRecord, audit_records
from runtime.ledger.ledger import SqlTransaction
from transfer.deliver import blocked_by

RECENT = 12
ATTENTION_MAX = 50
AUDIT_MAX = 200
WAITING_TO_LEAVE = frozenset({FileState.PLANNED, FileState.SEALED})


@dataclass(frozen=True, slots=True)
class Equation:
    """One equation of I1 as shown: `difference` is left minus right."""

    left: str
    right: tuple[str, ...]
    difference: Total

    @property
    def holds(self) -> bool:
        return self.difference == Total()


@dataclass(frozen=True, slots=True)
class FileRow:
    """One outbound file in the list, with why it does not move, if it does not."""

    file: OutboundFile
    flags: tuple[str, ...]
    why: str


def books(tx: SqlTransaction, configuration: Configuration, now: datetime) -> dict[str, Any]:
    """The first page."""
    result = statement(tx)
    files, blocks = tx.files.find(order="-created_at"), blocked(tx, configuration, now)
    rows = [file_row(file, blocks, now) for file in files]
    flagged = [row for row in rows[RECENT:] if row.flags][:ATTENTION_MAX]
    return {
        "statement": result,
        "found": attention(tx, configuration, now),
        "has_unreadable": any(total.unreadable for total in result.terms.values()),
        "equations": equations(result),
        "incoming_equations": incoming(result),
        "keys": sorted({key for total in result.terms.values() for key in total.amount_minor}),
        "runs": tx.runs.find(order="-opened_at", limit=RECENT),
        "runs_count": tx.runs.count(),
        "files": rows[:RECENT] + flagged,
        "files_count": len(files),
        "blocks": list(blocks.values()),
        "latest": tx.mismatches.find(order="-opened_at", limit=RECENT, state=OPEN_STATES),
    }


def equations(result: Statement) -> list[Equation]:
    return [
        Equation(left, right, result.terms[left] - total_of(result.terms[term] for term in right))
        for left, right in EQUATIONS
    ]


def incoming(result: Statement) -> list[tuple[str, tuple[str, ...], bool]]:
    """(left, right, holds) of the equations of I1b."""
    counts = result.incoming
    return [(left, right, counts[left] == sum(counts[t] for t in right)) for left, right in INCOMING_EQUATIONS]


def blocked(tx: SqlTransaction, configuration: Configuration, now: datetime) -> dict[str, str]:
    """Acquirer -> which of its files stops those behind it, and why."""
    found = ((each.name, blocked_by(tx, each, now)) for each in configuration.acquirer)
    return {name: text for name, text in found if text}


def file_row(file: OutboundFile, blocks: dict[str, str], now: datetime) -> FileRow:
    block = blocks.get(file.acquirer, "")
    is_behind = bool(block) and not block.startswith(f"{file.name} ") and file.state in WAITING_TO_LEAVE
    is_late = file.overdue or (
        bool(file.awaiting.count) and file.results_due_at is not None and file.results_due_at < now
    )
    flags = {"held": bool(file.held), "late": is_late, "blocked": is_behind}
    return FileRow(file, tuple(name for name, is_set in flags.items() if is_set), file.held or file.note)


def audit_trail(tx: SqlTransaction, chain: str) -> tuple[list[AuditRecord], bool]:
    """The last records of a chain, oldest first, and whether there are earlier ones."""
    kept: deque[AuditRecord] = deque(maxlen=AUDIT_MAX)
    kept.extend(audit_records(tx.connection, chain))
    return list(kept), bool(kept) and kept[0].seq > 1
