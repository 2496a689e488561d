"""tieout status: runs, files, mismatches, lateness and the books on one screen."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciliation.statement import Statement
    from runtime.attention import Attention
    from runtime.wiring import World

HELP = "runs, files, mismatches, lateness, books: one screen"
RECENT = 8
LOOKED_AT = 1_000
"""Runs among which the newest with refused rows is looked for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from runtime.wiring import World
    from tieout.show import print_json

    world = World.open(args.config)
    result, found = look(world)
    if args.json:
        print_json({**result.to_json(), **found.to_json()})
    else:
        print(report(world, result, found))
    return 0 if result.ties and result.agrees and found.is_quiet else 1


def look(world: World) -> tuple[Statement, Attention]:
    """The books, and what a person must look at, in one look at the ledger; then at the dead letters."""
    from reconciliation.statement import statement
    from runtime.attention import attention

    with world.ledger.look() as tx:
        result, found = statement(tx), attention(tx, world.configuration, world.clock.now())
    return result, _with_dead_letters(world, found)


def report(world: World, result: Statement, found: Attention) -> str:
    """The screen: first whether anything may leave, what may be money sent twice, what does not work; then the books."""
    from tieout.next_step import told
    from tieout.status_sources import source_table

    now = world.clock.now()
    parts = [
        told(world, "DELIVERIES STOPPED", found.stopped),
        told(world, "IN DOUBT", found.in_doubt),
        told(world, "FAILING", found.failing),
        told(world, "GONE", found.gone),
        told(world, "STOPPED", found.runs),
        _books(result),
        source_table(found.sources, now),
        _runs(world),
        _files(world, now),
        _mismatches(result),
        told(world, "overdue", [each.concern for each in found.overdue]),
        told(world, "AT RISK", found.at_risk),
        told(world, "STUCK", found.waiting),
        told(world, "KEY", found.keys),
        _dead_letters(world, found),
        _quarantine(world, result),
        _verdict(world, result),
    ]
    return "\n\n".join(part for part in parts if part)


def _books(result: Statement) -> str:
    from payments.books import EQUATIONS
    from payments.display import amounts
    from tieout.show import table

    rows = []
    for left, right in EQUATIONS:
        rows.append((left, f"{result.terms[left].count:,}", amounts(result.terms[left])))
        rows += [(f"  {name}", f"{result.terms[name].count:,}", amounts(result.terms[name])) for name in right]
    seen: set[str] = set()
    unique = [row for row in rows if not (row[0].strip() in seen and row[0][0] != " ") and not seen.add(row[0].strip())]  # type: ignore[func-returns-value]
    incoming = ", ".join(f"{name} {count:,}" for name, count in result.incoming.items())
    flying = (
        f"\nin flight: {result.in_flight.count:,} rows extracted, not yet curated" if result.in_flight.count else ""
    )
    return f"{table(('BOOKS', 'PAYMENTS', 'SUMS'), unique)}{flying}\nresult lines: {incoming}"


def _runs(world: World) -> str:
    from tieout.next_step import command
    from tieout.show import table

    with world.ledger.look() as tx:
        runs = tx.runs.find(order="-opened_at", limit=RECENT)
    rows = [
        (f"{r.source}/{r.ordinal:06d}", r.business_date, r.state, r.chunks, f"{r.extracted.count:,}", r.note)
        for r in runs
    ]
    if not rows:
        return "no run yet: tieout extract SOURCE"
    stopped = [f"{r.source}/{r.ordinal:06d}" for r in runs if r.state == "stopped"]
    shown = table(("RUN", "DATE", "STATE", "CHUNKS", "ROWS", "NOTE"), rows)
    return "\n".join([shown, *(f"next: {command(world, 'prove', name)}" for name in stopped)])


def _files(world: World, now: datetime) -> str:
    from tieout.show import clean, table
    from transfer.deliver import blocked_by

    with world.ledger.look() as tx:
        files = tx.files.find(order="-created_at", limit=RECENT)
        blocked = [text for each in world.configuration.acquirer if (text := blocked_by(tx, each, now))]
    rows = []
    for file in files:
        late = "overdue" if file.overdue else ""
        why = file.held or file.note or late
        rows.append(
            (
                file.name,
                file.state + (" (held)" if file.held else ""),
                f"{file.total.count:,}",
                f"{file.matched.count:,}",
                f"{file.mismatched.count:,}",
                f"{file.awaiting.count:,}",
                why,
            )
        )
    if not rows:
        return ""
    shown = table(("FILE", "STATE", "PAYMENTS", "MATCHED", "MISMATCHED", "AWAITING", "NOTE"), rows)
    return "\n".join([shown, *(f"blocked: {clean(text)}" for text in blocked)])


def _mismatches(result: Statement) -> str:
    from tieout.show import table

    rows = [(kind, f"{count:,}") for kind, count in result.mismatches_by_kind.items() if count]
    return table(("OPEN MISMATCHES", "COUNT"), rows) if rows else ""


def _with_dead_letters(world: World, found: Attention) -> Attention:
    from functions.topology import TOPOLOGY
    from payments.errors import TieoutError
    from runtime.dead_letters import counts

    try:
        return replace(found, given_up=counts(world.queue, (stage.queue for stage in TOPOLOGY)))
    except TieoutError as error:  # who may read the ledger need not be allowed to look into queues
        return replace(found, given_up_unknown=str(error))


def _dead_letters(world: World, found: Attention) -> str:
    """Messages that failed too often: the work they stand for waits for the sweep, or for a person."""
    from tieout.next_step import command

    if found.given_up_unknown:
        return f"messages given up: not known; {found.given_up_unknown}"
    if not found.given_up:
        return ""
    by_stage = ", ".join(f"{name} {count:,}" for name, count in sorted(found.given_up.items()))
    return f"messages given up, by stage: {by_stage}; the log says why\nnext: {command(world, 'requeue', '--list')}"


def _quarantine(world: World, result: Statement) -> str:
    """Rows that were refused are in the books, and nobody sends them: the newest run with some comes first."""
    from tieout.next_step import command

    count = result.terms["quarantined"].count
    if not count:
        return ""
    with world.ledger.look() as tx:
        runs = tx.runs.find(order="-opened_at", limit=LOOKED_AT)
    newest = next((f"{each.source}/{each.ordinal:06d}" for each in runs if each.quarantined.count), "")
    said = f"Quarantined and not sent: {count:,} rows."
    return f"{said}\nnext: {command(world, 'trace', newest)}" if newest else said


def _so_far(result: Statement) -> str:
    """Silence is no agreement: what was not delivered or not answered is said beside it."""
    ahead = sum(result.terms[term].count for term in ("planned", "sealed", "in_doubt"))
    awaiting, delivered = result.terms["awaiting"].count, result.terms["delivered"].count
    open_ = [f"{ahead:,} payments are not delivered"] if ahead else []
    open_ += [f"{awaiting:,} await an answer"] if awaiting else []
    if open_:
        return f"Nothing disagrees so far: {', '.join(open_)}."
    if not delivered:
        return "Nothing was delivered yet that the acquirer could disagree with."
    return "The acquirer agrees."


def _verdict(world: World, result: Statement) -> str:
    from tieout.next_step import command
    from tieout.show import clean, sums

    ties = "The books tie." if result.ties else "THE BOOKS DO NOT TIE: " + "; ".join(map(clean, result.faults))
    if result.agrees:
        return f"{ties} {_so_far(result)}"
    difference = sums(result.difference_minor) or "none in money"
    said = f"{ties} The acquirer does not agree; reported minus expected: {difference}"
    return f"{said}\nnext: {command(world, 'mismatches')}"
