"""How a run ends: what extract and curate both do when its last chunk is curated, and the object that says so.

extract   closes the run after its last chunk            whoever of the two comes second and finds no open chunk
curate    brings `chunks_open` down, chunk by chunk      settles the run, in its own transaction, then puts complete.json
"""

from __future__ import annotations

import json
from typing import Any

from payments.books import Total, total_of
from payments.keys import run_chain
from payments.ports import Transaction
from payments.records import Run


def settle_run(tx: Transaction, run: Run) -> Run:
    """A closed run without open chunks becomes curated, or stopped where its books are off; any other stays as it is.

    `run` is the record as it stands in this transaction. A stopped run says in `note` by how much; nothing of it is assembled.
    Raises Busy when the run changed meanwhile.
    """
    if run.state != "closed" or run.chunks_open:
        return run
    chunks = tx.chunks.find(source=run.source, run=run.ordinal)
    curated = total_of(chunk.curated for chunk in chunks)
    quarantined = total_of(chunk.quarantined for chunk in chunks)
    note = _imbalance(run.extracted, curated + quarantined)
    state = "stopped" if note else "curated"
    settled = tx.runs.change(run, state=state, curated=curated, quarantined=quarantined, note=note)
    shown = {"curated": curated.to_json(digest=True), "quarantined": quarantined.to_json(digest=True)}
    tx.audit.append(run_chain(run.source, run.ordinal), f"run_{state}", {**shown, "note": note} if note else shown)
    return settled


def held_up(tx: Transaction) -> list[Run]:
    """Runs that curate cannot go on with: the note says why, and the state stays what it was. Nothing of them is assembled."""
    return [run for run in tx.runs.find(state=("open", "closed")) if run.note]


def complete_document(run: Run) -> bytes:
    """The bytes of complete.json of a curated run: a pure function of the run's record, without any time but its opening."""
    return canonical_json(
        {
            "source": run.source,
            "business_date": run.business_date.isoformat(),
            "run": run.ordinal,
            "chunks": run.chunks,
            "opened_at": run.opened_at.isoformat(),
            "curated": run.curated.to_json(digest=True),
            "quarantined": run.quarantined.to_json(digest=True),
        }
    )


def canonical_json(value: Any) -> bytes:
    """One sequence of bytes for one value: sorted keys, no blanks, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _imbalance(extracted: Total, found: Total) -> str:
    if extracted == found:
        return ""
    off = extracted - found
    money = ", ".join(f"{key} {amount}" for key, amount in off.amount_minor.items()) or "none"
    return f"books off: extracted minus curated and quarantined: {off.count} rows, {money} minor units"
