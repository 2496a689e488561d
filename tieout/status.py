"""tieout status: runs, files, mismatches, lateness and the books on one screen."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payments.expected_results import Owed
    from reconciliation.statement import Statement
    from runtime.wiring import World

HELP = "runs, files, mismatches, lateness, books: one screen"
RECENT = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from payments.expected_results import owed
    from reconciliation.statement import statement
    from runtime.wiring import World
    from tieout.show import print_json
    from transfer.forecast import alarms
    from transfer.host_keys import ending
    from transfer.stuck import stuck

    world = World.open(args.config)
    now = world.clock.now()
    with world.ledger.look() as tx:
        result = statement(tx)
        late = owed(tx, world.configuration.acquirer, now)
        risks = [each.text for each in alarms(tx, world.configuration, now)]
        waiting = stuck(tx)
        risks += [text for each in world.configuration.acquirer if (text := ending(tx, each, now))]
    if args.json:
        print_json(
            {**result.to_json(), "overdue": [each.to_json() for each in late], "at_risk": risks, "stuck": waiting}
        )
    else:
        print(report(world, result, late, risks, waiting))
    return 0 if result.ties and result.agrees and not late and not risks and not waiting else 1


def report(
    world: World,
    result: Statement,
    late: Sequence[Owed] = (),
    risks: Sequence[str] = (),
    waiting: Sequence[str] = (),
) -> str:
    """The screen."""
    now = world.clock.now()
    parts = [
        _books(result),
        _runs(world),
        _files(world, now),
        _mismatches(result),
        _overdue(late),
        _lines("AT RISK", risks),
        _lines("STUCK", waiting),
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


def _overdue(late: Sequence[Owed]) -> str:
    """What acquirers owe us: an alarm by itself, which ends when the answer comes."""
    from tieout.show import clean

    return "\n".join(f"overdue: {clean(str(each))}" for each in late)


def _lines(word: str, texts: Sequence[str]) -> str:
    from tieout.show import clean

    return "\n".join(f"{word}: {clean(text)}" for text in texts)


def _dead_letters(world: World) -> str:
    """Messages that failed too often: the work they stand for waits for the sweep, or for a person."""
    from runtime.ledger.queue import DEAD, LedgerQueue

    queue = world.queue
    dead = [name for name in queue.queues_busy() if name.endswith(DEAD)] if isinstance(queue, LedgerQueue) else []
    counts = ", ".join(f"{name.removesuffix(DEAD)} {sum(queue.depth(name))}" for name in sorted(dead))
    return f"messages given up, by stage: {counts}; the service log says why" if counts else ""


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


def _verdict(result: Statement) -> str:
    from tieout.show import clean, sums

    ties = "The books tie." if result.ties else "THE BOOKS DO NOT TIE: " + "; ".join(map(clean, result.faults))
    if result.agrees:
        return f"{ties} {_so_far(result)}"
    difference = sums(result.difference_minor) or "none in money"
    return f"{ties} The acquirer does not agree; reported minus expected: {difference}\nnext: tieout mismatches"
