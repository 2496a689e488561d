"""The observability stack: the alarm topic, the CloudWatch dashboard, and the alarms about the books and the ledger."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk.alarms import Alarms, Watch
from cdk.connections import SHARE_MAX, connections_max
from cdk.environment import Environment
from cdk.panels import Panels
from cdk.settings import NAMESPACE, service_of
from cdk.topic import AlarmTopic
from functions.topology import WATCHED

CAPACITY_PERCENT = 90
TEN_MINUTES = Duration.minutes(10)


class ObservabilityStack(Stack):
    """`topic` for the alarms of other stacks. It names what it watches and needs none of it to be there."""

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, key: kms.IKey, **stack: Any
    ) -> None:
        super().__init__(scope, construct_id, **stack)
        self.topic: sns.ITopic = AlarmTopic(self, "Alarms", environment=environment, key=key).topic
        Alarms(self, "Books", environment=environment, topic=self.topic, watches=_books(environment))
        Alarms(self, "Ledger", environment=environment, topic=self.topic, watches=_ledger(environment))
        Panels(self, "Panels", environment=environment)
        CfnOutput(self, "AlarmTopicArn", value=self.topic.topic_arn)


def _books(environment: Environment) -> list[Watch]:
    """What tick counts in the ledger every minute. It says so also when there are none."""
    service = {"service": service_of(environment)}
    return [
        Watch(
            alarm=each.alarm,
            description=each.description,
            namespace=NAMESPACE,
            metric=each.metric,
            dimensions=service,
            statistic="Maximum",
        )
        for each in WATCHED
    ]


def _ledger(environment: Environment) -> list[Watch]:
    cluster = {"DBClusterIdentifier": environment.named("ledger")}
    return [
        Watch(
            alarm="ledger-connections",
            description="More are connected to the ledger than all functions and tasks together.",
            namespace="AWS/RDS",
            metric="DatabaseConnections",
            dimensions=cluster,
            statistic="Maximum",
            limit=SHARE_MAX * connections_max(environment),
            periods=5,
        ),
        Watch(
            alarm="ledger-capacity",
            description="The ledger is near its greatest capacity.",
            namespace="AWS/RDS",
            metric="ACUUtilization",
            dimensions=cluster,
            statistic="Average",
            limit=CAPACITY_PERCENT,
            period=TEN_MINUTES,
        ),
    ]
