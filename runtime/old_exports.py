"""Removes lists that were exported to a store of files once they are a day old: on S3 a rule of the bucket does that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.store import store_at
from runtime.store_file import LEFTOVER_AGE, FileStore

if TYPE_CHECKING:
    from runtime.wiring import World

EXPORTS = "exports"


def forget_exports(world: World) -> None:
    """Wherever `[stores]` has them."""
    stores = world.configuration.stores
    url = stores.by_store.get(EXPORTS, stores.root)
    store = store_at(url, world.settings.base, endpoint=stores.s3_endpoint)
    if isinstance(store, FileStore):
        store.expire(EXPORTS, LEFTOVER_AGE)
