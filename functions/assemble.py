"""Folds completed runs and the pool into files."""

from __future__ import annotations

from typing import Any

from functions.batch import handle, world


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer an SQS batch: whatever a message says, everything that is due is assembled."""
    return handle(event, lambda _body: world().assemble())
