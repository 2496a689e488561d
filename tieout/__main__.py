"""The command `tieout`: finds the command's file, runs it, and says in plain words what went wrong."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from payments.errors import NotAllowed, TieoutError, WrongConfiguration
from tieout.arguments import CONFIG_HELP, Version

COMMANDS = (
    "demo",
    "run",
    "extract",
    "deliver",
    "status",
    "trace",
    "prove",
    "mismatches",
    "mismatch",
    "reconcile",
    "file",
    "deliveries",
    "deletions",
    "acquirer",
    "requeue",
    "rehearse",
    "cost",
    "audit",
    "config",
)
"""Each is a module of this package with HELP, add_arguments and run. In the order in which one meets them."""


def parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line with these commands; only names and help texts are imported for it, nothing heavy."""
    top = argparse.ArgumentParser(
        prog="tieout",
        description="Moves payments by file to an acquirer, brings the results back, and proves that the books tie.",
        epilog="Exit status: 0 done and agreeing, 1 the work failed, does not tie or differs, 2 wrong use.",
    )
    top.add_argument("--version", action=Version, nargs=0, help="print the version and end")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        module = import_module(f"tieout.{name}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        if name not in {"demo", "reconcile", "rehearse", "cost"}:
            command.add_argument("--config", help=CONFIG_HELP)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    # Whoever names a command waits for that one only: all of them together cost a tenth of `tieout status`.
    args = parser(given[:1] if given and given[0] in COMMANDS else COMMANDS).parse_args(given)
    try:
        status: int = args.run(args)
    except TieoutError as error:
        print(f"tieout: {error}", file=sys.stderr)
        print(f"next step: {error.next_step}", file=sys.stderr)
        return 2 if isinstance(error, WrongConfiguration | NotAllowed) else 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  (the process boundary)
        # A traceback would print the text of an exception that we do not know: it may hold anything (I7).
        from runtime.logging import place_of

        print(f"tieout: a fault of the program itself: {type(error).__name__} at {place_of(error)}", file=sys.stderr)
        print("next step: report this line; nothing of what was stored is lost.", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
