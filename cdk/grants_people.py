"""What only people may do, one function per kind of thing; what functions and tasks may do is in `cdk.grants`."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws
from aws_cdk import aws_iam as iam

from cdk.acknowledge import acknowledge_wildcards
from cdk.environment import PRODUCT, Environment

DEAD = "-dead"


def may_look_into(role: iam.Role, *, queues: Sequence[str]) -> None:
    """See how many messages there are in these queues and in their dead letters, never what is in them."""
    arns = [queue_arn(each + end) for each in queues for end in ("", DEAD)]
    role.add_to_policy(iam.PolicyStatement(actions=["sqs:GetQueueUrl", "sqs:GetQueueAttributes"], resources=arns))


def may_requeue(role: iam.Role, *, queues: Sequence[str]) -> None:
    """Take messages out of the dead letters of these queues, and send to the queues."""
    role.add_to_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queue_arn(each) for each in queues]))
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"],
            resources=[queue_arn(each + DEAD) for each in queues],
        )
    )


def may_watch_tasks(role: iam.Role, *, cluster: str) -> None:
    """See how the tasks of this cluster do."""
    tasks = f"{_arn('ecs')}:task/{cluster}/*"
    role.add_to_policy(iam.PolicyStatement(actions=["ecs:DescribeTasks"], resources=[tasks]))
    acknowledge_wildcards(role, [tasks], "The tasks of one cluster: ECS names them as they start.")


def may_read_log(role: iam.Role, *, environment: Environment, group: str) -> None:
    """Read what tasks printed."""
    arn = f"{_arn('logs')}:log-group:/{PRODUCT}/{environment.name}/{group}:*"
    role.add_to_policy(iam.PolicyStatement(actions=["logs:FilterLogEvents", "logs:GetLogEvents"], resources=[arn]))
    acknowledge_wildcards(role, [arn], "The streams of one log group: Fargate names them as tasks start.")


def may_read_outputs(role: iam.Role, *, stack: str) -> None:
    """Of one stack: where its tasks run, and the variables of a command."""
    arn = f"{_arn('cloudformation')}:stack/{stack}/*"
    role.add_to_policy(iam.PolicyStatement(actions=["cloudformation:DescribeStacks"], resources=[arn]))
    acknowledge_wildcards(role, [arn], "One stack: CloudFormation adds an id of its own.")


def queue_arn(name: str) -> str:
    return f"{_arn('sqs')}:{name}"


def _arn(service: str) -> str:
    return f"arn:{Aws.PARTITION}:{service}:{Aws.REGION}:{Aws.ACCOUNT_ID}"
