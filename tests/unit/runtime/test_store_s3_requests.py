"""How many requests the store on S3 makes: each of them is paid for."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from runtime.store_s3 import S3Store


@pytest.mark.parametrize(("size", "requests"), [(0, 1), (1000, 1), (1001, 3)])
def test_a_small_object_costs_one_request(
    moto_endpoint: str, monkeypatch: pytest.MonkeyPatch, size: int, requests: int
) -> None:
    """Its size is not asked for beforehand; a larger one is read in ranges, each with a time-out of its own."""
    import boto3
    import obstore

    bucket, placed = f"requests-{uuid.uuid4().hex[:8]}", {"LocationConstraint": "eu-central-1"}
    boto3.client("s3", endpoint_url=moto_endpoint).create_bucket(Bucket=bucket, CreateBucketConfiguration=placed)
    monkeypatch.setattr("runtime.store_s3.RANGE_BYTES", 1000)
    store = S3Store(bucket, "", moto_endpoint)
    store.put("raw/x", b"x" * size)
    asked: list[str] = []

    def counted(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*given: Any, **named: Any) -> Any:
            asked.append(name)
            return act(*given, **named)

        return counting

    for name in ("get", "get_range", "head"):
        monkeypatch.setattr(obstore, name, counted(name, getattr(obstore, name)))
    with store.local("raw/x") as path:
        assert path.stat().st_size == size
    assert len(asked) == requests
