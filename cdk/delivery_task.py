"""The Fargate task that delivers what is too large for a function, and what the function deliver must know to start it."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk.environment import Environment
from cdk.grants import may_start
from cdk.place import Place
from cdk.settings import FunctionSettings
from cdk.task import Task

NAME = "delivery"
CONTAINER = "deliver"
REPOSITORY = "extract"
"""Of the extraction stack: every task runs the same image."""


class DeliveryTask(Construct):
    """`role` is the task's own; it may so far only read the configuration."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        settings: FunctionSettings,
        key: kms.IKey,
        place: Place,
    ) -> None:
        super().__init__(scope, construct_id)
        self._place = place
        self._cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=environment.named(NAME),
            vpc=place.vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
        )
        self._task = Task(
            self,
            "Task",
            name=NAME,
            about="Delivers what is too large for a function",
            container=CONTAINER,
            command=["--help"],  # whoever starts it says for which acquirer
            environment=environment,
            settings=settings,
            # By name: the stack of the repository comes after this one.
            repository=ecr.Repository.from_repository_name(self, "Images", environment.named(REPOSITORY)),
            key=key,
        )
        self.role = self._task.role

    def overrides(self) -> dict[str, dict[str, Any]]:
        """For the configuration of the function that starts it."""
        task = {
            "cluster": self._cluster.cluster_name,
            "definition": self._task.definition.task_definition_arn,
            "container": CONTAINER,
            "subnets": self._place.vpc.select_subnets(
                subnet_group_name=self._place.subnets.subnet_group_name
            ).subnet_ids,
            "security_groups": [self._place.group.security_group_id],
        }
        return {"service": {"delivery_task": task}}

    def let_start(self, role: iam.Role) -> None:
        """Let this role start the task in its cluster, as it is defined."""
        may_start(role, definition=self._task.definition, cluster=self._cluster)
