"""A bucket for access logs: written by AWS only, kept as long as logs are kept."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.acknowledge import acknowledge
from cdk.environment import Environment


class LogBucket(Construct):
    """`bucket` takes access logs. `by_acl`: from CloudFront, which writes them no other way."""

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, name: str, by_acl: bool = False
    ) -> None:
        super().__init__(scope, construct_id)
        ownership = s3.ObjectOwnership.BUCKET_OWNER_PREFERRED if by_acl else s3.ObjectOwnership.BUCKET_OWNER_ENFORCED
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=name,
            # Log delivery cannot use a customer's key.
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            object_ownership=ownership,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="logs",
                    expiration=Duration.days(environment.log_days),
                    noncurrent_version_expiration=Duration.days(1),
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                )
            ],
            removal_policy=RemovalPolicy.RETAIN if environment.protected else RemovalPolicy.DESTROY,
        )
        acknowledge(self, "AwsSolutions-S1", "This bucket holds access logs: logging it into itself would never end.")
