"""tieout audit: verifies that the audit log is whole, nothing changed, missing or reordered, and anchors it outside the ledger."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tieout.arguments import CONFIG_HELP

if TYPE_CHECKING:
    from runtime.anchors import Proof

HELP = "verify the audit log, or anchor it"
SHOWN_MAX = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, told in (
        ("verify", "recompute every chain and compare it with the anchors"),
        ("anchor", "anchor it now"),
    ):
        action = actions.add_parser(name, help=told)
        action.add_argument("--config", default=argparse.SUPPRESS, help=CONFIG_HELP)
        action.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    return _verify(args) if args.action == "verify" else _anchor(args)


def _anchor(args: argparse.Namespace) -> int:
    from runtime.anchors import anchor
    from runtime.signing import believed
    from runtime.wiring import World
    from tieout.show import print_json

    world = World.open(args.config)
    key = anchor(world)
    keys = sorted(believed(world.secrets, world.configuration.audit))
    if args.json:
        print_json({"anchor": key or None, "signed": bool(world.configuration.audit.sign_with), "public_keys": keys})
    elif not key:
        print("nothing was recorded yet")
    else:
        signed = "signed" if world.configuration.audit.sign_with else "not signed: [audit] sign_with names no key"
        print(f"{key}: {signed}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from runtime.anchors import anchors, compare
    from runtime.ledger.audit import audit_records, faults
    from runtime.signing import believed
    from runtime.wiring import World
    from tieout.show import clean, print_json

    world = World.open(args.config)
    keys = believed(world.secrets, world.configuration.audit)
    # The anchors first: what is recorded while they are read is in the ledger, and not the other way round.
    anchored = anchors(world.store, keys)
    with world.ledger.look() as tx:
        found = list(faults(audit_records(tx.connection)))
        proof = compare(anchored, audit_records(tx.connection), signed_only=bool(keys))
        records = sum(1 for _ in audit_records(tx.connection))
    faulty = [*found, *proof.faults]
    # A chain that does not follow proves nothing, whatever its newest hash is.
    upto = "" if found else proof.upto
    if args.json:
        summary = {"records": records, "faults": faulty, "whole": not faulty}
        print_json({**summary, "anchors": proof.anchors, "proven_upto": upto or None})
        return 1 if faulty else 0
    print("\n".join(map(clean, faulty[:SHOWN_MAX])), end="\n" if faulty else "")
    if faulty:
        print(
            f"{len(faulty)} faults in {records} records. Somebody or something changed it by other means than Tieout."
        )
    else:
        print(f"{records} records, every chain is whole.")
    print(_proven(proof, upto))
    return 1 if faulty else 0


def _proven(proof: Proof, upto: str) -> str:
    if not proof.anchors:
        return "It was never anchored: whether the newest records or whole chains were taken out cannot be seen."
    if not upto:
        return f"It is proven up to none of its {proof.anchors} anchors."
    return f"It is proven up to the anchor {upto}; newer records are proven by the next one."
