"""Says which bucket holds which store of the product, and how buckets are called."""

from __future__ import annotations

from aws_cdk import Aws

from cdk.environment import Environment

BUCKETS: dict[str, tuple[str, ...]] = {
    "raw": ("raw",),
    "curated": ("curated", "quarantine", "exports"),
    "outbound": ("expected", "manifests", "outbound", "index", "pool", "redeliveries"),
    "results": ("results", "reported", "matched", "open"),
    "audit": ("heads",),
}
"""Bucket -> the stores in it. A key begins with the name of its store, whatever its bucket."""

APART = frozenset({"exports"})
"""Stores that the product's chain does not know. Nobody writes exports yet (docs/roadmap.md)."""

LOCKED = frozenset({"outbound", "results", "audit"})
"""Buckets with object lock: what was sent, what came back, and the anchors of the audit log."""


def bucket_name(environment: Environment, bucket: str) -> str:
    """Unique on AWS by account and region, which the deployment fills in."""
    return f"{environment.named(bucket)}-{Aws.ACCOUNT_ID}-{Aws.REGION}"


def bucket_of(store: str) -> str:
    """The bucket that holds `store`. Raises KeyError."""
    return {each: bucket for bucket, stores in BUCKETS.items() for each in stores}[store]


def objects_arn(environment: Environment, store: str) -> str:
    """The ARN of all objects of one store: its prefix, never the whole bucket."""
    return f"{bucket_arn(environment, bucket_of(store))}/{store}/*"


def bucket_arn(environment: Environment, bucket: str) -> str:
    return f"arn:{Aws.PARTITION}:s3:::{bucket_name(environment, bucket)}"


def store_urls(environment: Environment) -> dict[str, object]:
    """`[stores]` as the deployment knows it: each store of the chain in its bucket, the curated one as root."""
    urls = {
        store: f"s3://{bucket_name(environment, bucket)}"
        for bucket, stores in BUCKETS.items()
        for store in stores
        if store not in APART
    }
    return {"root": urls["curated"], "by_store": urls}
