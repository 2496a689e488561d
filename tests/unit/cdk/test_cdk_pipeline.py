"""The pipeline stack: rule, queue, dead-letter queue and function of every stage, as the topology says."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path

import pytest

from functions.topology import BESIDE, TOPOLOGY, Stage, stages_for
from runtime.settings import decode
from tests.templates import Templates

STAGES = pytest.mark.parametrize("stage", TOPOLOGY, ids=lambda stage: stage.name)
KEYS = (
    "raw/core/2026-03-02/000001/00000.parquet",
    "raw/core/2026-03-02/000001/manifest.json",
    "raw/core/2026-03-02/000001/00000.csv",
    "curated/core/2026-03-02/000001/00000.parquet",
    "curated/core/2026-03-02/000001/complete.json",
    "quarantine/core/2026-03-02/000001/00000.parquet",
    "expected/bank/2026-03-02/f.parquet",
    "manifests/bank/2026-03-02/f.json",
    "outbound/bank/2026-03-02/f/bank_1.csv",
    "results/bank/2026-03-02/s/answer.ack",
    "reported/bank/2026-03-02/s.parquet",
    "matched/bank/2026-03-02/f/e.parquet",
    "open/bank/2026-03-02/f/e.parquet",
    "index/00000001.parquet",
    "pool/00000001.parquet",
    "exports/e.csv",
    "heads/h.json",
)


def queue(templates: Templates, name: str) -> dict:
    return templates.properties("AWS::SQS::Queue", QueueName=templates.named(name))


@STAGES
def test_visibility_is_six_times_a_short_time_out_and_the_least_for_a_wake_up(dev: Templates, stage: Stage) -> None:
    """Lambda refuses less than the time-out; deliver, collect and reconcile have exactly that, curate and read six times."""
    found = queue(dev, stage.queue)["VisibilityTimeout"]
    assert found >= stage.timeout_s
    if stage.name in {"deliver", "collect", "reconcile", "assemble", "extract"}:
        assert found == stage.timeout_s
    else:
        assert found == 6 * stage.timeout_s


@STAGES
def test_every_queue_has_a_dead_letter_queue_of_its_own(dev: Templates, stage: Stage) -> None:
    """After five receives a message lies there for 14 days, longer than in the queue itself; both are encrypted."""
    found, dead = queue(dev, stage.queue), queue(dev, f"{stage.queue}-dead")
    assert found["RedrivePolicy"] == {"deadLetterTargetArn": dev.queue_arn(f"{stage.queue}-dead"), "maxReceiveCount": 5}
    assert dead["MessageRetentionPeriod"] == 14 * 86_400 > found["MessageRetentionPeriod"]
    assert found["SqsManagedSseEnabled"]
    assert dead["SqsManagedSseEnabled"]


def test_every_queue_is_reached_over_tls_and_by_its_rule_only(dev: Templates) -> None:
    """Whoever comes without TLS is denied; of services only EventBridge may send, for the rule of that queue."""
    rules = dev.of("AWS::Events::Rule")
    for each in dev.of("AWS::SQS::QueuePolicy").values():
        [name] = each["Properties"]["Queues"]
        statements = each["Properties"]["PolicyDocument"]["Statement"]
        assert any(
            s["Effect"] == "Deny" and s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} for s in statements
        )
        for statement in (s for s in statements if s["Effect"] == "Allow"):
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            [source] = statement["Condition"]["ArnEquals"].values()
            targets = rules[source.removesuffix(".Arn")]["Properties"]["Targets"]
            assert {f"{name}.Arn"} <= {t["Arn"] for t in targets} | {t["DeadLetterConfig"]["Arn"] for t in targets}


@STAGES
def test_concurrency_is_bounded_at_the_event_source(dev: Templates, stage: Stage) -> None:
    """MaximumConcurrency of the topology, at least Lambda's least of 2, and single messages may fail."""
    [found] = [
        each["Properties"]
        for each in dev.of("AWS::Lambda::EventSourceMapping").values()
        if each["Properties"]["EventSourceArn"] == dev.queue_arn(stage.queue)
    ]
    assert found["ScalingConfig"] == {"MaximumConcurrency": stage.at_once_max}
    assert stage.at_once_max >= 2
    assert found["BatchSize"] == stage.batch_size
    assert found["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_no_function_reserves_concurrency(prod: Templates) -> None:
    """Its throttles would count as receives of messages that nobody looked at."""
    for each in prod.of("AWS::Lambda::Function").values():
        assert "ReservedConcurrentExecutions" not in each["Properties"]


def test_rules_start_what_the_topology_says(dev: Templates) -> None:
    """For keys of every store: the stages whose rule matches are those that `stages_for` names."""

    def matches(pattern: dict, bucket: str, key: str) -> bool:
        detail = pattern["detail"]
        allowed = detail["object"]["key"]
        return bucket in detail["bucket"]["name"] and any(
            key.startswith(each["prefix"]) if "prefix" in each else fnmatch.fnmatchcase(key, each["wildcard"])
            for each in allowed
        )

    overrides = json.loads(dev.function("tick")["Environment"]["Variables"]["TIEOUT_OVERRIDES"])
    places = {
        **overrides["stores"]["by_store"],
        "exports": f"s3://{dev.bucket('curated')}",
    }
    rules = [
        each["Properties"]
        for each in dev.of("AWS::Events::Rule").values()
        if each["Properties"].get("EventPattern", {}).get("detail-type") not in (None, ["Object Deleted"])
    ]
    for key in KEYS:
        bucket = places[key.partition("/")[0]].removeprefix("s3://")
        started = {rule["Targets"][0]["Arn"] for rule in rules if matches(rule["EventPattern"], bucket, key)}
        assert started == {dev.queue_arn(stage.queue) for stage in stages_for(key)}, key
    for rule in rules:
        assert rule["EventPattern"]["source"] == ["aws.s3"]
        assert rule["EventPattern"]["detail-type"] == ["Object Created"]
        assert "QueuesDead" in rule["Targets"][0]["DeadLetterConfig"]["Arn"]


@pytest.mark.parametrize("row", [*TOPOLOGY, *BESIDE], ids=lambda row: row.name)
def test_every_function_is_what_the_topology_says(dev: Templates, row: Stage) -> None:
    """Handler, time-out, memory, layers (at most five), tracing, and a log group of its own that ends."""
    found = dev.function(row.name)
    assert (found["Handler"], found["Timeout"], found["MemorySize"]) == (row.handler, row.timeout_s, row.memory_mb)
    assert len(found["Layers"]) == len(row.layers) <= 5
    assert found["TracingConfig"] == {"Mode": "Active"}
    assert (found["Runtime"], found["Architectures"]) == ("python3.13", ["x86_64"])
    group = dev.properties("AWS::Logs::LogGroup", LogGroupName=f"/tieout/dev/{row.name}")
    assert group["RetentionInDays"] == 30
    assert group["KmsKeyId"].startswith("storage/Key")
    assert dev.of("AWS::Logs::LogGroup")[found["LoggingConfig"]["LogGroup"]]["Properties"] == group


def test_tick_is_called_every_minute_and_never_twice_for_one(dev: Templates) -> None:
    """A call that failed is not repeated: the next one does the same."""
    rule = dev.properties("AWS::Events::Rule", Name="tieout-dev-tick")
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert rule["Targets"][0]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}
    kept = {
        each["Properties"]["MaximumEventAgeInSeconds"] for each in dev.of("AWS::Lambda::EventInvokeConfig").values()
    }
    assert kept == {60, 21_600}
    assert {e["Properties"]["MaximumRetryAttempts"] for e in dev.of("AWS::Lambda::EventInvokeConfig").values()} == {0}


def test_the_only_custom_resource_brings_the_ledger_to_the_code(dev: Templates) -> None:
    """It names every user with its limit, changes with the code, and comes before any function that handles messages."""
    kinds = {each["Type"] for template in dev.stacks.values() for each in template["Resources"].values()}
    assert {kind for kind in kinds if kind.startswith(("Custom::", "AWS::CloudFormation::"))} == {
        "Custom::TieoutLedger"
    }
    [(name, found)] = dev.of("Custom::TieoutLedger").items()
    users = {f"tieout_{stage.name}" for stage in TOPOLOGY} | {"tieout_tick", "tieout_delivery", "tieout_task_core"}
    readers, witnesses = {"tieout_anchor", "tieout_dashboard"}, {"tieout_export"}
    assert set(found["Properties"]["Writers"].split(",")) == users - witnesses
    assert set(found["Properties"]["Readers"].split(",")) == readers
    assert set(found["Properties"]["Witnesses"].split(",")) == witnesses
    limits = dict(each.split("=") for each in found["Properties"]["ConnectionsMax"].split(","))
    assert set(limits) == {*users, *readers}
    assert len(found["Properties"]["Code"]) == 64
    schedules = [dev.of("AWS::Events::Rule")[name] for name in scheduled_rules(dev)]
    for each in (*dev.of("AWS::Lambda::EventSourceMapping").values(), *schedules):
        assert name.partition("/")[2] in each["DependsOn"]
    functions = {
        each["Properties"]["FunctionName"]: each.get("DependsOn", [])
        for each in dev.of("AWS::Lambda::Function").values()
        if "FunctionName" in each["Properties"]
    }
    for called in (*(stage.name for stage in TOPOLOGY), "tick", "anchor"):
        assert name.partition("/")[2] in functions[f"tieout-dev-{called}"], called


def scheduled_rules(templates: Templates) -> list[str]:
    rules = templates.of("AWS::Events::Rule").items()
    return [key for key, each in rules if "ScheduleExpression" in each["Properties"]]


def test_the_audit_log_is_anchored_once_a_day(dev: Templates) -> None:
    """By a rule of its own."""
    rule = dev.properties("AWS::Events::Rule", Name="tieout-dev-anchor")
    assert rule["ScheduleExpression"] == "rate(1 day)"
    assert len(scheduled_rules(dev)) == 2


def test_functions_are_told_what_only_the_deployment_knows(dev: Templates) -> None:
    """The configuration's place, and overrides under Lambda's limit of 4 KB that the product itself accepts."""
    example = Path("cdk/examples/tieout.toml").read_bytes()
    for row in (*TOPOLOGY, *BESIDE):
        variables = dev.function(row.name)["Environment"]["Variables"]
        assert variables["TIEOUT_CONFIG"].startswith("s3://cdk-")
        assert sum(len(key) + len(value) for key, value in variables.items()) < 3_500
        found = decode(example, "tieout.toml", variables["TIEOUT_OVERRIDES"])
        assert found.ledger.connections_max == 1
        assert found.ledger.iam == (row.name != "migrate")
        user = "tieout_owner" if row.name == "migrate" else f"tieout_{row.name}"
        assert found.ledger.url.startswith(f"postgresql://{user}@")
        assert (found.queue.url, found.queue.prefix) == ("sqs:eu-central-1", "tieout-dev-")
        assert found.service.extract_by == "scheduler"
