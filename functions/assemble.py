"""Folds completed runs and the pool into files."""

from __future__ import annotations

from typing import Any

from functions.batch import handle, world
from runtime.wakes import known


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer an SQS batch: whoever a message of ours is about, everything that is due is assembled."""

    def assemble(body: str) -> None:
        known(body, world().key_in)
        world().assemble()

    return handle(event, assemble)
