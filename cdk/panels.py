"""The CloudWatch dashboard: the books on top, then queues, functions and the ledger."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cdk.environment import Environment
from cdk.settings import NAMESPACE, service_of
from cdk.stage_queue import DEAD
from functions.topology import BESIDE, TOPOLOGY, WATCHED

WIDE, HALF = 24, 12


class Panels(Construct):
    """One dashboard, called as the environment."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        self._environment = environment
        names = [*(stage.name for stage in TOPOLOGY), *(beside.name for beside in BESIDE)]
        queues = [stage.queue for stage in TOPOLOGY]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=environment.named("overview"),
            widgets=[
                [_graph("The books", [self._books(each.metric) for each in WATCHED], WIDE)],
                [
                    _graph(
                        "Oldest message, seconds", [self._queue("ApproximateAgeOfOldestMessage", q) for q in queues]
                    ),
                    _graph(
                        "Dead letters", [self._queue("ApproximateNumberOfMessagesVisible", q + DEAD) for q in queues]
                    ),
                ],
                [
                    _graph("Duration, milliseconds", [self._function("Duration", name, "Maximum") for name in names]),
                    _graph("Errors", [self._function("Errors", name, "Sum") for name in names]),
                ],
                [
                    _graph("At once", [self._function("ConcurrentExecutions", name, "Maximum") for name in names]),
                    _graph("Ledger", [self._ledger("DatabaseConnections"), self._ledger("ServerlessDatabaseCapacity")]),
                ],
            ],
        )

    def _books(self, metric: str) -> cloudwatch.Metric:
        return _metric(NAMESPACE, metric, {"service": service_of(self._environment)}, metric, "Maximum")

    def _queue(self, metric: str, queue: str) -> cloudwatch.Metric:
        return _metric("AWS/SQS", metric, {"QueueName": self._environment.named(queue)}, queue, "Maximum")

    def _function(self, metric: str, name: str, statistic: str) -> cloudwatch.Metric:
        return _metric("AWS/Lambda", metric, {"FunctionName": self._environment.named(name)}, name, statistic)

    def _ledger(self, metric: str) -> cloudwatch.Metric:
        return _metric("AWS/RDS", metric, {"DBClusterIdentifier": self._environment.named("ledger")}, metric, "Maximum")


def _metric(namespace: str, name: str, dimensions: dict[str, str], label: str, statistic: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=namespace,
        metric_name=name,
        dimensions_map=dimensions,
        label=label,
        statistic=statistic,
        period=Duration.minutes(1),
    )


def _graph(title: str, metrics: list[cloudwatch.Metric], width: int = HALF) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=metrics, width=width)
