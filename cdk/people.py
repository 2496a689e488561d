"""The people stack: for each duty that somebody has, a role, and a task that runs its commands inside the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk.configuration import Configuration
from cdk.delivery_task import REPOSITORY
from cdk.duty import DUTIES, Duty
from cdk.environment import Environment
from cdk.grants import may_log_in, may_put, may_read, may_start, may_use_key
from cdk.grants_people import (
    may_look_into,
    may_read_log,
    may_read_outputs,
    may_requeue,
    may_watch_tasks,
)
from cdk.ledger import Ledger, user_of
from cdk.person_role import PersonRole
from cdk.place import Place
from cdk.settings import FunctionSettings
from cdk.task import Task
from functions.topology import TOPOLOGY

NAME = "people"


class PeopleStack(Stack):
    """There is none where nobody is named. `place` reaches AWS and the ledger, and nothing else."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        configuration: Configuration,
        ledger: Ledger,
        key: kms.IKey,
        place: Place,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        **stack: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack)
        self._environment, self._ledger, self._key = environment, ledger, key
        self._settings = FunctionSettings(
            self,
            "Settings",
            environment=environment,
            configuration=configuration,
            ledger=ledger,
            overrides=overrides,
        )
        self._images = ecr.Repository.from_repository_name(self, "Images", environment.named(REPOSITORY))
        self._cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=environment.named(NAME),
            vpc=place.vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
        )
        for duty in DUTIES:
            if environment.people[duty.name]:
                self._make(duty)
        self._say("Network", _network(place))

    def _make(self, duty: Duty) -> None:
        """Role and task may do the same to the chain; only the role may start the task and read what it printed."""
        name = duty.name.capitalize()
        task = self._task(name, duty)
        person = PersonRole(self, f"{name}Role", environment=self._environment, duty=duty).role
        self._settings.may_read_configuration(person)
        for role in (person, task.role):
            self._grant(duty, role)
        may_start(person, definition=task.definition, cluster=self._cluster)
        may_watch_tasks(person, cluster=self._environment.named(NAME))
        may_read_log(person, environment=self._environment, group=duty.name)
        may_read_outputs(person, stack=self.stack_name)
        variables = self._settings.variables(duty.name)
        self._say(f"{name}Config", variables["TIEOUT_CONFIG"])
        self._say(f"{name}Overrides", variables["TIEOUT_OVERRIDES"])

    def _task(self, name: str, duty: Duty) -> Task:
        return Task(
            self,
            f"{name}Task",
            name=duty.name,
            about=duty.about,
            container=duty.name,
            command=["status"],  # whoever starts it says another command
            environment=self._environment,
            settings=self._settings,
            repository=self._images,
            key=self._key,
        )

    def _grant(self, duty: Duty, role: iam.Role) -> None:
        environment = self._environment
        may_read(role, environment=environment, stores=tuple(dict.fromkeys((*duty.reads, *duty.writes))))
        may_put(role, environment=environment, stores=duty.writes)
        may_use_key(role, key=self._key, services=("s3",), encrypts=bool(duty.writes))
        may_log_in(role, ledger=self._ledger, user=user_of(duty.name))
        queues = [environment.named(stage.queue) for stage in TOPOLOGY]
        may_look_into(role, queues=queues)
        if duty.requeues:
            may_requeue(role, queues=queues)

    def _say(self, name: str, value: str) -> None:
        CfnOutput(self, name, value=value)


def _network(place: Place) -> str:
    """As `aws ecs run-task --network-configuration` takes it."""
    subnets = place.vpc.select_subnets(subnet_group_name=place.subnets.subnet_group_name).subnet_ids
    return f"awsvpcConfiguration={{subnets=[{','.join(subnets)}],securityGroups=[{place.group.security_group_id}]}}"
