"""The alarms of functions and of their queues."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk.alarms import Alarms, Watch
from cdk.environment import Environment
from cdk.stage_queue import DEAD
from functions.topology import Beside, Stage

FIVE_MINUTES = Duration.minutes(5)
SLOW_SHARE, LAST_S = 0.8, 60
"""Near its time-out. Some begin nothing in their last two minutes, and work that long by design: they ring in the last one."""
AGE_S_MIN = 900
SILENT_S_MAX = 60
"""What is called so often is missed within five minutes."""


class StageAlarms(Construct):
    """Of one stage: its dead letters, the age of its oldest message, and its function."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, environment: Environment, topic: sns.ITopic
    ) -> None:
        super().__init__(scope, construct_id)
        watches = [
            Watch(
                alarm=f"{stage.name}-dead-letters",
                description=f"Messages of {stage.name} were given up: their work is not done.",
                namespace="AWS/SQS",
                metric="ApproximateNumberOfMessagesVisible",
                dimensions={"QueueName": environment.named(stage.queue + DEAD)},
                statistic="Maximum",
            ),
            Watch(
                alarm=f"{stage.name}-waiting",
                description=f"The oldest message of {stage.name} waits too long.",
                namespace="AWS/SQS",
                metric="ApproximateAgeOfOldestMessage",
                dimensions={"QueueName": environment.named(stage.queue)},
                statistic="Maximum",
                # A message that failed once may come again before anybody is called.
                limit=max(AGE_S_MIN, 2 * stage.visibility_s),
                periods=5,
            ),
            *function_watches(stage, environment),
        ]
        Alarms(self, "Alarms", environment=environment, topic=topic, watches=watches)


class BesideAlarms(Construct):
    """Of a function without a queue; of one that is called every minute also that it is called at all."""

    def __init__(
        self, scope: Construct, construct_id: str, *, beside: Beside, environment: Environment, topic: sns.ITopic
    ) -> None:
        super().__init__(scope, construct_id)
        watches = function_watches(beside, environment)
        if 0 < beside.schedule_s <= SILENT_S_MAX:
            watches.append(
                Watch(
                    alarm=f"{beside.name}-silent",
                    description=f"{beside.name} is not called: nothing is woken and nothing is swept.",
                    namespace="AWS/Lambda",
                    metric="Invocations",
                    dimensions={"FunctionName": environment.named(beside.name)},
                    limit=0,
                    period=FIVE_MINUTES,
                    below=True,
                    missing_rings=True,
                )
            )
        Alarms(self, "Alarms", environment=environment, topic=topic, watches=watches)


def function_watches(row: Stage | Beside, environment: Environment) -> list[Watch]:
    """Errors, throttles and durations near the time-out."""
    function = {"FunctionName": environment.named(row.name)}
    return [
        Watch(
            alarm=f"{row.name}-errors",
            description=f"{row.name} ends in errors.",
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions=function,
            period=FIVE_MINUTES,
        ),
        Watch(
            alarm=f"{row.name}-throttled",
            description=f"{row.name} is refused by Lambda: the account's concurrency is used up.",
            namespace="AWS/Lambda",
            metric="Throttles",
            dimensions=function,
            period=FIVE_MINUTES,
        ),
        Watch(
            alarm=f"{row.name}-slow",
            description=f"{row.name} comes near its time-out.",
            namespace="AWS/Lambda",
            metric="Duration",
            dimensions=function,
            statistic="Maximum",
            limit=max(SLOW_SHARE * row.timeout_s, row.timeout_s - LAST_S) * 1000,
            period=FIVE_MINUTES,
        ),
    ]
