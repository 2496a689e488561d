"""tieout demo: the whole product on a sample, with a stand-in acquirer that disagrees on purpose."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.wiring import World

HELP = "run the whole product on a sample, with a stand-in acquirer, in virtual time"
DEFAULT_DIR = "tieout-demo"
WATCH_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--payments", type=int, default=2_000, metavar="N", help="source payments (default 2000)")
    parser.add_argument("--seed", type=int, default=7, metavar="S", help="same seed, same sample (default 7)")
    parser.add_argument("--dir", type=Path, metavar="DIR", help=f"where it lives (default ./{DEFAULT_DIR}, made anew)")
    parser.add_argument("--exit", action="store_true", help="end by itself when the books are closed")
    parser.add_argument(
        "--prepare", action="store_true", help="write configuration, database, keys and truth, and stop"
    )
    parser.add_argument("--json", action="store_true", help="print the books as one JSON object")
    # For measurements: an acquirer that answers at once, and one extraction.
    parser.add_argument("--at-once", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--delimited-only", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    from local.demo import run_demo
    from local.page import Announcement, address_within
    from local.prepare import prepare

    directory = args.dir or _fresh_default()
    formats = ("delimited",) if args.delimited_only else ("delimited", "pain")
    config = prepare(
        directory,
        payments=args.payments,
        seed=args.seed,
        delays="none" if args.at_once else "demo",
        formats=formats,
    )
    if args.prepare:
        apart = shlex.join([sys.executable, "-m", "local.acquirer", "--dir", str(directory)])
        print(f"prepared {config}\nnext: {apart} & {shlex.join(['tieout', 'run', '--config', str(config)])}")
        return 0
    from runtime.logging import configure_logging

    configure_logging(30)
    progress = _Progress(quiet=args.json or not sys.stderr.isatty())
    served = not args.exit
    # Standard output holds one JSON object and nothing else, when that is asked for.
    announcement = Announcement(
        directory, lambda text: print(text, file=sys.stderr if args.json else sys.stdout, flush=True)
    )

    def ended(world: World) -> None:
        if served:
            _report(world, args.json)
            address = address_within(directory, 5)
            say = f"serving {address} until Ctrl-C" if address else "the page is not up; the log says why"
            print(say, file=sys.stderr if args.json else sys.stdout, flush=True)

    def watch(world: World) -> None:
        progress.show(world)
        if served:
            announcement.look()

    result = run_demo(directory, page=served, watch=watch, ended=ended)
    if not served:
        from local.router import local_world

        _report(local_world(str(config)), args.json)
    return 0 if result.ties else 1


def _report(world: World, as_json: bool) -> None:
    from tieout.show import print_json
    from tieout.status import look, report

    result, found = look(world)
    if as_json:
        print_json(result.to_json())
    else:
        print(report(world, result, found))
    sys.stdout.flush()


def _fresh_default() -> Path:
    """The default folder belongs to the demo alone: one that an earlier demo made is removed first."""
    import shutil

    directory = Path(DEFAULT_DIR)
    if (directory / ".tieout-demo").is_file():
        shutil.rmtree(directory)
    return directory


class _Progress:
    """One line on standard error, rewritten every second."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._shown_s = 0.0

    def show(self, world: World) -> None:
        if self._quiet or time.monotonic() - self._shown_s < WATCH_S:
            return
        self._shown_s = time.monotonic()
        with world.ledger.look() as tx:
            runs, files, results = tx.runs.count(), tx.files.count(), tx.results.count()
        now = world.clock.now()
        print(f"\r{now:%a %H:%M} virtual · {runs} runs · {files} files · {results} results ", end="", file=sys.stderr)
        sys.stderr.flush()
