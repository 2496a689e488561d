"""The extraction stack: one Fargate task per source, started by EventBridge Scheduler as the configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.acknowledge import acknowledge
from cdk.alarms import Alarms, Watch
from cdk.cluster_access import ClusterAccess
from cdk.configuration import Configuration
from cdk.environment import Environment
from cdk.grants import may_log_in, may_open, may_put, may_read, may_use_key
from cdk.ledger import Ledger, user_of
from cdk.place import Place
from cdk.settings import FunctionSettings
from cdk.source_schedule import SourceSchedule
from cdk.source_task import SourceTask
from functions.topology import stage_named

MISSED = "extraction-missed"


class ExtractionStack(Stack):
    """The image is pushed to `repository`; nothing here needs Docker."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        configuration: Configuration,
        ledger: Ledger,
        key: kms.IKey,
        alarms: sns.ITopic,
        place: Place,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        variables: Mapping[str, str] | None = None,
        **stack: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack)
        settings = FunctionSettings(
            self,
            "Settings",
            environment=environment,
            configuration=configuration,
            ledger=ledger,
            overrides=overrides,
            variables=variables,
        )
        self.repository = self._repository(environment, key)
        cluster = self._cluster(environment, place)
        missed = self._missed(environment)
        group = self._group(environment)
        for source in configuration.sources:
            task = SourceTask(
                self,
                f"Source-{source.name}",
                source=source,
                environment=environment,
                settings=settings,
                repository=self.repository,
                key=key,
            )
            self._grant(task, environment, ledger, key)
            SourceSchedule(
                self,
                f"Schedule-{source.name}",
                source=source,
                environment=environment,
                task=task.definition,
                cluster=cluster,
                group=group,
                place=place,
                missed=missed,
            )
            if environment.eks_cluster:
                ClusterAccess(self, f"Jobs-{source.name}", environment=environment, role=task.role)
        Alarms(self, "Alarms", environment=environment, topic=alarms, watches=[_missed_watch(environment)])
        CfnOutput(self, "ImageRepository", value=self.repository.repository_uri)
        CfnOutput(self, "ClusterName", value=cluster.cluster_name)

    def _cluster(self, environment: Environment, place: Place) -> ecs.Cluster:
        return ecs.Cluster(
            self,
            "Cluster",
            cluster_name=environment.named("extraction"),
            vpc=place.vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
        )

    def _group(self, environment: Environment) -> scheduler.ScheduleGroup:
        return scheduler.ScheduleGroup(
            self,
            "Schedules",
            schedule_group_name=environment.named("extraction"),
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _grant(self, task: SourceTask, environment: Environment, ledger: Ledger, key: kms.IKey) -> None:
        """What the topology says of extract, with the secrets of this one source."""
        writes = stage_named("extract").writes
        may_read(task.role, environment=environment, stores=writes)
        may_put(task.role, environment=environment, stores=writes)
        may_open(task.role, secrets=task.source.secrets)
        may_log_in(task.role, ledger=ledger, user=user_of(f"task-{task.source.name}"))
        may_use_key(task.role, key=key, services=("s3", "secretsmanager") if task.source.secrets else ("s3",))

    def _repository(self, environment: Environment, key: kms.IKey) -> ecr.Repository:
        return ecr.Repository(
            self,
            "Images",
            repository_name=environment.named("extract"),
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=key,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=20)],
            removal_policy=RemovalPolicy.RETAIN if environment.protected else RemovalPolicy.DESTROY,
        )

    def _missed(self, environment: Environment) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            "Missed",
            queue_name=environment.named(MISSED),
            retention_period=Duration.days(14),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )
        acknowledge(queue, "AwsSolutions-SQS3", "It is a dead-letter queue itself: that of the schedules.")
        return queue


def _missed_watch(environment: Environment) -> Watch:
    return Watch(
        alarm=MISSED,
        description="A scheduled extraction could not be started.",
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": environment.named(MISSED)},
        statistic="Maximum",
    )
