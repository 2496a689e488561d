"""The queue of a stage and its dead-letter queue."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.environment import Environment
from functions.topology import Stage

DEAD = "-dead"
DEAD_KEPT = Duration.days(14)
RECEIVES_MAX = 5
SHORT_S_MAX = 300
SHORT_FACTOR = 6


def visibility_s(stage: Stage) -> int:
    """How long a message that was received stays invisible, unless it is answered.

    Six times the time-out for short functions, as AWS advises. The long ones are woken, not told: the message says
    nothing that tick would not say again a minute later. They get the shortest time that Lambda accepts, their time-out.
    """
    return stage.timeout_s * (SHORT_FACTOR if stage.timeout_s <= SHORT_S_MAX else 1)


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
            visibility_timeout=Duration.seconds(visibility_s(stage)),
            # Shorter than the other's, so that a message arrives there with time left.
            retention_period=Duration.days(4),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead, max_receive_count=RECEIVES_MAX),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )
