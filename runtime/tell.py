"""Sends notices to the queues that wait for an object: what EventBridge does on AWS, in the same form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from payments.config import Stores
from runtime.notices import notice

if TYPE_CHECKING:
    from runtime.wiring import World

LOCAL = "tieout-local"
"""What stands for the name of a bucket where objects are files."""


class Stage(Protocol):
    """A row of the topology: a queue, and which objects start what serves it."""

    @property
    def queue(self) -> str: ...

    def is_started_by(self, key: str) -> bool: ...


def tell(world: World, stages: Iterable[Stage], key: str, size: int = 0) -> None:
    """One notice about the object to the queue of each stage that it starts."""
    body = notice(bucket_of(world.configuration.stores, key), key, size)
    for stage in stages:
        if stage.is_started_by(key):
            world.queue.send(stage.queue, body)


def bucket_of(stores: Stores, key: str) -> str:
    """The bucket that holds this key."""
    url = urlsplit(stores.by_store.get(key.partition("/")[0], stores.root))
    return url.netloc if url.scheme == "s3" else LOCAL
