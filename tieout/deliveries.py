"""tieout deliveries: shows whether files may leave, stops all deliveries at once, or lets them go on."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payments.delivery_stops import DeliveryStop
    from runtime.wiring import World

HELP = "stop all deliveries at once, or let them go on"
SHOWN_MAX = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("show", "stop", "resume"), nargs="?", default="show")
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason, kept with the decision; stop needs one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from runtime.actor import operating_system_user
    from runtime.wakes import wake
    from runtime.wiring import World
    from transfer.acts import ActPorts
    from transfer.delivery_stop_acts import resume, stop

    world = World.open(args.config)
    ports, actor = ActPorts(world.ledger, world.clock), operating_system_user()
    if args.action == "stop":
        stop(ports, actor, args.why)
    elif args.action == "resume":
        resume(ports, actor, args.why)
        for acquirer in world.configuration.acquirer:
            world.queue.send("deliver", wake(acquirer.name))
    return _say(world, args)


def _say(world: World, args: argparse.Namespace) -> int:
    from payments.delivery_stops import said, stop_in_force
    from tieout.next_step import command
    from tieout.show import clean, print_json, table

    with world.ledger.look() as tx:
        stop, earlier = stop_in_force(tx), tx.stops.find(order="-ordinal", limit=SHOWN_MAX)
        under_way = tx.attempts.count(state="rename_intended")
    if args.json:
        print_json(
            {
                "stopped": stop is not None,
                "under_way": under_way,
                "stops": [_plain(each) for each in earlier],
            }
        )
        return 0
    print(clean(said(stop)) if stop is not None else "files may leave")
    if stop is not None:
        if under_way:
            print(f"{under_way:,} files were being renamed: what became of each is still found out")
        print(f"a different person lets them go on\nnext: {command(world, 'deliveries', 'resume')}")
    if earlier:
        rows = [(e.ordinal, e.stopped_at, e.stopped_by, e.why, e.resumed_at or "", e.resumed_by) for e in earlier]
        print("\n" + table(("STOP", "STOPPED", "BY", "WHY", "RESUMED", "BY"), rows))
    return 0


def _plain(stop: DeliveryStop) -> dict[str, Any]:
    found = asdict(stop)
    del found["revision"]
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in found.items()}
