"""Sends notices to the queues that wait for an object: what EventBridge does on AWS, in the same form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from payments.config import Stores
from payments.errors import SetAside
from runtime.notices import named_in, notice
from runtime.objects import check_key

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
    bucket, lead = _place_of(world.configuration.stores, key)
    body = notice(bucket, lead + key, size)
    for stage in stages:
        if stage.is_started_by(key):
            world.queue.send(stage.queue, body)


def bucket_of(stores: Stores, key: str) -> str:
    """The bucket that holds this key."""
    return _place_of(stores, key)[0]


def key_in(stores: Stores, body: str) -> str:
    """The key that a notice names, without the prefix of the store that holds it: S3 names the whole object.

    Raises SetAside for anything else, for a key we never make, and for an object of another bucket.
    """
    bucket, name = named_in(body)
    return in_our_bucket(stores, bucket, our_key(stores, bucket, name))


def in_our_bucket(stores: Stores, bucket: str, key: str) -> str:
    """The same key. Raises SetAside where `bucket`, which a notice names, is not the one that holds our objects of this name."""
    if bucket_of(stores, key) not in {bucket, LOCAL}:
        raise SetAside(f"object {key!a} lies in another bucket", next_step="Look at who else writes to this queue.")
    return key


def our_key(stores: Stores, bucket: str, name: str) -> str:
    """The key of the object that S3 calls so. Raises SetAside for one that we never make."""
    leads = {_parts(url)[1] for url in (stores.root, *stores.by_store.values())}
    # The longest first: a store may lie below the prefix of another.
    for lead in sorted(leads, key=len, reverse=True):
        key = name.removeprefix(lead)
        if lead and key != name and _place_of(stores, key) == (bucket, lead):
            return check_key(key)
    return check_key(name)


def _place_of(stores: Stores, key: str) -> tuple[str, str]:
    return _parts(stores.by_store.get(key.partition("/")[0], stores.root))


def _parts(url: str) -> tuple[str, str]:
    """(bucket, prefix with its slash) of the URL of a store."""
    parts = urlsplit(url)
    if parts.scheme != "s3":
        return LOCAL, ""
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""
