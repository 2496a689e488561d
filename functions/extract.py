"""Reads one source."""

from __future__ import annotations

from typing import Any

from functions.batch import handle, world
from runtime.wakes import subject_of


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer an SQS batch."""
    return handle(event, lambda body: world().extract_when_due(subject_of(body)))
