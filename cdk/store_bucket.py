"""One bucket of the product: encrypted, versioned, over TLS only, never public, and never overwritten."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.environment import Environment
from cdk.expiry import GONE_DAYS, days_of
from cdk.stores import LOCKED, bucket_name

EXPORT_DAYS = 1
LEFTOVER_DAYS = 7
TIERING_DAYS = 30


class StoreBucket(Construct):
    """`bucket` is one of `cdk.stores.BUCKETS`.

    What the chain stores in it expires only where the environment says so; the ledger is told of every object that does.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        name: str,
        key: kms.IKey,
        logs: s3.IBucket,
    ) -> None:
        super().__init__(scope, construct_id)
        locked = name in LOCKED
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=bucket_name(environment, name),
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            object_lock_enabled=locked or None,
            object_lock_default_retention=(
                s3.ObjectLockRetention.governance(Duration.days(environment.locked_days)) if locked else None
            ),
            server_access_logs_bucket=logs,
            server_access_logs_prefix=f"{name}/",
            lifecycle_rules=_rules(name, days_of(name, environment.expire_days)),
            removal_policy=RemovalPolicy.RETAIN if environment.protected else RemovalPolicy.DESTROY,
        )
        self._refuse_overwriting()
        self._tell_event_bridge()

    def _refuse_overwriting(self) -> None:
        """Every put must say `If-None-Match: *`, as the product's do. Parts of an upload cannot; its completion must."""
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="NeverOverwritten",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject"],
                resources=[self.bucket.arn_for_objects("*")],
                conditions={
                    "Null": {"s3:if-none-match": "true"},
                    "Bool": {"s3:ObjectCreationOperation": "true"},
                },
            )
        )

    def _tell_event_bridge(self) -> None:
        """On the resource itself: the construct's own switch would add a custom resource."""
        resource = self.bucket.node.default_child
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )


def _rules(name: str, days: Mapping[str, int]) -> list[s3.LifecycleRule]:
    rules = [
        s3.LifecycleRule(
            id="leftovers",
            abort_incomplete_multipart_upload_after=Duration.days(LEFTOVER_DAYS),
            noncurrent_version_expiration=Duration.days(GONE_DAYS),
        ),
        s3.LifecycleRule(
            id="tiering",
            transitions=[
                s3.Transition(
                    storage_class=s3.StorageClass.INTELLIGENT_TIERING, transition_after=Duration.days(TIERING_DAYS)
                )
            ],
        ),
    ]
    if name == "curated":
        # Of these nobody may want back what was removed: whoever needs the list asks for it again.
        day = Duration.days(EXPORT_DAYS)
        rules.append(
            s3.LifecycleRule(id="exports", prefix="exports/", expiration=day, noncurrent_version_expiration=day)
        )
    # First a marker is put over the object; the old version goes with the leftovers, or when its lock ends.
    rules += [
        s3.LifecycleRule(id=f"expire-{store}", prefix=f"{store}/", expiration=Duration.days(each))
        for store, each in days.items()
    ]
    if days:
        rules.append(s3.LifecycleRule(id="markers", expired_object_delete_marker=True))
    return rules
