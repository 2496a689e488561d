"""tieout file NAME: shows one outbound file, holds or releases it, takes it back, or sends its payments again."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payments.records import OutboundFile
    from runtime.wiring import World
    from transfer.acts import Acted

HELP = "show, hold, release, cancel or redeliver one outbound file"
BESIDE = ("companion-there", "companion-again")
"""What people say of a marker or checksum file that is in doubt."""
ACTIONS = ("show", "hold", "release", "cancel", "redeliver", "not-received", "nothing-there", *BESIDE)
WAKES = {
    "release": "deliver",
    "not-received": "deliver",
    "nothing-there": "reconcile",
    "redeliver": "assemble",
    **dict.fromkeys(BESIDE, "deliver"),
}
"""Which queue is woken after which act."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="file name or file_id")
    parser.add_argument("action", choices=ACTIONS, nargs="?", default="show")
    parser.add_argument("--rejected", action="store_true", help="redeliver: all payments that the acquirer rejected")
    parser.add_argument(
        "--payment",
        action="append",
        default=[],
        metavar="REFERENCE",
        help="redeliver: this rejected payment; repeatable",
    )
    parser.add_argument("--payments-from", metavar="FILE", help="redeliver: rejected payments, one reference per line")
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason, kept with the decision")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from local.router import local_world

    world = local_world(args.config)
    if args.rejected or args.payment or args.payments_from:
        from tieout.file_payments import redeliver_some

        done = redeliver_some(world, args)
        if done:
            _wake(world, WAKES["redeliver"], "")
        return 0
    if args.action == "show":
        return _show(world, args)
    acted = _act(world, args.action, args.name, args.why)
    if acted.done and args.action in WAKES:
        _wake(world, WAKES[args.action], acted.file.acquirer)
    return _say(args, acted)


def _act(world: World, action: str, name: str, why: str) -> Acted:
    """The act, by the operating-system user."""
    from runtime.actor import operating_system_user
    from transfer import acts

    ports, actor = acts.ActPorts(world.ledger, world.clock), operating_system_user()
    if action in BESIDE:
        from transfer import companion_acts

        act = companion_acts.is_there if action == "companion-there" else companion_acts.again
        return act(ports, name, actor, why)
    match action:
        case "hold":
            return acts.hold(ports, name, actor, why)
        case "release":
            return acts.release(ports, name, actor, why)
        case "cancel":
            return acts.cancel(ports, name, actor, why)
        case "redeliver":
            return acts.redeliver(ports, name, actor, why)
        case "nothing-there":
            return acts.nothing_there(ports, name, actor, why)
        case _:
            return acts.not_received(ports, name, actor, why)


def _wake(world: World, queue: str, acquirer: str) -> None:
    from runtime.wakes import wake

    world.queue.send(queue, wake("" if queue == "assemble" else acquirer))


def _say(args: argparse.Namespace, acted: Acted) -> int:
    from tieout.show import print_json

    if args.json:
        print_json({"done": acted.done, "action": args.action, **as_json(acted.file)})
    elif acted.done:
        state = "its payments go into the next file" if args.action == "redeliver" else f"it is {acted.file.state}"
        print(f"{acted.file.name}: {args.action} done; {state}{' and held' if acted.file.held else ''}")
    else:
        print(f"{acted.file.name}: {args.action} proposed; it happens when a different person gives the same command")
    return 0


def _show(world: World, args: argparse.Namespace) -> int:
    from reconciliation.facts import file_facts
    from tieout.file_next import evidence, next_lines, spoken
    from tieout.file_payments import sent_again
    from tieout.next_step import command
    from tieout.show import amounts, clean, print_json, table
    from transfer.acts import find_file
    from transfer.spoken import is_unanswered

    with world.ledger.begin() as tx:
        file = find_file(tx, args.name)
        attempts = tx.attempts.find(file_id=file.file_id)
        receipt, beside = tx.receipts.get(file.file_id), tx.companions.get(file.file_id)
        decisions = tx.decisions.find(subject=file.file_id, order="decided_at")
        facts, unanswered = file_facts(tx, file), is_unanswered(tx, file)
    heard, again = [result for result, _ in facts.results], facts.redeliveries
    if args.json:
        print_json(
            as_json(file)
            | {"attempt_list": [_plain(each) for each in attempts], "receipt": _plain(receipt) if receipt else None}
            | {"companion": _plain(beside) if beside else None}
            | {"results": [_plain(each) for each in heard]}
            | {"redeliveries": [_plain(each) | {"total": each.total.to_json()} for each in again]}
            | {"decisions": [_plain(each) for each in decisions]}
        )
        return 0
    shown = {name: value for name, value in as_json(file).items() if not isinstance(value, dict)}
    print("\n".join(f"{name:16} {clean(str(value))}" for name, value in shown.items() if value not in ("", None)))
    rows = [
        (name, f"{total.count:,}", amounts(total))
        for name, total in (
            ("total", file.total),
            ("matched", file.matched),
            ("mismatched", file.mismatched),
            ("awaiting", file.awaiting),
        )
    ]
    print("\n" + table(("BOOKS", "PAYMENTS", "SUMS"), rows))
    if again:
        print("\n" + sent_again(again))
    if attempts:
        tries = [(each.attempt, each.state, each.started_at, each.error) for each in attempts]
        print("\n" + table(("ATTEMPT", "STATE", "STARTED", "ERROR"), tries))
    if receipt is not None:
        print("\n" + clean(evidence(receipt)))
    for line in spoken(heard):
        print(clean(line))
    if beside is not None:
        print(clean(f"{beside.kind} {beside.name}: {beside.state.replace('_', ' ')} {beside.note}").rstrip())
        if beside.state == "doubtful":
            print("\n".join(f"next: {command(world, 'file', args.name, action)}" for action in BESIDE))
    if decisions:
        acts = [(each.act, each.detail["step"], each.actor, each.decided_at, each.detail["why"]) for each in decisions]
        print("\n" + table(("ACT", "STEP", "WHO", "WHEN", "WHY"), acts))
    if lines := next_lines(world, file, args.name, decisions, unanswered=unanswered):
        print("\n" + "\n".join(lines))
    return 0


def as_json(file: OutboundFile) -> dict[str, Any]:
    """The record with times and dates as text and totals as count and sums."""
    totals = ("total", "matched", "mismatched", "awaiting")
    return _plain(file) | {name: getattr(file, name).to_json() for name in totals}


def _plain(record: Any) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in asdict(record).items()}
