"""Curates one raw chunk, or settles a run."""

from __future__ import annotations

from typing import Any

from functions.batch import handle, world
from functions.patience import patiently


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer an SQS batch."""
    return handle(event, lambda body: patiently(context, lambda: world().curate_object(world().key_in(body))))
