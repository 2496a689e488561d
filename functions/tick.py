"""Called every minute: wakes what is due, sweeps, raises alarms and publishes figures, as the service does on one machine."""

from __future__ import annotations

from functions.batch import by_itself, world
from functions.topology import TOPOLOGY


def handler(_event: dict[str, object], _context: object) -> dict[str, int]:
    """Answer how much there was to do. Called twice for the same minute, one of the two does it."""
    from functions.observe import publish
    from runtime.beat import beat

    with by_itself("tick"):
        beaten = beat(world(), TOPOLOGY)
        publish(beaten.measures)
    return {"woken": beaten.woken, "swept": beaten.swept}
