"""tieout requeue: has the stopped chunks of a run curated again, once their objects are whole again."""

from __future__ import annotations

import argparse

HELP = "curate the stopped chunks of a run again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="RUN", help="SOURCE/NUMBER, as `tieout status` shows it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from local.router import local_world, route
    from payments.errors import NotAllowed
    from payments.keys import ChunkKey, run_chain
    from runtime.actor import operating_system_user
    from tieout.show import print_json

    world = local_world(args.config)
    source, _, number = args.name.partition("/")
    ordinal = int(number) if number.isdecimal() else 0
    with world.ledger.begin() as tx:
        found = tx.runs.get(source, ordinal)
        if found is None:
            raise NotAllowed(f"there is no run {args.name!a}", next_step="`tieout status` lists the runs.")
        chunks = [each for each in tx.chunks.find(source=source, run=ordinal, state="stored") if each.note]
        if chunks:
            tx.runs.change(found, note="")
            body = {"chunks": [each.ordinal for each in chunks]}
            tx.audit.append(run_chain(source, ordinal), "requeued", body, actor=operating_system_user().name)
        for each in chunks:
            tx.chunks.change(each, note="")
    for each in chunks:
        route(world, ChunkKey(source, found.business_date, ordinal, each.ordinal).raw)
    if args.json:
        print_json({"source": source, "run": ordinal, "chunks": [each.ordinal for each in chunks]})
    elif chunks:
        print(f"{args.name}: {len(chunks)} chunks will be curated again by the running service")
    else:
        print(f"{args.name}: no chunk of it is stopped")
    return 0
