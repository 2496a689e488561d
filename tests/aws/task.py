"""What ECS gives to a task that it starts: its variables, and credentials of its role."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.aws.assembly import PREFIX, Deployment
from tests.servers.ministack import ACCOUNT

LET_IN = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    ],
}
"""The emulator starts no containers: whoever deployed hands out the credentials in the place of ECS."""


@dataclass(frozen=True)
class Task:
    """`variables` hold the credentials, too."""

    role: str
    command: tuple[str, ...]
    variables: dict[str, str]


def task_named(deployment: Deployment, name: str) -> Task:
    """The newest revision of the task's definition."""
    found = deployment.client("ecs").describe_task_definition(taskDefinition=PREFIX + name)["taskDefinition"]
    [container] = found["containerDefinitions"]
    role = found["taskRoleArn"].rpartition("/")[2]
    deployment.client("iam").update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LET_IN))
    taken = deployment.client("sts").assume_role(RoleArn=found["taskRoleArn"], RoleSessionName=name)["Credentials"]
    credentials = {
        "AWS_ACCESS_KEY_ID": taken["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": taken["SecretAccessKey"],
        "AWS_SESSION_TOKEN": taken["SessionToken"],
    }
    variables = {each["name"]: each["value"] for each in container["environment"]}
    return Task(role, tuple(container["command"]), {**variables, **credentials})
