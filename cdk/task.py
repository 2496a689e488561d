"""A Fargate task that runs one command of Tieout, with a role and a log group of its own."""

from __future__ import annotations

from aws_cdk import Aws
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk.acknowledge import acknowledge
from cdk.environment import Environment
from cdk.log_group import LogGroup
from cdk.settings import FunctionSettings

CPU_UNITS = 1024
MEMORY_MB = 4096
SPOOL_GB = 30
USER = "10001"
SPOOL = "/scratch"
"""As the image has it: its owner is that user there, and Fargate keeps that for a volume at the same path."""


class Task(Construct):
    """`definition` and its `role`, which may so far only read the configuration."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        about: str,
        container: str,
        command: list[str],
        environment: Environment,
        settings: FunctionSettings,
        repository: ecr.IRepository,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        group = LogGroup(self, "Logs", environment=environment, name=name, key=key).group
        self.role = self._role("Role", f"{about} in {environment.name}")
        settings.may_read_configuration(self.role)
        starter = self._role("Starter", f"Starts {name}: image and logs")
        self.definition = ecs.FargateTaskDefinition(
            self,
            "Task",
            family=environment.named(name),
            cpu=CPU_UNITS,
            memory_limit_mib=MEMORY_MB,
            ephemeral_storage_gib=SPOOL_GB,
            task_role=self.role,
            execution_role=starter,
            volumes=[ecs.Volume(name="spool")],
        )
        added = self.definition.add_container(
            container,
            image=ecs.ContainerImage.from_ecr_repository(repository, environment.image_tag),
            entry_point=["tieout"],
            command=command,
            environment=settings.variables(name),
            logging=ecs.LogDrivers.aws_logs(stream_prefix=name, log_group=group),
            readonly_root_filesystem=True,
            user=USER,
        )
        added.add_mount_points(ecs.MountPoint(container_path=SPOOL, source_volume="spool", read_only=False))
        acknowledge(
            self, "AwsSolutions-ECS2", "The variables hold no secret: an S3 address and addresses of this stack."
        )
        acknowledge(starter, "AwsSolutions-IAM5[Resource::*]", "ecr:GetAuthorizationToken knows no resource.")

    def _role(self, name: str, description: str) -> iam.Role:
        return iam.Role(
            self,
            name,
            description=description,
            assumed_by=iam.ServicePrincipal(
                "ecs-tasks.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
            ),
        )
