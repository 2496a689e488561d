"""What may expire: only what is declared, never too early, never while it is locked; and the ledger is told of all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdk.environment import Environment, WrongContext
from cdk.expiry import GONE_DAYS, MAY_EXPIRE, NEVER, check_expiry
from functions.topology import stage_named
from payments.owners import ALWAYS, KEPT_DAYS_MIN
from runtime.store import STORES
from tests.templates import Templates

CHAIN = set(STORES) - {"exports"}
"""Exports are made again at will, and go after a day."""
ENVIRONMENTS = json.loads(Path("cdk.json").read_text())["context"]["environments"]
BUCKETS = ("raw", "curated", "outbound", "results", "audit")


def rules(templates: Templates, name: str) -> dict[str, dict[str, Any]]:
    found = templates.properties("AWS::S3::Bucket", BucketName=templates.bucket(name))
    return {each["Id"]: each for each in found["LifecycleConfiguration"]["Rules"]}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_nothing_of_the_chain_expires_by_default(environment: str, request: pytest.FixtureRequest) -> None:
    """Only exports do, after a day: the chain does not know them. Uploads that were never completed are removed everywhere."""
    for name in BUCKETS:
        found = rules(request.getfixturevalue(environment), name)
        ending = {each.get("Prefix"): each["ExpirationInDays"] for each in found.values() if "ExpirationInDays" in each}
        assert ending == ({"exports/": 1} if name == "curated" else {})
        assert any(each.get("AbortIncompleteMultipartUpload") for each in found.values())
        assert "markers" not in found


def test_what_is_declared_expires_by_prefix(full: Templates) -> None:
    """Each declared store by its own rule; the old versions and the markers over them go later, and nothing else does."""
    declared = {"raw": {"raw/": 60}, "outbound": {"outbound/": 3650, "manifests/": 3650}, "results": {}}
    declared["results"] = {"matched/": 400, "open/": 400}
    for name, prefixes in declared.items():
        found = rules(full, name)
        own = {each["Prefix"]: each["ExpirationInDays"] for each in found.values() if "ExpirationInDays" in each}
        assert own == prefixes
        assert all(each["Status"] == "Enabled" for each in found.values())
        assert found["leftovers"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": GONE_DAYS}
        assert found["markers"]["ExpiredObjectDeleteMarker"] is True
    for name in ("curated", "audit"):
        assert "markers" not in rules(full, name)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        *(({name: 36_000}, f"nothing in {name} may expire") for name in NEVER),
        ({"raw": 59}, "found 59, allowed are 60 and more: until then a run may be stopped"),
        ({"quarantine": 0}, "allowed are 60 and more"),
        ({"raw": -1}, "allowed are 60 and more"),
        ({"outbound": 399}, "allowed are 400 and more: until then an acquirer may come back"),
        ({"results": 3649}, "locked for 3650"),
        ({"outbound": 3649}, "locked for 3650"),
        ({"matched": 500}, "locked for 3650"),
        ({"manifests": 4000}, "allowed are raw, quarantine, outbound, results, matched"),
        ({"exports": 4000}, "allowed are raw"),
        ({"raw": 60.5}, "a whole number"),
        ({"raw": "60"}, "a whole number"),
        ({"raw": True}, "a whole number"),
        ({"raw": 40_000}, "up to 36500"),
    ],
)
def test_what_would_take_too_much_is_refused(declared: dict[str, Any], said: str) -> None:
    """The message names the environment and the store, and says what is allowed and why."""
    environment = Environment.read("prod", {"prod": {**ENVIRONMENTS["prod"], "expire_days": declared}})
    with pytest.raises(WrongContext, match=said) as raised:
        check_expiry(environment)
    assert str(raised.value).startswith(f"environments.prod.expire_days.{next(iter(declared))}: ")


def test_the_smallest_that_is_allowed_is_taken() -> None:
    """Each minimum itself, where nothing is locked for longer."""
    least = {name: each.days_min for name, each in MAY_EXPIRE.items()}
    check_expiry(Environment.read("dev", {"dev": {**ENVIRONMENTS["dev"], "expire_days": least}}))


def test_every_store_may_expire_or_not() -> None:
    """None is forgotten, and the ledger misses what may never be declared, or not so soon."""
    may = {store for each in MAY_EXPIRE.values() for store in each.stores}
    assert may | set(NEVER) == CHAIN
    assert not may & set(NEVER)
    assert set(NEVER) == ALWAYS
    least = {store: each.days_min for each in MAY_EXPIRE.values() for store in each.stores}
    assert least == KEPT_DAYS_MIN


@pytest.mark.parametrize("environment", ["dev", "full"])
def test_the_ledger_is_told_of_every_deletion(environment: str, request: pytest.FixtureRequest) -> None:
    """One rule over all buckets and stores, by a rule of the bucket or by a request alike, into the queue of the function."""
    templates: Templates = request.getfixturevalue(environment)
    rule = templates.properties("AWS::Events::Rule", Name=templates.named("expire"))
    pattern = rule["EventPattern"]
    assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Deleted"])
    assert set(pattern["detail"]) == {"bucket", "object"}
    assert sorted(pattern["detail"]["bucket"]["name"]) == sorted(templates.bucket(name) for name in BUCKETS)
    assert {each["prefix"] for each in pattern["detail"]["object"]["key"]} == {f"{store}/" for store in CHAIN}
    assert set(stage_named("expire").deleted_from) == CHAIN
    assert rule["State"] == "ENABLED"
    [target] = rule["Targets"]
    assert target["DeadLetterConfig"]


def test_who_tells_the_ledger_reaches_no_store(dev: Templates) -> None:
    """Its role has no right on any object and none on the key: the notice says everything that it keeps."""
    role = dev.role_of("expire")
    assert not list(role.resources_of("kms:Decrypt"))
    for bucket in BUCKETS:
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectVersion"):
            assert not role.may(action, dev.object_arn(bucket, f"{bucket}/x"))
