"""The storage stack: what protects everything that is stored."""

from __future__ import annotations

import json

import pytest

from runtime.store import STORES
from tests.templates import ACCOUNT, REGION, Templates

BUCKETS = ("raw", "curated", "outbound", "results", "audit")
LOCKED = {"outbound", "results", "audit"}


def bucket(templates: Templates, name: str) -> dict:
    return templates.properties("AWS::S3::Bucket", BucketName=templates.bucket(name))


def statements(templates: Templates, name: str) -> list[dict]:
    [logical] = [
        key
        for key, each in templates.of("AWS::S3::Bucket").items()
        if each["Properties"]["BucketName"] == templates.bucket(name)
    ]
    return templates.properties("AWS::S3::BucketPolicy", Bucket=logical)["PolicyDocument"]["Statement"]


@pytest.mark.parametrize("name", BUCKETS)
def test_every_bucket_is_encrypted_versioned_and_never_public(prod: Templates, name: str) -> None:
    """With the environment's own key, with bucket keys, every version kept, all public access blocked, access logged."""
    found = bucket(prod, name)
    [rule] = found["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"].startswith("storage/Key")
    assert found["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(found["PublicAccessBlockConfiguration"].values()) == {True}
    assert found["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert found["LoggingConfiguration"]["LogFilePrefix"] == f"{name}/"
    assert "AccessLogs" in found["LoggingConfiguration"]["DestinationBucketName"]


@pytest.mark.parametrize("name", [*BUCKETS, "access-logs", "dashboard-logs"])
def test_every_bucket_is_reached_over_tls_only(prod: Templates, name: str) -> None:
    """Its policy denies everything to everybody who comes without TLS."""
    denied = [
        each
        for each in statements(prod, name)
        if each["Effect"] == "Deny" and each.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
    ]
    assert [(each["Action"], each["Principal"]) for each in denied] == [("s3:*", {"AWS": "*"})]


@pytest.mark.parametrize("name", BUCKETS)
def test_no_object_is_ever_overwritten(prod: Templates, name: str) -> None:
    """A put that does not say `If-None-Match` is denied; the parts of an upload, which cannot say it, are not."""
    [denied] = [each for each in statements(prod, name) if each.get("Sid") == "NeverOverwritten"]
    assert (denied["Effect"], denied["Action"], denied["Principal"]) == ("Deny", "s3:PutObject", {"AWS": "*"})
    assert denied["Condition"] == {
        "Null": {"s3:if-none-match": "true"},
        "Bool": {"s3:ObjectCreationOperation": "true"},
    }


@pytest.mark.parametrize("name", BUCKETS)
def test_notices_go_to_event_bridge_without_a_custom_resource(dev: Templates, name: str) -> None:
    """The bucket itself is told to."""
    found = bucket(dev, name)["NotificationConfiguration"]
    assert found == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}


@pytest.mark.parametrize(("environment", "days"), [("dev", 1), ("prod", 3650)])
def test_what_was_sent_received_and_anchored_is_locked(
    environment: str, days: int, request: pytest.FixtureRequest
) -> None:
    """Object lock in governance mode for as long as the environment says; the other buckets have none."""
    templates = request.getfixturevalue(environment)
    for name in BUCKETS:
        found = bucket(templates, name)
        assert found.get("ObjectLockEnabled", False) == (name in LOCKED)
        if name in LOCKED:
            retention = found["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
            assert retention == {"Days": days, "Mode": "GOVERNANCE"}


def test_every_store_of_the_product_has_a_bucket(dev: Templates) -> None:
    """What the functions are told as `by_store` names the stores that the product knows: no more, no less."""
    overrides = json.loads(dev.function("curate")["Environment"]["Variables"]["TIEOUT_OVERRIDES"])
    assert sorted(overrides["stores"]["by_store"]) == sorted(STORES)
    buckets = {f"s3://{dev.bucket(name)}" for name in BUCKETS}
    assert set(overrides["stores"]["by_store"].values()) == buckets
    assert overrides["stores"]["root"] == f"s3://{dev.bucket('curated')}"


def test_the_key_rotates_and_is_used_by_logs_of_this_environment_only(prod: Templates) -> None:
    """One key; CloudWatch Logs may use it for our log groups, CloudWatch for alarms of this account."""
    key = prod.properties("AWS::KMS::Key")
    assert key["EnableKeyRotation"]
    found = {each.get("Sid", "Owner"): each for each in key["KeyPolicy"]["Statement"]}
    assert set(found) == {"Owner", "Logs", "Alarms"}
    assert found["Owner"]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    for arn in found["Logs"]["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]:
        assert arn.startswith(f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/")
        assert "prod" in arn
    assert found["Alarms"]["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


@pytest.mark.parametrize(("environment", "policy"), [("dev", "Delete"), ("prod", "Retain")])
def test_protected_environments_keep_their_data(environment: str, policy: str, request: pytest.FixtureRequest) -> None:
    """A stack that is taken down leaves buckets, key and logs where they are."""
    templates: Templates = request.getfixturevalue(environment)
    for kind in ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::Cognito::UserPool"):
        assert {each["DeletionPolicy"] for each in templates.of(kind).values()} == {policy}
