"""Says which bucket holds which store of the product, and which of them are locked. Plain data."""

from __future__ import annotations

BUCKETS: dict[str, tuple[str, ...]] = {
    "raw": ("raw",),
    "curated": ("curated", "quarantine", "exports"),
    "outbound": ("expected", "manifests", "outbound", "index", "pool", "redeliveries"),
    "results": ("results", "reported", "matched", "open"),
    "audit": ("heads",),
}
"""Bucket -> the stores in it. A key begins with the name of its store, whatever its bucket."""

LOCKED = frozenset({"outbound", "results", "audit"})
"""Buckets with object lock: what was sent, what came back, and the anchors of the audit log."""


def bucket_of(store: str) -> str:
    """The bucket that holds `store`. Raises KeyError."""
    return {each: bucket for bucket, stores in BUCKETS.items() for each in stores}[store]
