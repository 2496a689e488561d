"""tieout mismatch ID show: one mismatch with everything that is known of it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payments.records import Mismatch, OutboundFile
    from runtime.wiring import World

HELP = "show one mismatch"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID")
    parser.add_argument("action", choices=["show"], nargs="?", default="show")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from payments.errors import NotAllowed
    from runtime.wiring import World
    from tieout.next_step import command
    from tieout.show import clean, money, print_json

    world = World.open(args.config)
    with world.ledger.look() as tx:
        found = tx.mismatches.get(args.id)
        file = tx.files.get(found.file_id) if found is not None and found.file_id else None
    if found is None:
        raise NotAllowed(f"there is no mismatch {args.id!a}", next_step="`tieout mismatches` lists them.")
    shown = as_json(found) | ({"file": file.name, "file_state": file.state} if file is not None else {})
    shown |= _accounts(world, found, file)
    if args.json:
        print_json(shown)
    else:
        shown |= {"detail": "; ".join(f"{name}: {value}" for name, value in found.detail.items())}
        for side in ("expected", "reported"):
            minor = shown.pop(f"{side}_minor")
            shown[side] = f"{money(minor, found.currency)} {found.currency}" if minor is not None else ""
        print("\n".join(f"{name:16} {clean(str(value))}" for name, value in shown.items() if value not in ("", None)))
        if found.reference:
            print(f"next: {command(world, 'trace', found.reference)}")
    return 0


def _accounts(world: World, mismatch: Mismatch, file: OutboundFile | None) -> dict[str, str]:
    """Both accounts, masked, where they are what differs. Nowhere else are they shown."""
    from reconciliation.accounts import compared_accounts, differs_by_account

    if file is None or not differs_by_account(mismatch):
        return {}
    with world.ledger.look() as tx:
        result = tx.results.get(mismatch.acquirer, mismatch.result_sha256)
    if result is None:
        return {}
    expected, reported = compared_accounts(world.store, mismatch, file, result)
    return {"expected_account": expected, "reported_account": reported}


def as_json(mismatch: Mismatch) -> dict[str, Any]:
    """The record with times and dates as text."""
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in asdict(mismatch).items()
    }
