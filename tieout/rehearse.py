"""tieout rehearse: a hostile SFTP server to rehearse against, or our own delivery rehearsed against it."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payments.errors import WrongConfiguration
from tieout.show import print_json

if TYPE_CHECKING:
    from local.hostile_acquirer import HostileAcquirer
    from local.hostile_switches import Switches
    from local.rehearsal import Verdict

HELP = "a hostile SFTP server to rehearse deliveries against"
DEFAULT_DIR = Path("tieout-rehearsal")
MARK = ".tieout-rehearsal"
ALL = "all"
PORT_MAX = 65_535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from local.hostile_switches import add_switches

    parser.add_argument("--dir", type=Path, default=DEFAULT_DIR, metavar="DIR", help="keys and files of the account")
    parser.add_argument("--port", type=int, default=0, metavar="PORT", help="on 127.0.0.1; default: any free port")
    parser.add_argument("--scenario", default="", metavar="NAME", help="the switches of a built-in scenario")
    parser.add_argument("--list", action="store_true", help="name the built-in scenarios, and stop")
    parser.add_argument(
        "--exit",
        action="store_true",
        help="run our own delivery through that scenario (default: all), judge it, and stop",
    )
    parser.add_argument("--json", action="store_true", help="print what happened as one JSON object")
    add_switches(parser)


def run(args: argparse.Namespace) -> int:
    from local.hostile_switches import Switches, switches_of
    from local.rehearsal_scenarios import BY_NAME

    if args.list:
        return _listed(as_json=args.json)
    switches = switches_of(args)
    if args.scenario not in {"", ALL} and args.scenario not in BY_NAME:
        raise WrongConfiguration(
            f"there is no scenario {args.scenario!a}", next_step="`tieout rehearse --list` names them."
        )
    if (args.scenario or args.exit) and switches != Switches():
        raise WrongConfiguration(
            "a scenario has switches of its own", next_step="Give either a scenario or single switches."
        )
    if args.exit:
        return _judged(args.scenario or ALL, as_json=args.json)
    if args.scenario == ALL:
        raise WrongConfiguration(
            "one server cannot play all scenarios at once", next_step="Name one scenario, or add `--exit`."
        )
    return _serve(args, BY_NAME[args.scenario].switches if args.scenario else switches)


def _listed(*, as_json: bool) -> int:
    from local.rehearsal_scenarios import SCENARIOS

    if as_json:
        print_json({"scenarios": [{"scenario": each.name, "says": each.says} for each in SCENARIOS]})
    else:
        for each in SCENARIOS:
            print(f"{each.name:28} {each.says}")
    return 0


def _judged(name: str, *, as_json: bool) -> int:
    """Exit status 0 when every delivery ended as it had to and claimed nothing that is not so."""
    from local.rehearsal import rehearse
    from local.rehearsal_scenarios import BY_NAME, SCENARIOS

    verdicts = []
    with _planted_faults_are_no_news(), tempfile.TemporaryDirectory(prefix="tieout-rehearsal-") as folder:
        for verdict in rehearse(Path(folder), SCENARIOS if name == ALL else [BY_NAME[name]]):
            verdicts.append(verdict)
            if not as_json:
                print(_line(verdict), flush=True)
    honest = all(each.honest for each in verdicts)
    if as_json:
        print_json({"scenarios": [_as_json(each) for each in verdicts], "honest": honest})
    else:
        told = sum(each.honest for each in verdicts)
        print(f"{told} of {len(verdicts)} ended as they had to, each with the truth in the ledger")
    return 0 if honest else 1


@contextmanager
def _planted_faults_are_no_news() -> Iterator[None]:
    """What is logged meanwhile was planted; the verdicts say what came of it."""
    logger = logging.getLogger("transfer")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _line(verdict: Verdict) -> str:
    said = f"{'ok ' if verdict.honest else 'NOT'} {verdict.scenario.name:28} {verdict.ended:11} {verdict.scenario.says}"
    if verdict.ended != verdict.scenario.must_end:
        said += f"\n      had to end as {verdict.scenario.must_end}: {verdict.note}"
    return said + "".join(f"\n      contradiction: {each}" for each in verdict.contradictions)


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "scenario": verdict.scenario.name,
        "says": verdict.scenario.says,
        "ended": verdict.ended,
        "must_end": verdict.scenario.must_end,
        "attempts": verdict.attempts,
        "note": verdict.note,
        "contradictions": list(verdict.contradictions),
        "honest": verdict.honest,
    }


def _serve(args: argparse.Namespace, switches: Switches) -> int:
    from asyncssh import KeyImportError

    from local.hostile_acquirer import hostile_acquirer

    if not 0 <= args.port <= PORT_MAX:
        raise WrongConfiguration(
            f"--port {args.port} is no port: allowed are 0 to {PORT_MAX}", next_step="Leave it out for any free port."
        )
    stopped = threading.Event()
    before = {each: signal.signal(each, lambda *_: stopped.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    aside = sys.stderr if args.json else sys.stdout
    try:
        with hostile_acquirer(_own(args.dir), switches, port=args.port) as server:
            print(_snippet(server), file=aside)
            print(f"# serving 127.0.0.1:{server.port} until Ctrl-C; files under {server.root}", file=aside, flush=True)
            stopped.wait()
            found = _seen(server)
    except (OSError, KeyImportError) as error:
        raise WrongConfiguration(
            f"the server cannot start in {args.dir} on port {args.port}: {type(error).__name__}",
            next_step="Give a free `--port` and a `--dir` that may be written to, or remove the keys in it.",
        ) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if args.json:
        print_json(found)
    else:
        print(_report(found))
    return 0


def _own(directory: Path) -> Path:
    """The folder, made by us now or before. Raises WrongConfiguration for one that holds something else."""
    directory = directory.absolute()
    if directory.exists() and not (directory / MARK).is_file() and any(directory.iterdir()):
        raise WrongConfiguration(
            f"{directory} is not empty, and no rehearsal made it", next_step="Give another `--dir`."
        )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / MARK).touch()
    return directory


def _snippet(server: HostileAcquirer) -> str:
    from local.hostile_acquirer import HOST, USER

    keys = ", ".join(f'"{line}"' for line in server.host_keys)
    return (
        f'[acquirer.sftp]\nhost = "{HOST}"\nport = {server.port}\nuser = "{USER}"\nkey = "file:{server.client_key}"\n'
        f'host_keys = [{keys}]\ninbox = "inbox"\noutbox = "outbox"\narchive = "archive"'
    )


def _seen(server: HostileAcquirer) -> dict[str, Any]:
    partial = set(server.partial())
    return {
        "connections": server.connections(),
        "requests": server.requests(),
        "faults": server.faults(),
        "files": [
            {
                "name": name,
                "partial": name in partial,
                "contents": [{"size": content.size, "sha256": content.sha256} for content in contents],
            }
            for name, contents in sorted(server.contents().items())
        ],
        "held": [{"name": name, "size": content.size, "sha256": content.sha256} for name, content in server.hands()],
    }


def _report(found: dict[str, Any]) -> str:
    requests = ", ".join(f"{name} {count}" for name, count in sorted(found["requests"].items())) or "none"
    lines = [f"\nconnections {found['connections']}; requests: {requests}; faults that happened: {found['faults']}"]
    for file in found["files"]:
        sizes = ", ".join(str(content["size"]) for content in file["contents"])
        how = f"SEEN IN PART: {sizes} bytes" if file["partial"] else f"seen whole: {sizes} bytes"
        lines.append(f"{ascii(file['name'])[1:-1]}: {how}")
    copies = Counter(each["sha256"] for each in found["held"])
    twice = sorted({each["name"] for each in found["held"] if copies[each["sha256"]] > 1})
    lines += [f"{ascii(name)[1:-1]}: THE SAME CONTENT CAME MORE THAN ONCE" for name in twice]
    lines.append(f"files in the acquirer's hands: {len(found['held'])}")
    return "\n".join(lines)
