"""Tells the ledger which objects expired or were deleted."""

from __future__ import annotations

from typing import Any

from functions.batch import handle, world


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer an SQS batch."""
    return handle(event, lambda body: world().record_deletion(body))
