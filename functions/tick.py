"""Called every minute: wakes what is due, sweeps, raises alarms and publishes figures, as the service does on one machine."""

from __future__ import annotations

from functions.batch import failures_said, watch, world
from functions.topology import TOPOLOGY
from runtime.wakes import wake


def handler(_event: dict[str, object], _context: object) -> dict[str, int]:
    """Answer how much there was to do. Called twice for the same minute, one of the two does it."""
    from functions.observe import publish
    from runtime.beat import beat

    with watch()(wake("tick")), failures_said():
        beaten = beat(world(), TOPOLOGY)
        publish(beaten.measures)
    return {"woken": beaten.woken, "swept": beaten.swept}
