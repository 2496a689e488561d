"""What the hostile acquirer does wrong: its switches as one value, and as options of a command line.

--lose-reply rename        every rename is done, its answer never comes, the link is cut
--lose-reply rename:2      the second one only
--times 1                  whatever was planted goes wrong once, then all is well
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

REQUESTS = ("open", "write", "fsync", "close", "stat", "rename", "posix-rename", "remove", "read", "list")
"""What a client asks of a server, as counted and as named in switches. `stat` is every way to ask about one name."""
LOGIN = "login"
FOLDERS = ("inbox", "outbox", "archive")
SLOW_S_MAX = 3600


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault at one kind of request: at the nth since the faults were planted; 0: at every one."""

    request: str
    nth: int = 0


@dataclass(frozen=True, slots=True)
class Switches:
    """All that may go wrong; the default is a server without fault.

    `times` limits how often cutting, losing, refusing, full and vanishing happen in all; 0: always. `take_to` is a folder
    of the account, or empty: a place that no client sees. `flip_host_key`: connections behind so many get another key.
    """

    cut_at_byte: int | None = None
    lose_reply: tuple[Planted, ...] = ()
    refuse: tuple[Planted, ...] = ()
    slow_s: float = 0.0
    take_away_ms: int | None = None
    take_to: str = ""
    full_at_close: bool = False
    vanish_at_close: bool = False
    flip_host_key: int | None = None
    silent: bool = False
    grow_results: bool = False
    serve_once: bool = False
    lie_about_size: bool = False
    greedy: str = "*"
    times: int = 0


def add_switches(parser: argparse.ArgumentParser) -> None:
    """Every switch as an option of the same name."""
    known = ", ".join(REQUESTS)
    parser.add_argument("--cut-at-byte", type=_count, metavar="N", help="cut the link when byte N of a file arrived")
    parser.add_argument(
        "--lose-reply",
        action="append",
        type=_planted,
        default=[],
        metavar="REQUEST[:NTH]",
        help=f"do it, never answer, and cut the link; one of {known}",
    )
    parser.add_argument(
        "--refuse",
        action="append",
        type=_refused,
        default=[],
        metavar="REQUEST[:NTH]",
        help=f"answer no, and do nothing; one of those, or {LOGIN}",
    )
    parser.add_argument("--slow", type=_seconds, default=0.0, metavar="S", help="wait S seconds before every answer")
    parser.add_argument("--take-away", type=_count, metavar="MS", help="take each file away after MS milliseconds")
    parser.add_argument(
        "--take-to",
        type=_folder,
        default="",
        metavar="FOLDER",
        help="where to: a folder of the account; else out of sight",
    )
    parser.add_argument("--full-at-close", action="store_true", help="the disk is full when a file is closed")
    parser.add_argument("--vanish-at-close", action="store_true", help="closing succeeds and the file is gone")
    parser.add_argument("--flip-host-key", type=_count, metavar="N", help="another host key behind N connections")
    parser.add_argument("--silent", action="store_true", help="accept connections and never say a word")
    parser.add_argument("--grow-results", action="store_true", help="result files grow while they are read")
    parser.add_argument("--serve-once", action="store_true", help="a result file is gone once it was read")
    parser.add_argument("--lie-about-size", action="store_true", help="every size that is told is one byte too large")
    parser.add_argument("--greedy", default="*", metavar="PATTERN", help="names in the inbox that are read at once")
    parser.add_argument("--times", type=_count, default=0, metavar="N", help="faults happen N times in all; 0: always")


def switches_of(args: argparse.Namespace) -> Switches:
    """The switches that were given."""
    return Switches(
        cut_at_byte=args.cut_at_byte,
        lose_reply=tuple(args.lose_reply),
        refuse=tuple(args.refuse),
        slow_s=args.slow,
        take_away_ms=args.take_away,
        take_to=args.take_to,
        full_at_close=args.full_at_close,
        vanish_at_close=args.vanish_at_close,
        flip_host_key=args.flip_host_key,
        silent=args.silent,
        grow_results=args.grow_results,
        serve_once=args.serve_once,
        lie_about_size=args.lie_about_size,
        greedy=args.greedy,
        times=args.times,
    )


def _count(given: str) -> int:
    number = int(given) if given.isdigit() else -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{given!a} is no count: allowed are 0, 1, 2 ...")
    return number


def _seconds(given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= SLOW_S_MAX:  # also refuses what is no number
        raise argparse.ArgumentTypeError(f"{given!a} is no number of seconds from 0 to {SLOW_S_MAX}")
    return seconds


def _folder(given: str) -> str:
    if given not in {"", *FOLDERS}:
        raise argparse.ArgumentTypeError(f"{given!a} is no folder of the account; allowed: {', '.join(FOLDERS)}")
    return given


def _planted(given: str) -> Planted:
    return _one_of(given, REQUESTS)


def _refused(given: str) -> Planted:
    return _one_of(given, (*REQUESTS, LOGIN))


def _one_of(given: str, allowed: tuple[str, ...]) -> Planted:
    request, colon, nth = given.partition(":")
    if request not in allowed:
        raise argparse.ArgumentTypeError(f"{request!a} is no request; allowed: {', '.join(allowed)}")
    number = _count(nth) if colon else 0
    if colon and number == 0:
        raise argparse.ArgumentTypeError(f"{given!a}: requests are counted from 1")
    return Planted(request, number)
