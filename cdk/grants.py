"""What a role may do, one function per kind of thing. Nothing is granted in any other place but `cdk.grants_people`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aws_cdk import Aws
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk.acknowledge import acknowledge, acknowledge_wildcards
from cdk.environment import Environment
from cdk.ledger import Ledger
from cdk.stores import bucket_arn, bucket_of, objects_arn

PREFIX_REASON = "All objects of one store, which is one prefix: the keys below it are not known beforehand."


def may_read(role: iam.Role, *, environment: Environment, stores: Sequence[str]) -> None:
    """Get and list what lies in `stores`."""
    _on_objects(role, environment, stores, ["s3:GetObject"])
    for bucket in sorted({bucket_of(store) for store in stores}):
        prefixes = [f"{store}/*" for store in stores if bucket_of(store) == bucket]
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[bucket_arn(environment, bucket)],
                conditions={"StringLike": {"s3:prefix": prefixes}},
            )
        )


def may_put(role: iam.Role, *, environment: Environment, stores: Sequence[str]) -> None:
    """Put objects, also in parts. Nobody may delete."""
    _on_objects(role, environment, stores, ["s3:PutObject", "s3:AbortMultipartUpload"])


def _on_objects(role: iam.Role, environment: Environment, stores: Sequence[str], actions: list[str]) -> None:
    if stores:
        arns = [objects_arn(environment, store) for store in stores]
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=arns))
        acknowledge_wildcards(role, arns, PREFIX_REASON)


def may_use_key(role: iam.Role, *, key: kms.IKey, services: Iterable[str], encrypts: bool = True) -> None:
    """Decrypt with the environment's key and, where it stores anything, encrypt: through these services only."""
    via = [f"{service}.{Aws.REGION}.{Aws.URL_SUFFIX}" for service in services]
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["kms:Decrypt", "kms:GenerateDataKey"] if encrypts else ["kms:Decrypt"],
            resources=[key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": via}},
        )
    )


def may_open(role: iam.Role, *, secrets: Sequence[str]) -> None:
    if secrets:
        role.add_to_policy(iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=list(secrets)))


def may_log_in(role: iam.Role, *, ledger: Ledger, user: str) -> None:
    """As this one user of the database. A ledger without IAM log-in needs no right of AWS."""
    if ledger.users_arn:
        role.add_to_policy(iam.PolicyStatement(actions=["rds-db:connect"], resources=[f"{ledger.users_arn}/{user}"]))


def may_send(role: iam.Role, *, queues: Sequence[str]) -> None:
    """Send to these queues, and see how full they are."""
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["sqs:SendMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"], resources=list(queues)
        )
    )


def may_fetch(role: iam.Role, *, bucket: str, key: str) -> None:
    """One object outside the stores: the configuration."""
    role.add_to_policy(
        iam.PolicyStatement(actions=["s3:GetObject"], resources=[f"arn:{Aws.PARTITION}:s3:::{bucket}/{key}"])
    )


def may_trace(role: iam.Role) -> None:
    """X-Ray has no resources to name."""
    role.add_to_policy(
        iam.PolicyStatement(actions=["xray:PutTraceSegments", "xray:PutTelemetryRecords"], resources=["*"])
    )
    acknowledge(role, "AwsSolutions-IAM5[Resource::*]", "X-Ray and network interfaces know no ARN to name beforehand.")


def may_join_network(role: iam.Role, *, function_arn: str) -> None:
    """For Lambda's own network interfaces. The code that runs in the function itself is denied the same."""
    actions = [
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    ]
    role.add_to_policy(iam.PolicyStatement(actions=actions, resources=["*"]))
    role.add_to_policy(
        iam.PolicyStatement(
            effect=iam.Effect.DENY,
            actions=actions,
            resources=["*"],
            conditions={"ArnEquals": {"lambda:SourceFunctionArn": function_arn}},
        )
    )


def may_write_logs(role: iam.Role, *, group_arn: str) -> None:
    streams = f"{group_arn}:log-stream:*"
    role.add_to_policy(iam.PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[streams]))
    acknowledge_wildcards(role, [streams], "The streams of one log group: Lambda and Fargate name them as they start.")


def may_start(role: iam.Role, *, definition: ecs.FargateTaskDefinition, cluster: ecs.ICluster) -> None:
    """Start this task in this cluster, and hand its two roles over to ECS and to nobody else."""
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["ecs:RunTask"],
            resources=[definition.task_definition_arn],
            conditions={"ArnEquals": {"ecs:cluster": cluster.cluster_arn}},
        )
    )
    roles = [each.role_arn for each in (definition.task_role, definition.execution_role) if each is not None]
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["iam:PassRole"],
            resources=roles,
            conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        )
    )
