"""tieout status: runs, files, mismatches, lateness and the books on one screen."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciliation.statement import Statement
    from runtime.wiring import World

HELP = "runs, files, mismatches, lateness, books: one screen"
RECENT = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from reconciliation.statement import statement
    from runtime.wiring import World
    from tieout.show import print_json

    world = World.open(args.config)
    with world.ledger.look() as tx:
        result = statement(tx)
    if args.json:
        print_json(result.to_json())
    else:
        print(report(world, result))
    return 0 if result.ties and result.agrees else 1


def report(world: World, result: Statement) -> str:
    """The screen."""
    now = world.clock.now()
    parts = [
        _books(result),
        _runs(world),
        _files(world, now),
        _mismatches(result),
        _dead_letters(world),
        _verdict(result),
    ]
    return "\n\n".join(part for part in parts if part)


def _books(result: Statement) -> str:
    from payments.books import EQUATIONS
    from tieout.show import sums, table

    rows = []
    for left, right in EQUATIONS:
        rows.append((left, f"{result.terms[left].count:,}", sums(result.terms[left].amount_minor)))
        rows += [
            (f"  {name}", f"{result.terms[name].count:,}", sums(result.terms[name].amount_minor)) for name in right
        ]
    seen: set[str] = set()
    unique = [row for row in rows if not (row[0].strip() in seen and row[0][0] != " ") and not seen.add(row[0].strip())]  # type: ignore[func-returns-value]
    incoming = ", ".join(f"{name} {count:,}" for name, count in result.incoming.items())
    flying = (
        f"\nin flight: {result.in_flight.count:,} rows extracted, not yet curated" if result.in_flight.count else ""
    )
    return f"{table(('BOOKS', 'PAYMENTS', 'SUMS'), unique)}{flying}\nresult lines: {incoming}"


def _runs(world: World) -> str:
    from tieout.show import table

    with world.ledger.look() as tx:
        runs = tx.runs.find(order="-opened_at", limit=RECENT)
    rows = [
        (f"{r.source}/{r.ordinal:06d}", r.business_date, r.state, r.chunks, f"{r.extracted.count:,}", r.note)
        for r in runs
    ]
    return (
        table(("RUN", "DATE", "STATE", "CHUNKS", "ROWS", "NOTE"), rows) if rows else "no run yet: tieout extract SOURCE"
    )


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


def _dead_letters(world: World) -> str:
    """Messages that failed too often: the work they stand for waits for the sweep, or for a person."""
    from runtime.ledger.queue import DEAD, LedgerQueue

    queue = world.queue
    dead = [name for name in queue.queues_busy() if name.endswith(DEAD)] if isinstance(queue, LedgerQueue) else []
    counts = ", ".join(f"{name.removesuffix(DEAD)} {sum(queue.depth(name))}" for name in sorted(dead))
    return f"messages given up, by stage: {counts}; the service log says why" if counts else ""


def _verdict(result: Statement) -> str:
    from tieout.show import clean, sums

    ties = "The books tie." if result.ties else "THE BOOKS DO NOT TIE: " + "; ".join(map(clean, result.faults))
    if result.agrees:
        return f"{ties} The acquirer agrees."
    difference = sums(result.difference_minor) or "none in money"
    return f"{ties} The acquirer does not agree; reported minus expected: {difference}\nnext: tieout mismatches"
