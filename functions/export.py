"""Writes one list that somebody asked the page for."""

from __future__ import annotations

from typing import Any

from functions.batch import handle, world


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer an SQS batch."""
    from dashboard.exports import Export, make

    return handle(event, lambda body: make(world(), Export.read(body)))
