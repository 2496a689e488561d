"""Alarms, their runbook, and what every stack has in common: tags, findings with reasons, no account."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from functions.batch import MARGIN_S
from functions.topology import BESIDE, TOPOLOGY, WATCHED
from tests.templates import ACCOUNT, Templates

RUNBOOK = Path("docs/runbook.md")


def alarms(templates: Templates) -> dict[str, dict]:
    """By name without product and environment."""
    return {
        each["Properties"]["AlarmName"].removeprefix(templates.named("")): each["Properties"]
        for each in templates.of("AWS::CloudWatch::Alarm").values()
    }


def test_every_stage_has_its_alarms(dev: Templates) -> None:
    """Dead letters, waiting, errors, throttles and time near the time-out for each stage; a silent tick; the books."""
    expected = {
        f"{stage.name}-{kind}"
        for stage in TOPOLOGY
        for kind in ("dead-letters", "waiting", "errors", "throttled", "slow")
    }
    expected |= {f"{each.name}-{kind}" for each in BESIDE for kind in ("errors", "throttled", "slow")}
    expected |= {each.alarm for each in WATCHED}
    expected |= {"tick-silent", "ledger-connections", "ledger-capacity", "extraction-missed"}
    assert set(alarms(dev)) == expected


def test_every_alarm_rings_and_ends_in_the_topic(dev: Templates, full: Templates) -> None:
    """The topic is encrypted, over TLS, published to by CloudWatch of this account, and read by who is named."""
    [topic] = dev.of("AWS::SNS::Topic")
    for each in alarms(dev).values():
        assert each["AlarmActions"] == each["OKActions"] == [topic]
    assert dev.of("AWS::SNS::Topic")[topic]["Properties"]["KmsMasterKeyId"].startswith("storage/Key")
    statements = dev.properties("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    [denied] = [each for each in statements if each["Effect"] == "Deny"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    [allowed] = [each for each in statements if each["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert full.properties("AWS::SNS::Subscription")["Endpoint"] == "operations@example.net"
    assert not dev.of("AWS::SNS::Subscription")


def test_limits_of_alarms_follow_the_topology(dev: Templates) -> None:
    """Dead letters ring at the first; a function behind the time in which it may still begin something; a silent tick rings."""
    found = alarms(dev)
    for stage in TOPOLOGY:
        dead = found[f"{stage.name}-dead-letters"]
        assert (dead["Threshold"], dead["EvaluationPeriods"]) == (1, 1)
        assert dead["Dimensions"] == [{"Name": "QueueName", "Value": f"tieout-dev-{stage.queue}-dead"}]
        slow_s = found[f"{stage.name}-slow"]["Threshold"] / 1000
        assert max(0.8 * stage.timeout_s, stage.timeout_s - MARGIN_S) <= slow_s < stage.timeout_s
    silent = found["tick-silent"]
    assert silent["TreatMissingData"] == "breaching"
    assert silent["ComparisonOperator"] == "LessThanOrEqualToThreshold"
    assert {each["TreatMissingData"] for name, each in found.items() if name != "tick-silent"} == {"notBreaching"}
    for each in WATCHED:
        assert (found[each.alarm]["Namespace"], found[each.alarm]["MetricName"]) == ("Tieout", each.metric)
        assert found[each.alarm]["Dimensions"] == [{"Name": "service", "Value": "tieout-dev"}]


def test_tick_publishes_every_figure_that_an_alarm_watches() -> None:
    """The names in the topology are names of measures, without a dimension of their own."""
    source = Path("runtime/measures.py").read_text()
    for each in WATCHED:
        assert f'"{each.metric}"' in source


def test_every_alarm_has_its_place_in_the_runbook(dev: Templates) -> None:
    """Each alarm is named in exactly one section, and no section names an alarm that does not exist."""
    sections = re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    named = [name for section in sections for name in re.findall(r"^- `([a-z-]+)`$", section, flags=re.MULTILINE)]
    assert sorted(named) == sorted(alarms(dev))
    for section in sections:
        for part in ("**It means**", "**Look**", "**Do**"):
            assert part in section or "- `" not in section, section.partition("\n")[0]


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_no_template_holds_an_account_or_a_region(environment: str, request: pytest.FixtureRequest) -> None:
    """Beside the ARNs that the example configuration itself names."""
    templates: Templates = request.getfixturevalue(environment)
    for name, template in templates.stacks.items():
        text = re.sub(r"arn:aws:secretsmanager:eu-central-1:111122223333:secret:", "", json.dumps(template))
        assert not re.search(r"\b\d{12}\b", text), name
        assert "eu-central-1" not in text, name


def test_everything_is_tagged(dev: Templates) -> None:
    """With product and environment, wherever a resource takes tags as a list."""
    for kind in ("AWS::S3::Bucket", "AWS::Lambda::Function", "AWS::SQS::Queue", "AWS::RDS::DBCluster", "AWS::KMS::Key"):
        for each in dev.of(kind).values():
            tags = {tag["Key"]: tag["Value"] for tag in each["Properties"]["Tags"]}
            assert tags.items() >= {"product": "tieout", "environment": "dev"}.items()


@pytest.mark.parametrize("environment", ["dev", "prod", "full"])
def test_cdk_nag_finds_nothing_that_is_not_acknowledged(environment: str, synthesised: Path) -> None:
    """The report of AwsSolutions has no violation; with one the app does not synthesise at all."""
    report = json.loads((synthesised / environment / "validation-report.json").read_text())
    assert not [each for plugin in report["pluginReports"] for each in plugin.get("violations", ())]


def test_every_acknowledged_finding_has_its_reason(synthesised: Path) -> None:
    """In code beside it, as a sentence."""
    found = []
    for path in (synthesised / "full").glob("*.metadata.json"):
        found += [
            (finding, reason)
            for entries in json.loads(path.read_text()).values()
            for entry in entries
            if entry["type"] == "aws:cdk:acknowledged-rules"
            for finding, reason in entry["data"].items()
            # CDK's own constructs acknowledge findings of CDK's own validation.
            if finding.startswith("AwsSolutions-")
        ]
    assert {finding for finding, _ in found} >= {"AwsSolutions-S1", "AwsSolutions-L1"}
    for finding, reason in found:
        assert len(reason) > 30, finding
        assert reason.endswith("."), finding
