"""tieout extract: one extraction of a source now; the running service does what it starts."""

from __future__ import annotations

import argparse

HELP = "one extraction of a source now"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="name of a [[source]]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from local.router import local_world
    from tieout.show import print_json, total

    world = local_world(args.config)
    done = world.extract_source(args.source)
    if done is None:
        print_json({"run": None}) if args.json else print(f"{args.source}: nothing new")
        return 0
    if args.json:
        print_json({"source": done.source, "run": done.ordinal, "extracted": done.extracted.to_json()})
    else:
        print(f"{done.source}/{done.ordinal:06d}: {total(done.extracted)} in {done.chunks} chunks")
        print("The running service curates and sends them; without one, start `tieout run`.")
    return 0
