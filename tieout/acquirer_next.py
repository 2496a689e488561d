"""tieout acquirer NAME next: a dry run of the acquirer's next window, and whether all that is under way will make it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transfer.dry_run import DryRun
    from transfer.forecast import Forecast

HELP = "which files would go with the next window, and what may miss it; writes nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the acquirer, as the configuration calls it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Exit status 1 when something is at risk of missing the window."""
    from runtime.wiring import World
    from tieout.named import named_acquirer
    from tieout.show import print_json
    from transfer.assemble import AssemblePorts
    from transfer.dry_run import dry_run

    world = World.open(args.config)
    acquirer = named_acquirer(world.configuration, args.name)
    ports = AssemblePorts(
        world.ledger, world.store, world.clock, world.configuration, world.settings.config_hash, world.spool
    )
    found = dry_run(ports, acquirer)
    if args.json:
        print_json(found.to_json())
    else:
        print(report(found))
    return 1 if found.forecast.verdict == "at_risk" else 0


def report(found: DryRun) -> str:
    """The screen."""
    from tieout.show import total

    parts = [_window(found.forecast), _files(found)]
    if found.busy:
        parts.append("an assembly is under way: what it takes is planned already; ask again in a moment")
    if found.future_dated.count:
        parts.append(f"too early for it: {total(found.future_dated)}, requested from {found.future_from} on")
    return "\n\n".join([*parts, _risk(found.forecast)])


def _window(said: Forecast) -> str:
    if said.window is None:
        return f"acquirer {said.acquirer} has no window to come: files go when their runs are complete"
    each = said.window
    return (
        f"window {each.window.name} of {each.business_date} ({each.window.send}, late: {each.window.late}):"
        f" opens {each.opens:%Y-%m-%dT%H:%MZ}, cutoff {each.cutoff:%Y-%m-%dT%H:%MZ}, closes {each.closes:%Y-%m-%dT%H:%MZ}"
    )


def _files(found: DryRun) -> str:
    from tieout.show import amounts, table

    rows = [
        (file.name, state, file.sequence, f"{file.total.count:,}", amounts(file.total), file.held)
        for files, state in ((found.on_their_way, ""), (found.files, "would go"))
        for file in files
        for state in (state or file.state,)
    ]
    if not rows:
        return "nothing would go"
    return table(("FILE", "STATE", "NUMBER", "PAYMENTS", "SUMS", "HELD"), rows)


def _risk(said: Forecast) -> str:
    from tieout.show import clean

    backlog, speed = said.backlog, said.speed
    size = "unknown" if backlog.bytes_to_deliver is None else f"{backlog.bytes_to_deliver:,}"
    rows = f"{backlog.rows_to_curate:,} to curate, {backlog.rows_to_assemble:,} to assemble, {backlog.rows_waiting:,} waiting"
    lines = [
        f"backlog: rows: {rows}; files to deliver: {backlog.files_to_deliver:,}; bytes to send: {size}",
        f"measured: {_rate(speed.rows_per_s)} rows/s, {_rate(speed.bytes_per_s)} bytes/s",
    ]
    if said.seconds_left is not None:
        finish = "unknown" if said.finish_at is None else f"{said.finish_at:%Y-%m-%dT%H:%M:%SZ}"
        lines.append(f"time left: {said.seconds_left:,.0f} s; estimated finish: {finish}")
    why = "".join(f"\n  {clean(reason)}" for reason in said.reasons)
    return "\n".join([*lines, f"verdict: {said.verdict.replace('_', ' ')}{why}"])


def _rate(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"
