"""Reads one result file."""

from __future__ import annotations

from typing import Any

from functions.batch import handle, world
from functions.patience import patiently


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer an SQS batch."""
    return handle(event, lambda body: patiently(context, lambda: world().read_result(world().key_in(body))))
