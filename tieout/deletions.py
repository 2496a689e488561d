"""tieout deletions: shows which stored objects are gone although they were needed, or settles one that was looked at."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payments.deletions import Deletion

HELP = "stored objects that are gone although they were needed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("show", "settle"), nargs="?", default="show")
    parser.add_argument("key", nargs="?", default="", metavar="KEY", help="the object's key, as `show` prints it")
    parser.add_argument(
        "--why", default="", metavar="TEXT", help="the reason, kept with the decision; settle needs one"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from payments.deletions import said, unsettled
    from reconciliation.deletion_acts import settle
    from runtime.actor import operating_system_user
    from runtime.wiring import World
    from tieout.show import clean, print_json, table

    world = World.open(args.config)
    if args.action == "settle":
        settle(world.ledger, world.clock, operating_system_user(), args.key, args.why)
    with world.ledger.look() as tx:
        ends = unsettled(tx)
        known = tx.deletions.counts_by("store", cause="lifecycle", kind="marker")
    if args.json:
        print_json({"gone": [_plain(each) for each in ends], "expired": known})
        return 1 if ends else 0
    if ends:
        print(table(("OBJECT", "WHAT HAPPENED"), [(each.key, said(each)) for each in ends]))
        print("docs/runbook.md, Objects gone, says how one is brought back and when it is settled")
    else:
        print("nothing is gone that was needed")
    if known:
        print(clean("expired as declared: " + ", ".join(f"{name} {count:,}" for name, count in sorted(known.items()))))
    return 1 if ends else 0


def _plain(end: Deletion) -> dict[str, Any]:
    return {"key": end.key, "cause": end.cause, "deleted_at": end.deleted_at.isoformat(), "chain": end.chain}
