"""tieout requeue --list, --queue, --all: shows what the stages gave up, and has it tried again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.dead_letters import DeadLetters
    from runtime.wiring import World

CHAIN = "dead-letters"
SHOWN_MAX = 3


def run(args: argparse.Namespace) -> int:
    from functions.topology import TOPOLOGY
    from local.router import local_world
    from runtime.dead_letters import dead_letters
    from tieout.show import print_json

    world = local_world(args.config)
    names = [args.queue] if args.queue else [stage.queue for stage in TOPOLOGY]
    if not args.list:
        return _move(world, args, names)
    with world.ledger.look() as tx:
        found = dead_letters(tx, world.queue, names)
    if args.json:
        print_json({"dead_letters": [each.to_json() for each in found]})
    else:
        print(_listed(world, found))
    return 0


def _listed(world: World, found: list[DeadLetters]) -> str:
    from tieout.next_step import command
    from tieout.show import table

    if not found:
        return "nothing was given up"
    rows = []
    for each in found:
        more = f" and {each.count - SHOWN_MAX:,} more" if each.count > SHOWN_MAX else ""
        rows.append((each.queue, f"{each.count:,}", each.oldest_at or "", ", ".join(each.about[:SHOWN_MAX]) + more))
    shown = table(("QUEUE", "MESSAGES", "OLDEST", "ABOUT"), rows)
    reasons = [f"{each.queue}: {each.reason}" for each in found if each.reason]
    go_on = [f"next: {command(world, 'requeue', '--queue', each.queue)}" for each in found]
    return "\n".join([shown, *reasons, *go_on])


def _move(world: World, args: argparse.Namespace, names: list[str]) -> int:
    from runtime.actor import operating_system_user
    from runtime.dead_letters import counts, move_back
    from tieout.show import print_json

    waiting = counts(world.queue, names)
    if waiting:
        with world.ledger.begin() as tx:
            tx.audit.append(CHAIN, "requeued", {"waiting": waiting}, actor=operating_system_user().name)
    moved = dict.fromkeys(waiting, 0)
    try:
        for name in waiting:
            for _ in move_back(world.queue, name):
                moved[name] += 1
    finally:
        # What went before something broke is said, too.
        left = {name: count - moved[name] for name, count in waiting.items() if count > moved[name]}
        if args.json:
            print_json({"requeued": moved, "left": left})
        else:
            print("\n".join(_said(moved, left)) or "nothing was given up")
    return 1 if left else 0


def _said(moved: dict[str, int], left: dict[str, int]) -> list[str]:
    lines = [f"{name}: {count:,} messages are tried again" for name, count in moved.items() if count]
    return [*lines, *(f"{name}: {count:,} are still there; give the command again" for name, count in left.items())]
