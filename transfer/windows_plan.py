"""What the plan of an assembly says of windows: how they stood, since when rows wait, and which future dated rows are due when."""

from __future__ import annotations

from payments.ports import Ledger, Transaction
from transfer.assembly_inputs import Inputs
from transfer.fold import Folded
from transfer.planning import Division
from transfer.windows_firing import last_assembly, still_waiting


def plan_of_windows(tx: Transaction, inputs: Inputs, division: Division) -> dict[str, object]:
    """What a restart must know of windows, and which rows wait for one; nothing where no acquirer has any."""
    if not inputs.windows:
        return {}
    waiting = still_waiting(division.waiting, last_assembly(tx), sorted(inputs.windows), inputs.created_at)
    stand = {
        name: {"business_date": state.business_date.isoformat(), "waits": state.waits}
        for name, state in sorted(inputs.windows.items())
    }
    return {"windows": stand, "waiting": waiting}


def plan_of_dates(folded: Folded) -> dict[str, str]:
    """Acquirer -> the first requested date in the pool that is too early now."""
    return {name: day.isoformat() for name, day in sorted(folded.earliest.items())}


def reasons_move(ledger: Ledger, inputs: Inputs, folded: Folded, division: Division) -> bool:
    """Whether rows of the pool wait for something else than the last plan says, though none of them leaves it.

    Without a new plan the last one would ask for this assembly again and again.
    """
    with ledger.begin() as tx:
        last = last_assembly(tx)
    if last is None or not (inputs.windows or last.plan.get("waiting")):
        return False
    waiting = {name for name in inputs.windows if division.waiting.get(name)}
    return waiting != set(last.plan.get("waiting", {})) or plan_of_dates(folded) != last.plan["pool_due"]
