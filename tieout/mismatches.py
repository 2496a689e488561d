"""tieout mismatches: lists where ours and theirs disagree, the oldest first."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tieout.arguments import day

if TYPE_CHECKING:
    from payments.ports import Transaction

HELP = "list the mismatches"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from payments.states import MismatchKind, MismatchState

    parser.add_argument("--kind", choices=[str(each) for each in MismatchKind], metavar="KIND", help="only this kind")
    parser.add_argument("--acquirer", help="only this acquirer")
    parser.add_argument(
        "--state", choices=[str(each) for each in MismatchState], metavar="STATE", help="only this state"
    )
    parser.add_argument("--date", type=day, metavar="DATE", help="only this business date, like 2026-03-02")
    parser.add_argument("--file", metavar="FILE", help="only this outbound file, by name or file_id")
    parser.add_argument("--all", action="store_true", help="closed ones too")
    parser.add_argument(
        "--limit", type=_count, default=50, metavar="N", help="at most so many (default 50; 0 lists all)"
    )
    parser.add_argument("--after", metavar="ID", help="go on behind this id")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!a}: write how many, or 0 for all")
    return int(text)


def _check_after(tx: Transaction, identity: str) -> None:
    """Behind an id that nobody has there is nothing, or anything. One that no filter lets through is as good as any."""
    from payments.errors import NotAllowed

    if tx.mismatches.get(identity) is None:
        raise NotAllowed(f"there is no mismatch {identity!a}", next_step="`tieout mismatches` lists them.")


def run(args: argparse.Namespace) -> int:
    from payments.states import OPEN_MISMATCH_STATES
    from runtime.wiring import World
    from tieout.mismatch import as_json
    from tieout.named import named_acquirer
    from tieout.show import money, print_json, table
    from transfer.acts import find_file

    where: dict[str, Any] = {} if args.all else {"state": tuple(str(state) for state in OPEN_MISMATCH_STATES)}
    given = {"kind": args.kind, "acquirer": args.acquirer, "state": args.state, "business_date": args.date}
    given["file_id"] = args.file
    world = World.open(args.config)
    with world.ledger.look() as tx:
        if args.acquirer is not None and not tx.mismatches.count(acquirer=args.acquirer):
            named_acquirer(world.configuration, args.acquirer)
        if args.file is not None and not tx.mismatches.count(file_id=args.file):
            given["file_id"] = find_file(tx, args.file).file_id
        if args.after is not None:
            _check_after(tx, args.after)
    where |= {name: value for name, value in given.items() if value is not None}
    with world.ledger.look() as tx:
        found = tx.mismatches.find(order="id", limit=args.limit, after=args.after, **where)
        count = tx.mismatches.count(**where)
        more = tx.mismatches.count(order="id", after=found[-1].id, **where) if found else 0
    if args.json:
        print_json({"count": count, "mismatches": [as_json(each) for each in found]})
        return 0
    rows = [
        (
            each.id,
            each.kind,
            each.state,
            # What is about a whole file is known by its name.
            each.reference or each.detail.get("name", ""),
            money(each.expected_minor, each.currency),
            money(each.reported_minor, each.currency),
            each.currency,
            each.business_date,
            each.detail.get("reason_code", ""),
        )
        for each in found
    ]
    print(table(("ID", "KIND", "STATE", "REFERENCE", "EXPECTED", "REPORTED", "CCY", "DATE", "REASON"), rows))
    if more:
        print(f"{more:,} more: --after {found[-1].id}, or --limit")
    return 0
