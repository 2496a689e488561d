"""Gives a link to one object that works without any rights, for minutes: where the store can sign one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from runtime.store import store_at
from runtime.store_s3 import S3Store

if TYPE_CHECKING:
    from runtime.wiring import World


def link_to(world: World, key: str, life: timedelta) -> str:
    """Empty for a store that signs nothing, as that of files. On S3 a link ends with the credentials that signed it, if before."""
    stores = world.configuration.stores
    url = stores.by_store.get(key.partition("/")[0], stores.root)
    store = store_at(url, world.settings.base, endpoint=stores.s3_endpoint)
    return store.link(key, life) if isinstance(store, S3Store) else ""
