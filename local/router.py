"""The local router: what EventBridge does on AWS. It follows the topology and sends the same notices."""

from __future__ import annotations

from functions.topology import TOPOLOGY
from runtime.tell import tell
from runtime.wiring import World


def local_world(config: str | None = None) -> World:
    """A world whose puts start what the topology says. With SQS the store itself tells EventBridge."""
    world = World.open(config)
    if world.configuration.queue.url == "ledger:":
        world.emit = lambda key, size: route(world, key, size)
    return world


def route(world: World, key: str, size: int = 0) -> None:
    """Send the notice of one created object to every queue that waits for it."""
    tell(world, TOPOLOGY, key, size)
