"""The schedules of one source: at its times in its own zone, or every so many minutes."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import Aws, Duration, TimeZone
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.configuration import Source
from cdk.environment import Environment
from cdk.grants import may_start
from cdk.place import Place

RETRIES_MAX = 3
LATE_MAX = Duration.hours(1)


class SourceSchedule(Construct):
    """To the minute. A task that cannot be started is tried again for an hour; then its event lies in `missed`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        source: Source,
        environment: Environment,
        task: ecs.FargateTaskDefinition,
        cluster: ecs.ICluster,
        group: scheduler.IScheduleGroup,
        place: Place,
        missed: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        target = targets.EcsRunFargateTask(
            cluster,
            task_definition=task,
            assign_public_ip=False,
            vpc_subnets=place.subnets,
            security_groups=[place.group],
            dead_letter_queue=missed,
            retry_attempts=RETRIES_MAX,
            max_event_age=LATE_MAX,
            # CDK would let it start the task in any cluster.
            role=self._role(source, group, task, cluster, missed).without_policy_updates(),
        )
        for name, expression in _expressions(source):
            scheduler.Schedule(
                self,
                name,
                schedule_name=environment.named(f"{source.name}-{name}"),
                description=f"Reads {source.name}",
                schedule=expression,
                schedule_group=group,
                target=target,
                time_window=scheduler.TimeWindow.off(),
            )

    def _role(
        self,
        source: Source,
        group: scheduler.IScheduleGroup,
        task: ecs.FargateTaskDefinition,
        cluster: ecs.ICluster,
        missed: sqs.IQueue,
    ) -> iam.Role:
        """For the schedules of this group: start this task in this cluster, and say when that was not possible."""
        ours = {"aws:SourceAccount": Aws.ACCOUNT_ID, "aws:SourceArn": group.schedule_group_arn}
        role = iam.Role(
            self,
            "Starter",
            description=f"Starts the task that reads {source.name}",
            assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com", conditions={"StringEquals": ours}),
        )
        may_start(role, definition=task, cluster=cluster)
        role.add_to_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[missed.queue_arn]))
        return role


def _expressions(source: Source) -> Iterator[tuple[str, scheduler.ScheduleExpression]]:
    for at in source.at:
        hour, _, minute = at.partition(":")
        expression = scheduler.ScheduleExpression.cron(
            hour=str(int(hour)), minute=str(int(minute)), time_zone=TimeZone.of(source.zone)
        )
        yield f"at-{hour}{minute}", expression
    if source.every_s:
        # Scheduler counts in minutes.
        minutes = max(1, -(-source.every_s // 60))
        yield "every", scheduler.ScheduleExpression.rate(Duration.minutes(minutes))
