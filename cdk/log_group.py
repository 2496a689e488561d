"""One log group: encrypted, and kept for as long as the environment says."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk.environment import PRODUCT, Environment


class LogGroup(Construct):
    """`group` is called `/tieout/ENVIRONMENT/NAME`, unless AWS itself decides the `path`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        name: str,
        key: kms.IKey,
        path: str = "",
    ) -> None:
        super().__init__(scope, construct_id)
        self.group = logs.LogGroup(
            self,
            "Group",
            log_group_name=path or f"/{PRODUCT}/{environment.name}/{name}",
            encryption_key=key,
            retention=logs.RetentionDays.INFINITE,
            removal_policy=RemovalPolicy.RETAIN if environment.protected else RemovalPolicy.DESTROY,
        )
        # The construct takes words for numbers of days; the resource takes the number.
        self.group.node.default_child.retention_in_days = environment.log_days
