"""Says how buckets are called, and where in them the stores lie."""

from __future__ import annotations

from aws_cdk import Aws

from cdk.buckets import BUCKETS, LOCKED, bucket_of
from cdk.environment import Environment

__all__ = ["BUCKETS", "LOCKED", "bucket_arn", "bucket_name", "bucket_of", "objects_arn", "store_urls"]


def bucket_name(environment: Environment, bucket: str) -> str:
    """Unique on AWS by account and region, which the deployment fills in."""
    return f"{environment.named(bucket)}-{Aws.ACCOUNT_ID}-{Aws.REGION}"


def objects_arn(environment: Environment, store: str) -> str:
    """The ARN of all objects of one store: its prefix, never the whole bucket."""
    return f"{bucket_arn(environment, bucket_of(store))}/{store}/*"


def bucket_arn(environment: Environment, bucket: str) -> str:
    return f"arn:{Aws.PARTITION}:s3:::{bucket_name(environment, bucket)}"


def store_urls(environment: Environment) -> dict[str, object]:
    """`[stores]` as the deployment knows it: each store of the chain in its bucket, the curated one as root."""
    urls = {store: f"s3://{bucket_name(environment, bucket)}" for bucket, stores in BUCKETS.items() for store in stores}
    return {"root": urls["curated"], "by_store": urls}
