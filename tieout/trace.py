"""tieout trace: the whole chain of one payment, one file or one run, from the ledger and from what is stored."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.ledger.ledger import SqlTransaction
    from runtime.wiring import World

HELP = "the whole chain of one payment, file or run"
AUDIT_SHOWN = ("seq", "recorded_at", "actor", "act", "body", "hash")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = "a payment reference or payment_id, a file's name or file_id, or a run like legacy/000001"
    parser.add_argument("name", metavar="REFERENCE|FILE|RUN", help=what)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from runtime.wiring import World
    from tieout.show import print_json
    from tieout.trace_text import lines

    world = World.open(args.config)
    with world.ledger.look() as tx:
        found = _in_ledger(tx, args.name)
    found = found or _payment(world, args.name)
    if args.json:
        print_json(found)
    else:
        print("\n".join(lines(found)))
    return 0 if found["found"] else 1


def _in_ledger(tx: SqlTransaction, name: str) -> dict[str, Any]:
    """A run or files of this name; empty when there is none."""
    from reconciliation.facts import files_called, run_called

    run = run_called(tx, name)
    if run is not None:
        return {"found": True, "kind": "run", "asked": name, "runs": [_run(tx, run)]}
    files = files_called(tx, name)
    return {"found": True, "kind": "file", "asked": name, "files": [_file(tx, each) for each in files]} if files else {}


def _run(tx: SqlTransaction, run: Any) -> dict[str, Any]:
    from payments.deletions import gone
    from payments.keys import ChunkKey, run_chain
    from reconciliation.facts import run_facts

    facts = run_facts(tx, run)
    chunks = [
        {"raw": ChunkKey(run.source, run.business_date, run.ordinal, chunk.ordinal).raw, **_record(chunk)}
        for chunk in facts.chunks
    ]
    files = [{"file": each.name, "file_id": each.file_id, "state": each.state} for each in facts.files]
    return {
        **_record(run),
        "chunk_list": chunks,
        "files": files,
        "gone": gone(tx, run_chain(run.source, run.ordinal)),
        "audit": _audit(tx, run_chain(run.source, run.ordinal)),
    }


def _file(tx: SqlTransaction, file: Any) -> dict[str, Any]:
    from payments.deletions import gone
    from payments.keys import expected_key, file_chain, file_manifest_key, outbound_key
    from reconciliation.facts import file_facts

    facts, day = file_facts(tx, file), file.business_date
    return {
        **_record(file),
        "object": outbound_key(file.acquirer, day, file.file_id, file.name),
        "manifest": file_manifest_key(file.acquirer, day, file.file_id),
        "expected": expected_key(file.acquirer, day, file.file_id),
        "attempt_list": [asdict(each) for each in facts.attempts],
        "receipt": None if facts.receipt is None else asdict(facts.receipt),
        "companion": None if facts.companion is None else asdict(facts.companion),
        "results": [{**asdict(result), "uses": asdict(books)} for result, books in facts.results],
        "mismatches_by_kind": dict(facts.mismatches_by_kind),
        "gone": gone(tx, file_chain(file.file_id)),
        "audit": _audit(tx, file_chain(file.file_id)),
    }


def _record(record: Any) -> dict[str, Any]:
    """A record with its totals as everywhere in JSON. Positions in the source are left out: they hold its primary keys."""
    from payments.books import Total

    shown = {name: getattr(record, name) for name in record.__slots__ if name not in {"lower", "upper"}}
    return {name: value.to_json() if isinstance(value, Total) else value for name, value in shown.items()}


def _audit(tx: SqlTransaction, chain: str) -> list[dict[str, Any]]:
    from runtime.ledger.audit import audit_records

    records = audit_records(tx.connection, chain)
    return [{name: getattr(each, name) for name in AUDIT_SHOWN} for each in records]


def _payment(world: World, name: str) -> dict[str, Any]:
    from reconciliation.trace import TracePorts, trace_payment

    found = trace_payment(TracePorts(world.ledger, world.store, world.configuration), name)
    known = bool(found["payments"] or found["mismatches"] or found["strays"])
    return {"found": known, "kind": "payment", "asked": name, **found}
