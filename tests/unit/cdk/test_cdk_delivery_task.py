"""The Fargate task for large deliveries: what it may do, who may start it, and what the function that starts it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from functions.topology import TOPOLOGY, stage_named
from runtime.settings import decode
from tests.templates import Role, Templates

EXAMPLE = Path("cdk/examples/tieout.toml")


def task(templates: Templates) -> tuple[str, dict[str, Any]]:
    """(logical name, properties)."""
    [found] = templates.of("AWS::ECS::TaskDefinition", "pipeline").items()
    return found[0], found[1]["Properties"]


def variables(function: dict[str, Any]) -> dict[str, str]:
    return dict(function["Environment"]["Variables"])


def test_the_task_may_do_what_the_function_may(dev: Templates) -> None:
    """The same statements on objects, secrets and key, a user of its own in the ledger, and nothing of queues or tasks."""
    _, made = task(dev)
    role, function = Role(dev, made["TaskRoleArn"].removesuffix(".Arn")), dev.role_of("deliver")
    for action in ("s3:GetObject", "s3:ListBucket", "secretsmanager:GetSecretValue", "kms:Decrypt"):
        assert role.resources_of(action) == function.resources_of(action) != set()
    for action in ("s3:PutObject", "sqs:ReceiveMessage", "sqs:SendMessage", "ecs:RunTask", "iam:PassRole"):
        assert not role.resources_of(action)
    assert {each.rpartition("/")[2] for each in role.resources_of("rds-db:connect")} == {"tieout_delivery"}


def test_it_runs_without_rights_on_its_machine(dev: Templates) -> None:
    """Not as root, on a file system that only its scratch folder can change; whoever starts it says for which acquirer."""
    _, made = task(dev)
    [container] = made["ContainerDefinitions"]
    assert (container["Name"], container["EntryPoint"], container["Command"]) == ("deliver", ["tieout"], ["--help"])
    assert container["ReadonlyRootFilesystem"]
    assert container["User"] not in {"", "0", "root"}
    assert str(container["Image"]).endswith(".amazonaws.com/tieout-dev-extract:0.1.0")


def test_only_deliver_may_start_it_and_only_as_it_is(dev: Templates) -> None:
    """In its own cluster, with its own two roles, handed over to ECS; no other function starts anything."""
    name, made = task(dev)
    [cluster] = dev.of("AWS::ECS::Cluster", "pipeline")
    role = dev.role_of("deliver")
    assert role.resources_of("ecs:RunTask") == {name}
    assert role.resources_of("iam:PassRole") == {made["TaskRoleArn"], made["ExecutionRoleArn"]}
    assert role.may("ecs:RunTask", name, ecs__cluster=f"{cluster}.Arn")
    assert not role.may("ecs:RunTask", name, ecs__cluster="another")
    assert role.may("iam:PassRole", made["TaskRoleArn"], iam__PassedToService="ecs-tasks.amazonaws.com")
    assert not role.may("iam:PassRole", made["TaskRoleArn"], iam__PassedToService="lambda.amazonaws.com")
    for stage in TOPOLOGY:
        if stage.name != "deliver":
            assert not dev.role_of(stage.name).resources_of("ecs:RunTask")


def test_deliver_is_told_of_it_and_nobody_else(dev: Templates) -> None:
    """Where it runs is where the function runs: behind the fixed addresses that acquirers let in."""
    name, _ = task(dev)
    example = EXAMPLE.read_bytes()
    function = dev.function("deliver")
    told = decode(example, "t", variables(function)["TIEOUT_OVERRIDES"]).service.delivery_task
    assert told is not None
    assert told.definition == name
    assert told.container == "deliver"
    assert told.subnets == function["VpcConfig"]["SubnetIds"]
    assert told.security_groups == function["VpcConfig"]["SecurityGroupIds"]
    for stage in TOPOLOGY:
        overrides = json.loads(variables(dev.function(stage.name))["TIEOUT_OVERRIDES"])
        assert ("delivery_task" in overrides["service"]) == (stage.name == "deliver")
        assert overrides["service"]["extract_by"] == "scheduler"


def test_the_task_itself_is_told_of_none(dev: Templates) -> None:
    """It delivers, whatever the size: a task that started tasks would never deliver."""
    _, made = task(dev)
    [container] = made["ContainerDefinitions"]
    told = {each["Name"]: each["Value"] for each in container["Environment"]}
    found = decode(EXAMPLE.read_bytes(), "t", told["TIEOUT_OVERRIDES"])
    assert found.service.delivery_task is None
    assert found.ledger.url.startswith("postgresql://tieout_delivery@")
    assert stage_named("deliver").reads == ("outbound", "expected")
