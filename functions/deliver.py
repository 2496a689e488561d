"""Places the files of one acquirer that are due."""

from __future__ import annotations

from typing import Any

from functions.batch import handle, time_left, world


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer an SQS batch."""
    return handle(event, lambda body: world().deliver_when_due(world().acquirer_in(body), time_left(context)))
