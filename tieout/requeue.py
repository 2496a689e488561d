"""tieout requeue: lets a stopped run go on, has a result file that was set aside read again, or what a stage gave up tried again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payments.ports import Transaction
    from payments.records import ResultFile, Run

HELP = "let a stopped run go on, read a result file again that was set aside, or try again what a stage gave up"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from functions.topology import TOPOLOGY

    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("name", metavar="RUN|RESULT", nargs="?", help="SOURCE/NUMBER, or a result file's name or SHA-256")
    what.add_argument("--list", action="store_true", help="list the messages that the stages gave up")
    stages = [stage.queue for stage in TOPOLOGY]
    what.add_argument("--queue", choices=stages, metavar="STAGE", help="try again what this stage gave up")
    what.add_argument("--all", action="store_true", help="try again what any stage gave up")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    if args.name is None:
        from tieout.requeue_dead import run as run_dead

        return run_dead(args)
    return _run_named(args)


def _run_named(args: argparse.Namespace) -> int:
    from local.router import local_world, route
    from payments.errors import NotAllowed
    from payments.keys import ChunkKey, run_chain
    from runtime.actor import operating_system_user
    from runtime.wakes import wake
    from tieout.requeue_result import read_again
    from tieout.show import print_json

    world = local_world(args.config)
    again = read_again(world, args.name)
    if again:
        return _say_again(args, again)
    source, _, number = args.name.partition("/")
    ordinal = int(number) if number.isdecimal() else 0
    with world.ledger.begin() as tx:
        found = tx.runs.get(source, ordinal)
        if found is None:
            raise NotAllowed(
                f"there is no run {args.name!a}, and no result file of this name",
                next_step="`tieout status` lists the runs, `tieout mismatches` what was set aside.",
            )
        chunks = [each for each in tx.chunks.find(source=source, run=ordinal, state="stored") if each.note]
        if chunks:
            tx.runs.change(found, note="")
            body = {"chunks": [each.ordinal for each in chunks]}
            tx.audit.append(run_chain(source, ordinal), "requeued", body, actor=operating_system_user().name)
        for each in chunks:
            tx.chunks.change(each, note="")
        resumed = _resumed(tx, found)
    if resumed:
        world.queue.send("assemble", wake(""))
    for each in chunks:
        route(world, ChunkKey(source, found.business_date, ordinal, each.ordinal).raw)
    if args.json:
        print_json(
            {"source": source, "run": ordinal, "chunks": [each.ordinal for each in chunks], "assembled_again": resumed}
        )
    elif resumed:
        print(f"{args.name}: the running service will assemble it")
    elif chunks:
        print(f"{args.name}: {len(chunks)} chunks will be curated again by the running service")
    else:
        print(f"{args.name}: nothing of it is stopped")
    return 0


def _say_again(args: argparse.Namespace, again: list[ResultFile]) -> int:
    from tieout.show import clean, print_json

    if args.json:
        print_json({"results": [{"acquirer": e.acquirer, "name": e.name, "sha256": e.sha256} for e in again]})
    else:
        print(f"{clean(args.name)}: the running service will read it again")
    return 0


def _resumed(tx: Transaction, run: Run) -> bool:
    """A run that assembly stopped is curated again: assembly compares every object and every sum anew, and trusts nobody."""
    from payments.errors import NotAllowed
    from payments.keys import run_chain
    from runtime.actor import operating_system_user

    if run.state != "stopped":
        return False
    if run.extracted != run.curated + run.quarantined:
        raise NotAllowed(
            f"run {run.source}/{run.ordinal} is stopped because its books are off: {run.note}",
            next_step="`tieout prove` shows which chunk is not as it was recorded.",
        )
    tx.runs.change(run, state="curated", note="")
    tx.audit.append(run_chain(run.source, run.ordinal), "run_resumed", {}, actor=operating_system_user().name)
    return True
