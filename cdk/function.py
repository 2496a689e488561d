"""One Lambda function with a role and a log group of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Aws, Duration, Size
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.acknowledge import acknowledge
from cdk.common import Common
from cdk.environment import Environment
from cdk.grants import may_join_network, may_trace, may_write_logs
from cdk.log_group import LogGroup
from cdk.place import zone_of
from functions.topology import Beside, Stage

SPOOL_MB = 4096
"""Files are spooled to disk before they are stored: twice the 2 GB that a result file may have by default."""


class Function(Construct):
    """`function` and its `role`, which may so far only log, trace and read the configuration."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        row: Stage | Beside,
        common: Common,
        variables: dict[str, str] | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        as_owner: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        environment, place = common.environment, common.places.get(zone_of(row))
        name = environment.named(row.name)
        group = LogGroup(self, "Logs", environment=environment, name=row.name, key=common.key).group
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"{row.name} in {environment.name}",
        )
        may_write_logs(self.role, group_arn=_group_arn(environment, row.name))
        may_trace(self.role)
        common.settings.may_read_configuration(self.role)
        if place is not None:
            arn = f"arn:{Aws.PARTITION}:lambda:{Aws.REGION}:{Aws.ACCOUNT_ID}:function:{name}"
            may_join_network(self.role, function_arn=arn)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=f"{row.name}: {environment.name}",
            handler=row.handler,
            code=common.bundle.code(),
            layers=common.layers.named(row.layers),
            runtime=common.bundle.runtime,
            architecture=common.bundle.architecture,
            memory_size=row.memory_mb,
            timeout=Duration.seconds(row.timeout_s),
            ephemeral_storage_size=Size.mebibytes(SPOOL_MB) if isinstance(row, Stage) else None,
            environment={**common.settings.variables(row.name, overrides, as_owner=as_owner), **(variables or {})},
            role=self.role,
            log_group=group,
            tracing=lambda_.Tracing.ACTIVE,
            vpc=place.vpc if place else None,
            vpc_subnets=place.subnets if place else None,
            security_groups=[place.group] if place else None,
        )
        acknowledge(self, "AwsSolutions-L1", "The runtime is the Python that the bundle's layers were made for.")


def _group_arn(environment: Environment, name: str) -> str:
    return f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:/tieout/{environment.name}/{name}"
