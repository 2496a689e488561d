"""The queue of a stage and its dead-letter queue."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.environment import Environment
from functions.topology import RECEIVES_MAX, Stage

DEAD = "-dead"
DEAD_KEPT = Duration.days(14)


class StageQueue(Construct):
    """`queue`, and `dead` for messages that were received too often."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        self.dead = sqs.Queue(
            self,
            "Dead",
            queue_name=environment.named(stage.queue + DEAD),
            retention_period=DEAD_KEPT,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=environment.named(stage.queue),
            visibility_timeout=Duration.seconds(stage.visibility_s),
            # Shorter than the other's, so that a message arrives there with time left.
            retention_period=Duration.days(4),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead, max_receive_count=RECEIVES_MAX),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )
