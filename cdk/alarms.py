"""Every kind of alarm: what it watches and when it rings. docs/runbook.md has a section for each; a test compares."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk.environment import Environment

MINUTE = Duration.minutes(1)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One metric and its limit. It rings after `periods` in a row of `period` each at or above `limit`.

    `below`: at or below it instead. `missing_rings`: also when nothing is measured at all.
    """

    alarm: str
    description: str
    namespace: str
    metric: str
    dimensions: dict[str, str]
    statistic: str = "Sum"
    limit: float = 1
    period: Duration = MINUTE
    periods: int = 1
    below: bool = False
    missing_rings: bool = False


class Alarms(Construct):
    """One alarm per watch, called `tieout-ENVIRONMENT-ALARM`; each rings and ends in `topic`."""

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, topic: sns.ITopic, watches: list[Watch]
    ) -> None:
        super().__init__(scope, construct_id)
        action = actions.SnsAction(topic)
        for watch in watches:
            alarm = cloudwatch.Alarm(
                self,
                "".join(part.capitalize() for part in watch.alarm.split("-")),
                alarm_name=environment.named(watch.alarm),
                alarm_description=f"{watch.description} See docs/runbook.md.",
                metric=_metric(watch),
                threshold=watch.limit,
                evaluation_periods=watch.periods,
                comparison_operator=_comparison(watch),
                treat_missing_data=_missing(watch),
            )
            alarm.add_alarm_action(action)
            alarm.add_ok_action(action)


def _metric(watch: Watch) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=watch.namespace,
        metric_name=watch.metric,
        dimensions_map=watch.dimensions,
        statistic=watch.statistic,
        period=watch.period,
    )


def _comparison(watch: Watch) -> cloudwatch.ComparisonOperator:
    operators = cloudwatch.ComparisonOperator
    if watch.below:
        return operators.LESS_THAN_OR_EQUAL_TO_THRESHOLD
    return operators.GREATER_THAN_OR_EQUAL_TO_THRESHOLD


def _missing(watch: Watch) -> cloudwatch.TreatMissingData:
    missing = cloudwatch.TreatMissingData
    return missing.BREACHING if watch.missing_rings else missing.NOT_BREACHING
