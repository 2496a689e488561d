"""Brings the ledger to what this version needs: tables first, then users. A deployment calls it, or a person does."""

from __future__ import annotations

from typing import Any

from functions.batch import world
from functions.custom_resource import answered


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`Writers`, `Readers` and `Witnesses` in the resource's properties are database users, separated by commas.

    `ConnectionsMax` (`user=10,...`) says how many connections each may have at once.
    """

    def migrate(properties: dict[str, Any]) -> dict[str, str]:
        from runtime.ledger.migrate import NEWEST
        from runtime.ledger.users import make_users

        ledger = world().ledger  # opening it brings its tables to this version
        users = {each.lower(): _names(properties.get(each, "")) for each in ("Writers", "Readers", "Witnesses")}
        pairs = [each.partition("=") for each in _names(properties.get("ConnectionsMax", ""))]
        at_once = {name: int(most) for name, _, most in pairs}
        make_users(ledger.engine, **users, at_once=at_once)
        return {"Revision": NEWEST}

    return answered(event, migrate)


def _names(text: str) -> list[str]:
    return [each for each in text.split(",") if each]
