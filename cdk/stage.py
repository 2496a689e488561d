"""One stage of the chain: rule, queue, dead-letter queue, function, and nothing that the topology does not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from cdk.common import Common
from cdk.function import Function
from cdk.stage_queue import StageQueue
from cdk.stage_rule import DeletionRule, StageRule
from functions.topology import Stage


class ChainStage(Construct):
    """`queue` and `function`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        common: Common,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        environment = common.environment
        self.queue = StageQueue(self, "Queues", environment=environment, stage=stage)
        if stage.prefix:
            StageRule(self, "Notices", environment=environment, stage=stage, queue=self.queue)
        if stage.deleted_from:
            DeletionRule(self, "Deletions", environment=environment, stage=stage, queue=self.queue)
        self.function = Function(self, "Work", row=stage, common=common, overrides=overrides)
        # Bounded here and not by reserved concurrency, whose throttles count as receives of a message.
        self.source = sources.SqsEventSource(
            self.queue.queue,
            batch_size=stage.batch_size,
            max_concurrency=stage.at_once_max,
            report_batch_item_failures=True,
        )
        self.function.function.add_event_source(self.source)
