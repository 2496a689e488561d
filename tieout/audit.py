"""tieout audit verify: whether the audit log is whole: nothing changed, missing or reordered."""

from __future__ import annotations

import argparse

HELP = "verify the audit log"
SHOWN_MAX = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="recompute every chain")
    verify.add_argument("--config", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    verify.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from runtime.ledger.audit import audit_records, faults
    from runtime.wiring import World
    from tieout.show import clean, print_json

    world = World.open(args.config)
    with world.ledger.look() as tx:
        found = list(faults(audit_records(tx.connection)))
        records = sum(1 for _ in audit_records(tx.connection))
    if args.json:
        print_json({"records": records, "faults": found, "whole": not found})
    elif found:
        print("\n".join(map(clean, found[:SHOWN_MAX])))
        print(
            f"{len(found)} faults in {records} records. Somebody or something changed the ledger by other means than Tieout."
        )
    else:
        print(f"{records} records, every chain is whole.")
    return 1 if found else 0
