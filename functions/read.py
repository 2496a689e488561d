"""Reads one result file."""

from __future__ import annotations

from typing import Any

from functions.batch import handle, world
from runtime.notices import key_of


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer an SQS batch."""
    return handle(event, lambda body: world().read_result(key_of(body)))
