"""Knows which result files speak of a file of ours, and whether two people answered all of them: the acquirer has nothing of it."""

from __future__ import annotations

import hashlib

from payments.acting import DONE
from payments.ports import Transaction
from payments.records import OutboundFile

NOTHING_THERE = "nothing_there"
"""The act by which two people answer."""


def spoken_of(tx: Transaction, file: OutboundFile) -> list[str]:
    """The result files (SHA-256) that speak of it, sorted, evidence or not."""
    return sorted(each.sha256 for each in tx.result_books.find(acquirer=file.acquirer, file_id=file.file_id))


def said_hash(results: list[str]) -> str:
    """What two people agree on: this very set of result files. Another one that speaks of the file is not answered by it."""
    return hashlib.sha256("\n".join(results).encode()).hexdigest()


def is_unanswered(tx: Transaction, file: OutboundFile) -> bool:
    """Whether something that the acquirer said of it stands, and nobody has answered it."""
    results = spoken_of(tx, file)
    if not results:
        return False
    said = said_hash(results)
    acts = tx.decisions.find(subject=file.file_id, act=NOTHING_THERE, verified=True)
    return not any(each.detail.get("step") == DONE and each.detail.get("results") == said for each in acts)
