"""Roles for people: who may take them, what they may do with a chain, and above all what they may not."""

from __future__ import annotations

from typing import Any

import pytest

from functions.topology import TOPOLOGY
from tests.templates import ACCOUNT, REGION, Role, Templates
from tests.unit.cdk.test_cdk_least_privilege import FUNCTIONS, STORES, reach, users

BOTH = pytest.mark.parametrize("duty", ["auditor", "operator"])
QUEUES = [f"{stage.queue}{end}" for stage in TOPOLOGY for end in ("", "-dead")]
SINGLE_SIGN_ON = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_Payments_0123456789abcdef"


def person(templates: Templates, duty: str) -> Role:
    [name] = [
        name
        for name, each in templates.of("AWS::IAM::Role", "people").items()
        if each["Properties"].get("RoleName") == templates.named(duty)
    ]
    return Role(templates, name)


def task(templates: Templates, duty: str) -> tuple[str, dict[str, Any]]:
    """(logical name, properties)."""
    [found] = [
        (name, each["Properties"])
        for name, each in templates.of("AWS::ECS::TaskDefinition", "people").items()
        if each["Properties"]["Family"] == templates.named(duty)
    ]
    return found


def roles(templates: Templates, duty: str) -> list[Role]:
    """The person's and the task's."""
    _, made = task(templates, duty)
    return [person(templates, duty), Role(templates, made["TaskRoleArn"].removesuffix(".Arn"))]


def queue(templates: Templates, name: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{templates.named(name)}"


def test_nobody_named_no_role(dev: Templates) -> None:
    """Without auditors and operators in the context there is no stack, no user of the ledger and nothing to start."""
    assert "people" not in dev.stacks
    [made] = dev.of("Custom::TieoutLedger").values()
    assert not {"tieout_auditor", "tieout_operator"} & {
        name for each in ("Writers", "Readers") for name in made["Properties"][each].split(",")
    }


@BOTH
def test_a_role_is_taken_with_a_second_factor(full: Templates, duty: str) -> None:
    """By the named only; whoever signs in by Identity Center gave the factor there, and its sessions cannot say so."""
    trusted = person(full, duty).trusted
    named = {each["Principal"]["AWS"]: each.get("Condition") for each in trusted}
    wanted: dict[str, Any] = {
        f"arn:aws:iam::111122223333:user/{duty}": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    }
    if duty == "operator":
        wanted[SINGLE_SIGN_ON] = None
    assert named == wanted
    assert {each["Action"] for each in trusted} == {"sts:AssumeRole"}


def test_an_auditor_reads_everything_and_changes_nothing(full: Templates) -> None:
    """Every store and the ledger as a reader; no put, no deletion, no message, no secret, no key by itself."""
    for role in roles(full, "auditor"):
        assert reach(role, full, "s3:GetObject") == set(STORES)
        assert users(role, [*FUNCTIONS, "auditor", "operator"]) == {"auditor"}
        for action in ("s3:PutObject", "s3:DeleteObject", "s3:BypassGovernanceRetention", "s3:PutObjectRetention"):
            assert not reach(role, full, action)
        for action in ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "secretsmanager:GetSecretValue"):
            assert not role.resources_of(action)
        [key] = role.resources_of("kms:Decrypt")
        assert role.may("kms:Decrypt", key, kms__ViaService=f"s3.{REGION}.amazonaws.com")
        assert not role.may("kms:Decrypt", key)
        assert not role.resources_of("kms:GenerateDataKey")


def test_an_operator_requeues_and_opens_no_secret(full: Templates) -> None:
    """Takes messages from dead letters only, sends to the stages, keeps lists of chosen payments, reads no raw data."""
    for role in roles(full, "operator"):
        assert users(role, [*FUNCTIONS, "auditor", "operator"]) == {"operator"}
        assert reach(role, full, "s3:GetObject") == {"expected", "reported", "redeliveries"}
        assert reach(role, full, "s3:PutObject") == {"redeliveries"}
        assert not reach(role, full, "s3:DeleteObject")
        assert not role.resources_of("secretsmanager:GetSecretValue")
        for name in QUEUES:
            dead = name.endswith("-dead")
            assert role.may("sqs:SendMessage", queue(full, name)) == (not dead)
            for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"):
                assert role.may(action, queue(full, name)) == dead
            assert not role.may("sqs:PurgeQueue", queue(full, name))


@BOTH
def test_a_person_starts_tasks_of_the_duty_only(full: Templates, duty: str) -> None:
    """As they are defined, in their clusters, with their own roles; a task itself starts nothing."""
    name, made = task(full, duty)
    role = person(full, duty)
    [cluster] = full.of("AWS::ECS::Cluster", "people")
    assert role.may("ecs:RunTask", name, ecs__cluster=f"{cluster}.Arn")
    assert not role.may("ecs:RunTask", name, ecs__cluster="another")
    other, _ = task(full, "operator" if duty == "auditor" else "auditor")
    assert not role.may("ecs:RunTask", other, ecs__cluster=f"{cluster}.Arn")
    assert role.resources_of("ecs:RunTask") == {name}
    assert role.resources_of("iam:PassRole") == {made["TaskRoleArn"], made["ExecutionRoleArn"]}
    for each in role.resources_of("iam:PassRole"):
        assert not role.may("iam:PassRole", each, iam__PassedToService="lambda.amazonaws.com")
    for action in ("ecs:RunTask", "iam:PassRole", "logs:FilterLogEvents"):
        assert not Role(full, made["TaskRoleArn"].removesuffix(".Arn")).resources_of(action)


@BOTH
def test_no_task_that_a_person_starts_can_open_a_secret(full: Templates, duty: str) -> None:
    """Whoever starts a task may replace its variables, so no role that a person hands over opens what logs in elsewhere."""
    for arn in person(full, duty).resources_of("iam:PassRole"):
        handed_over = Role(full, arn.removesuffix(".Arn"))
        assert not handed_over.resources_of("secretsmanager:GetSecretValue")


@BOTH
def test_a_person_reads_what_tasks_of_the_duty_printed(full: Templates, duty: str) -> None:
    """No log of a function, and none of another duty."""
    role = person(full, duty)
    for group in (*FUNCTIONS, "auditor", "operator", "delivery", "task-core"):
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/tieout/full/{group}:log-stream:x"
        assert role.may("logs:FilterLogEvents", arn) == (group == duty)


@BOTH
def test_no_policy_of_a_person_is_wide(full: Templates, duty: str) -> None:
    """No action holds a wildcard, no managed policy is attached, no resource is `*`."""
    for role in roles(full, duty):
        assert role.managed == []
        for each in role.statements:
            actions = each["Action"] if isinstance(each["Action"], list) else [each["Action"]]
            assert not [action for action in actions if "*" in action]
            assert each["Resource"] != "*"
            assert not {action.partition(":")[0] for action in actions} & {"ec2", "lambda", "rds", "sts"}


@BOTH
def test_a_task_of_a_person_has_no_way_out(full: Templates, duty: str) -> None:
    """It runs where functions that speak with AWS and the ledger only do, as nobody who could log in, on its scratch."""
    _, made = task(full, duty)
    [container] = made["ContainerDefinitions"]
    assert container["ReadonlyRootFilesystem"]
    assert (container["User"], container["Command"]) == ("10001", ["status"])
    told = {each["Name"]: each["Value"] for each in container["Environment"]}
    outputs = full.stacks["people"]["Outputs"]
    said = {name: full.resolved(each["Value"], "people") for name, each in outputs.items()}
    assert said[f"{duty.capitalize()}Config"] == told["TIEOUT_CONFIG"]
    assert said[f"{duty.capitalize()}Overrides"] == told["TIEOUT_OVERRIDES"]
    assert f"postgresql://tieout_{duty}@" in told["TIEOUT_OVERRIDES"]
    inside = full.function("curate")["VpcConfig"]
    assert said["Network"] == (
        f"awsvpcConfiguration={{subnets=[{','.join(inside['SubnetIds'])}],"
        f"securityGroups=[{','.join(inside['SecurityGroupIds'])}]}}"
    )


def test_the_ledger_knows_people_by_duty(full: Templates) -> None:
    """The auditor's user reads, the operator's writes, and each has a bound of connections."""
    [made] = full.of("Custom::TieoutLedger").values()
    properties = made["Properties"]
    assert "tieout_auditor" in properties["Readers"].split(",")
    assert "tieout_operator" in properties["Writers"].split(",")
    assert {"tieout_auditor=4", "tieout_operator=4"} <= set(properties["ConnectionsMax"].split(","))
