"""The storage stack: the key, five buckets and their access logs."""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, CfnOutput, Stack
from constructs import Construct

from cdk.environment import Environment
from cdk.expiry import check_expiry
from cdk.key import EnvironmentKey
from cdk.log_bucket import LogBucket
from cdk.store_bucket import StoreBucket
from cdk.stores import BUCKETS, bucket_name


class StorageStack(Stack):
    """`key` and `buckets` by name."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, **stack: Any) -> None:
        super().__init__(scope, construct_id, **stack)
        check_expiry(environment)
        self.key = EnvironmentKey(self, "Key", environment=environment).key
        logs = LogBucket(self, "AccessLogs", environment=environment, name=bucket_name(environment, "access-logs"))
        self.buckets = {
            name: StoreBucket(
                self, name.capitalize(), environment=environment, name=name, key=self.key, logs=logs.bucket
            ).bucket
            for name in BUCKETS
        }
        for name, bucket in self.buckets.items():
            CfnOutput(self, f"{name.capitalize()}BucketName", value=bucket.bucket_name)
        CfnOutput(self, "KeyArn", value=self.key.key_arn)
        CfnOutput(self, "Region", value=Aws.REGION)
