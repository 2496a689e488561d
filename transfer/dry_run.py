"""The dry run of the next window: which files would go with it, from the pool and the runs that are complete now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from payments.books import Total
from payments.config import AcquirerSection
from payments.keys import index_key
from payments.records import OutboundFile
from payments.totals import total_of_columns
from transfer.assemble import AssemblePorts, plan_files
from transfer.assembly_due import WindowState, window_states
from transfer.assembly_inputs import gather, latest_dates, slices_of, waits_of
from transfer.candidates import Slice
from transfer.fold import EARLY, Folded, fold
from transfer.forecast import Forecast, forecast, next_window
from transfer.planning import MONEY_COLUMNS, divide
from transfer.windows import Occurrence, Place


@dataclass(frozen=True, slots=True)
class DryRun:
    """`files` would be made; `on_their_way` are made and not there yet. `busy`: an assembly is under way, ask again."""

    forecast: Forecast
    files: list[OutboundFile]
    on_their_way: list[OutboundFile]
    future_dated: Total
    future_from: date | None
    busy: bool

    def to_json(self) -> dict[str, Any]:
        """The object of `tieout acquirer NAME next --json`."""
        return {
            **self.forecast.to_json(),
            "files": [_shown(file) for file in self.files],
            "on_their_way": [{**_shown(file), "state": file.state, "held": file.held} for file in self.on_their_way],
            "future_dated": {
                **self.future_dated.to_json(),
                "first_requested_date": None if self.future_from is None else self.future_from.isoformat(),
            },
            "assembly_under_way": self.busy,
        }


def dry_run(ports: AssemblePorts, acquirer: AcquirerSection) -> DryRun:
    """What would go with the next window of this acquirer. Writes neither objects nor records.

    Reads every row that waits. Raises what reading the store raises.
    """
    now = ports.clock.now()
    with ports.ledger.look() as tx:
        said = forecast(tx, acquirer, now)
        states = ("planned", "sealed", "delivering", "in_doubt")
        left = tx.files.find(acquirer=acquirer.name, state=states, order="sequence")
        if tx.assemblies.count(state="planned"):
            return DryRun(said, [], left, Total(), None, busy=True)
        window = next_window(tx, acquirer, now)
        stand = _as_if_open(window_states(tx, ports.configuration, now), window, acquirer.name)
        inputs = gather(tx, ports.configuration, now, stand)
    acquirers = {each.name: each for each in ports.configuration.acquirer}
    slices = slices_of(ports.store, inputs)
    folded = fold(
        ports.store,
        slices,
        [index_key(number) for number in range(1, inputs.ordinal)],
        latest_dates(ports.configuration, inputs),
        gone_back=inputs.gone_back,
        settled=inputs.settled,
        waits=waits_of(inputs),
    )
    division = divide(ports.store, slices, folded, acquirers)
    with ports.ledger.look() as tx:
        files = plan_files(tx, ports.configuration, inputs, division, ports.config_hash)
    mine = [file for file in files if file.acquirer == acquirer.name]
    early = _future_dated(ports, slices, folded, acquirer.name)
    return DryRun(said, mine, left, early, folded.earliest.get(acquirer.name), busy=False)


def _as_if_open(states: Mapping[str, WindowState], window: Occurrence | None, name: str) -> dict[str, WindowState]:
    """The windows of the others as they stand; of this acquirer, the next one is taken as open."""
    found = dict(states)
    if window is not None and found[name].place is None:
        found[name] = WindowState(window.business_date, waits=False, place=Place(window))
    return found


def _future_dated(ports: AssemblePorts, slices: Sequence[Slice], folded: Folded, name: str) -> Total:
    """The rows of one acquirer whose requested date lies behind the next window."""
    found = Total()
    for each, codes in zip(slices, folded.codes, strict=True):
        if not (codes == EARLY).any():
            continue
        table = each.read(ports.store, MONEY_COLUMNS)
        mine = (codes == EARLY) & (table["acquirer"].to_numpy(zero_copy_only=False) == name)
        rows = table.filter(pa.array(np.asarray(mine, bool)))
        found += total_of_columns(rows["amount_minor"], rows["currency"], rows["direction"], rows["row_hash"])
    return found


def _shown(file: OutboundFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "business_date": file.business_date.isoformat(),
        "window": file.window,
        "sequence": file.sequence,
        "generation": file.generation,
        "total": file.total.to_json(),
        "held": file.held,
    }
