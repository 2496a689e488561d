"""The schedules of one source: at its times in its own zone, or every so many minutes."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import Duration, TimeZone
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.configuration import Source
from cdk.environment import Environment
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
