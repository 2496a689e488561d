"""`tieout reconcile LEFT RIGHT`: two files, no service: what differs. LEFT is ours, RIGHT the acquirer's."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from payments.errors import WrongConfiguration

if TYPE_CHECKING:
    from reconciliation.compare import Comparison
    from reconciliation.compare_listing import Difference
    from reconciliation.compare_sums import Side

HELP = "compare two files, ours and the acquirer's, and list what differs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument(
        "left", metavar="LEFT", type=Path, help="our file: delimited text with a header line, or Parquet"
    )
    parser.add_argument("right", metavar="RIGHT", type=Path, help="the acquirer's file")
    parser.add_argument("--key", default="", metavar="A,B", help="key columns; guessed when one is obvious")
    parser.add_argument("--compare", metavar="A,B", help="columns to compare; default: all that both files have")
    parser.add_argument("--map", action="append", default=[], metavar="OURS=THEIRS", help="columns of different names")
    parser.add_argument(
        "--limit", type=_not_negative, default=20, metavar="N", help="mismatches to list (20; at most 10000)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write all mismatches to FILE.csv or FILE.parquet")
    parser.add_argument("--memory-limit-mb", type=_not_negative, default=512, metavar="MB", help="of the engine (512)")
    parser.add_argument("--threads", type=_not_negative, default=2, metavar="N", help="of the engine (2)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _not_negative(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def run(args: argparse.Namespace) -> int:
    """Print the comparison; 0 when the files agree, 1 when they differ. Errors of `compare_files` pass through."""
    from reconciliation.compare import compare_files

    found = compare_files(
        args.left,
        args.right,
        key=_names(args.key),
        compare=None if args.compare is None else _names(args.compare),
        renamed=_pairs(args.map),
        limit=args.limit,
        output=args.output,
        memory_limit_mb=args.memory_limit_mb,
        threads=args.threads,
    )
    for note in (*_guess_note(found), *found.notes):
        print(f"note: {note}", file=sys.stderr)
    if args.json:
        print(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    else:
        print("\n".join(_screen(found)))
    return 0 if found.agrees else 1


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts)
    if not all(ours.strip() and theirs.strip() for ours, theirs in pairs.items()):
        raise WrongConfiguration("--map takes two column names", next_step="Write --map OURS=THEIRS.")
    return pairs


def _guess_note(found: Comparison) -> Iterator[str]:
    if found.key_guessed:
        yield f"the key is guessed: {', '.join(found.key)}; --key names another"


def _screen(found: Comparison) -> Iterator[str]:
    yield f"key       {', '.join(found.key)}{' (guessed)' if found.key_guessed else ''}"
    yield f"compared  {', '.join(found.compared) or 'nothing but the key'}"
    yield ""
    for name, side in (("left", found.left), ("right", found.right), ("matched", found.matched)):
        yield f"{name:<9} {side.count:>12}{_money(side)}"
    yield ""
    for kind, count in found.mismatches_by_kind.items():
        if count:
            yield f"{kind:<22}{count:>10}"
    for each in found.mismatches:
        yield _line(each)
    unlisted = sum(found.mismatches_by_kind.values()) - len(found.mismatches)
    if unlisted:
        yield f"and {unlisted} more: --limit N lists more, --output FILE writes all"
    yield "the files agree" if found.agrees else "the files differ"


def _money(side: Side) -> str:
    from payments.amounts import text_of_minor
    from payments.currencies import MINOR_UNITS

    sums = "".join(
        f"  {name} {text_of_minor(minor, MINOR_UNITS[name[:3]])}" for name, minor in (side.amount_minor or {}).items()
    )
    return f"{sums}  ({side.unreadable} unreadable)" if side.unreadable else sums


def _line(each: Difference) -> str:
    rows = ", ".join(
        f"{side} row {row}" for side, row in (("left", each.left_row), ("right", each.right_row)) if row is not None
    )
    key = ", ".join("(none)" if value is None else _printable(value) for value in each.key.values())
    fields = "".join(f"; {f.field}: {_printable(f.left)} / {_printable(f.right)}" for f in each.fields)
    return f"  {each.kind}  {key}  ({rows}){fields}"


def _printable(value: str | None) -> str:
    """A value on a terminal: control and bidirectional characters of a hostile file are escaped."""
    if value is None:
        return "(none)"
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in value[:60])
