"""The extraction stack: a Fargate task per source, started when the configuration says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.templates import ACCOUNT, Templates


def test_every_time_of_the_configuration_is_a_schedule_in_the_sources_zone(dev: Templates) -> None:
    """To the minute, started again for an hour when it cannot be started, then kept in a queue with an alarm."""
    found = [each["Properties"] for each in dev.of("AWS::Scheduler::Schedule").values()]
    assert {each["ScheduleExpression"] for each in found} == {
        "cron(30 6 * * ? *)",
        "cron(0 11 * * ? *)",
        "cron(0 15 * * ? *)",
    }
    for each in found:
        assert each["ScheduleExpressionTimezone"] == "Europe/Berlin"
        assert each["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert each["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 3}
        assert each["Target"]["DeadLetterConfig"]["Arn"] == dev.queue_arn("extraction-missed")
        network = each["Target"]["EcsParameters"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "DISABLED"
    alarm = dev.properties("AWS::CloudWatch::Alarm", AlarmName="tieout-dev-extraction-missed")
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "tieout-dev-extraction-missed"}]


def test_a_task_runs_one_source_without_rights_on_its_machine(dev: Templates) -> None:
    """`tieout extract SOURCE`, not as root, on a file system that only its spool can change."""
    [found] = dev.properties("AWS::ECS::TaskDefinition", "extraction")["ContainerDefinitions"]
    assert (found["EntryPoint"], found["Command"]) == (["tieout"], ["extract", "core", "--try-for", "30"])
    assert found["ReadonlyRootFilesystem"]
    image = Path("Dockerfile").read_text()
    assert f"USER {found['User']}\n" in image
    [mount] = found["MountPoints"]
    assert f"VOLUME {mount['ContainerPath']}\n" in image
    assert f"TMPDIR={mount['ContainerPath']} " in image
    assert not mount["ReadOnly"]
    variables = {each["Name"]: each["Value"] for each in found["Environment"]}
    assert "tieout_task_core@" in variables["TIEOUT_OVERRIDES"]
    assert "Secrets" not in found


def test_images_are_scanned_and_their_tags_never_move(dev: Templates, full: Templates) -> None:
    """The task runs the tag that the environment names."""
    found = dev.properties("AWS::ECR::Repository")
    assert found["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert found["ImageTagMutability"] == "IMMUTABLE"
    [container] = full.properties("AWS::ECS::TaskDefinition", "extraction")["ContainerDefinitions"]
    assert str(container["Image"]).endswith(":7")


def test_the_scheduler_may_start_these_tasks_only(dev: Templates) -> None:
    """It runs the task definition of the source and hands over its two roles, to ECS and to nobody else."""
    roles = {each["Properties"]["Target"]["RoleArn"] for each in dev.of("AWS::Scheduler::Schedule").values()}
    [name] = {role.removesuffix(".Arn") for role in roles}
    [statement, *others] = [
        each
        for policy in dev.of("AWS::IAM::Policy").values()
        if name in policy["Properties"]["Roles"]
        for each in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    by_action = {str(each["Action"]): each for each in (statement, *others)}
    assert set(by_action) == {"iam:PassRole", "ecs:RunTask", "sqs:SendMessage"}
    assert by_action["iam:PassRole"]["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }
    assert by_action["ecs:RunTask"]["Resource"] in dev.of("AWS::ECS::TaskDefinition")
    [cluster] = dev.of("AWS::ECS::Cluster", "extraction")
    assert by_action["ecs:RunTask"]["Condition"] == {"ArnEquals": {"ecs:cluster": f"{cluster}.Arn"}}
    [trusted] = dev.of("AWS::IAM::Role")[name]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    [group] = dev.of("AWS::Scheduler::ScheduleGroup")
    assert trusted["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trusted["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": f"{group}.Arn"}}


def test_jobs_on_eks_are_looked_at_where_the_environment_says(dev: Templates, full: Templates) -> None:
    """With a cluster named: an access entry for the source's task, for looking, in the named namespaces."""
    assert not dev.of("AWS::EKS::AccessEntry")
    found = full.properties("AWS::EKS::AccessEntry")
    assert found["ClusterName"] == "legacy"
    [policy] = found["AccessPolicies"]
    assert policy["PolicyArn"] == "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
    assert policy["AccessScope"] == {"Namespaces": ["payments"], "Type": "namespace"}
    role = full.task_role("core")
    assert found["PrincipalArn"] == f"{role.name}.Arn"
    assert role.resources_of("eks:DescribeCluster") == {"arn:aws:eks:eu-central-1:111122223333:cluster/legacy"}


@pytest.mark.parametrize("environment", ["dev", "full"])
def test_nothing_needs_docker(environment: str, request: pytest.FixtureRequest) -> None:
    """No image is an asset: whoever builds it pushes it to the repository."""
    templates: Templates = request.getfixturevalue(environment)
    assert templates.of("AWS::ECR::Repository")
    assert not [name for name in templates.stacks if "dockerImages" in str(templates.stacks[name].get("Metadata"))]
