"""tieout deliver: one delivery to an acquirer now, of all its files that are due."""

from __future__ import annotations

import argparse

HELP = "one delivery to an acquirer now"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("acquirer", metavar="ACQUIRER", help="name of an [[acquirer]]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from payments.states import IN_ACQUIRERS_HANDS
    from runtime.wiring import World
    from tieout.named import named_acquirer
    from tieout.show import print_json
    from transfer.deliver import due_files

    world = World.open(args.config)
    acquirer = named_acquirer(world.configuration, args.acquirer)
    with world.ledger.look() as tx:
        due = due_files(tx, acquirer, world.clock.now())
    is_ours = world.deliver_to(acquirer.name)
    with world.ledger.look() as tx:
        found = [file for each in due if (file := tx.files.get(each.file_id)) is not None]
    there = [file for file in found if file.state in IN_ACQUIRERS_HANDS]
    if args.json:
        print_json({"acquirer": acquirer.name, "due": len(due), "delivered": len(there), "another": not is_ours})
    elif not is_ours:
        print(f"{acquirer.name}: somebody else delivers now, and looks again before it ends")
    else:
        print(f"{acquirer.name}: {len(there)} of {len(due)} files delivered")
        for file in found:
            if file not in there:
                print(f"  {file.name}: {file.held or file.note or file.state}")
    return 0 if not is_ours or len(there) == len(due) else 1
