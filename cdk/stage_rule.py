"""The rules that send a stage's notices: objects created under its prefix, with one of its endings, or objects deleted."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from cdk.environment import Environment
from cdk.stage_queue import StageQueue
from cdk.stores import bucket_name, bucket_of
from functions.topology import Stage


def key_patterns(stage: Stage) -> list[dict[str, str]]:
    """What `functions.topology.stages_for` says of a key, in EventBridge's words."""
    if not stage.suffixes:
        return [{"prefix": stage.prefix}]
    return [{"wildcard": f"{stage.prefix}*{suffix}"} for suffix in stage.suffixes]


class StageRule(Construct):
    """From S3 through EventBridge into the stage's queue; what cannot be delivered goes to its dead-letter queue."""

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, stage: Stage, queue: StageQueue
    ) -> None:
        super().__init__(scope, construct_id)
        bucket = bucket_name(environment, bucket_of(stage.prefix.partition("/")[0]))
        detail: dict[str, Any] = {"bucket": {"name": [bucket]}, "object": {"key": key_patterns(stage)}}
        events.Rule(
            self,
            "Rule",
            rule_name=environment.named(stage.name),
            description=f"Objects under {stage.prefix} start {stage.name}",
            event_pattern=events.EventPattern(source=["aws.s3"], detail_type=["Object Created"], detail=detail),
            targets=[targets.SqsQueue(queue.queue, dead_letter_queue=queue.dead)],
        )


def deleted_pattern(environment: Environment, stage: Stage) -> dict[str, Any]:
    """Objects of the stores in `deleted_from`, in whichever of our buckets they lie."""
    buckets = sorted({bucket_of(store) for store in stage.deleted_from})
    return {
        "bucket": {"name": [bucket_name(environment, each) for each in buckets]},
        "object": {"key": [{"prefix": f"{store}/"} for store in stage.deleted_from]},
    }


class DeletionRule(Construct):
    """The same for a stage that is started by deleted objects."""

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, stage: Stage, queue: StageQueue
    ) -> None:
        super().__init__(scope, construct_id)
        pattern = events.EventPattern(
            source=["aws.s3"], detail_type=["Object Deleted"], detail=deleted_pattern(environment, stage)
        )
        events.Rule(
            self,
            "Rule",
            rule_name=environment.named(stage.name),
            description=f"Deleted objects start {stage.name}",
            event_pattern=pattern,
            targets=[targets.SqsQueue(queue.queue, dead_letter_queue=queue.dead)],
        )
