"""tieout extract: one extraction of a source now; the running service does what it starts."""

from __future__ import annotations

import argparse

HELP = "one extraction of a source now"
MINUTES_MAX = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="name of a [[source]]")
    parser.add_argument(
        "--try-for",
        metavar="MINUTES",
        type=_minutes,
        default=0,
        help="while it cannot be read, try again for so long (default 0: once)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    import time
    from contextlib import suppress
    from datetime import timedelta

    from extractors.trying import extract_for
    from local.router import local_world
    from payments.errors import TryAgain
    from tieout.show import print_json, total

    world = local_world(args.config)

    def rest(seconds: float) -> None:
        with suppress(TryAgain):  # the ledger may be what cannot be reached
            world.ledger.engine.dispose()  # whoever reads this source now needs its few connections
        time.sleep(seconds)

    done = extract_for(timedelta(minutes=args.try_for), lambda: world.extract_source(args.source), sleep=rest)
    if done is None:
        print_json({"run": None}) if args.json else print(f"{args.source}: nothing new")
        return 0
    if args.json:
        print_json({"source": done.source, "run": done.ordinal, "extracted": done.extracted.to_json()})
    else:
        print(f"{done.source}/{done.ordinal:06d}: {total(done.extracted)} in {done.chunks} chunks")
        if world.configuration.queue.url == "ledger:":
            print("The running service curates and sends them; without one, start `tieout run`.")
        else:
            print("They are curated and sent without anybody's doing; `tieout status` shows how far they are.")
    return 0


def _minutes(text: str) -> int:
    """A whole number of minutes, not more than a task should wait."""
    if not text.isascii() or not text.isdigit() or int(text) > MINUTES_MAX:
        raise argparse.ArgumentTypeError(f"{text!a} is no number of minutes from 0 to {MINUTES_MAX}")
    return int(text)
