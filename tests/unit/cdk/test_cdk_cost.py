"""That `tieout cost` counts what the templates deploy: its constants and assumptions beside those of prod."""

from __future__ import annotations

from decimal import Decimal

from functions.topology import TOPOLOGY
from tests.templates import Templates
from tieout.cost_around import ENDPOINTS, FIREWALL_RULES, SECRETS, alarms
from tieout.cost_assumptions import Assumptions
from tieout.cost_compute import DISK_FREE_GB, SPOOL_GB, TASK_DISK_GB, TASK_GB, TASK_VCPU
from tieout.cost_storage import FREQUENT_DAYS, WATCHED_AFTER_DAYS

ASSUMED = Assumptions()
TIERED_AFTER_DAYS = 30
"""Unread so long, an object of Intelligent-Tiering costs less."""


def test_alarms_dashboards_and_keys_are_counted(prod: Templates) -> None:
    """As many alarms, one dashboard of CloudWatch, one key that is rotated."""
    assert len(prod.of("AWS::CloudWatch::Alarm")) == alarms()
    assert len(prod.of("AWS::CloudWatch::Dashboard")) == 1
    assert prod.properties("AWS::KMS::Key")["EnableKeyRotation"] is True


def test_the_network_is_counted(prod: Templates) -> None:
    """Gateways, fixed addresses, and the endpoints with an interface in every zone."""
    assert len(prod.of("AWS::EC2::NatGateway")) == len(prod.of("AWS::EC2::EIP")) == ASSUMED.nat_addresses
    endpoints = [each["Properties"] for each in prod.of("AWS::EC2::VPCEndpoint").values()]
    interfaces = [each for each in endpoints if each["VpcEndpointType"] == "Interface"]
    assert len(interfaces) == ENDPOINTS
    assert {len(each["SubnetIds"]) for each in interfaces} == {ASSUMED.zones}


def test_the_ledger_is_counted(prod: Templates) -> None:
    """Writer and readers at the smallest capacity, billed by I/O."""
    cluster = prod.properties("AWS::RDS::DBCluster")
    assert Decimal(cluster["ServerlessV2ScalingConfiguration"]["MinCapacity"]) == ASSUMED.capacity_min
    assert len(prod.of("AWS::RDS::DBInstance")) == 1 + ASSUMED.ledger_readers
    assert cluster.get("StorageType", "aurora") == "aurora"


def test_firewall_people_and_secrets_are_counted(prod: Templates) -> None:
    """One web ACL with its rules, the Plus plan, one secret of ours beside the one that RDS keeps."""
    assert len(prod.properties("AWS::WAFv2::WebACL")["Rules"]) == FIREWALL_RULES
    assert prod.properties("AWS::Cognito::UserPool")["UserPoolTier"] == "PLUS"
    assert prod.properties("AWS::RDS::DBCluster")["ManageMasterUserPassword"] is True
    assert len(prod.of("AWS::SecretsManager::Secret")) + 1 == SECRETS


def test_functions_and_queues_are_counted(prod: Templates) -> None:
    """Each stage has memory and disk as billed; each queue is polled with a bounded concurrency; all is traced."""
    functions = {
        each["Properties"]["FunctionName"]: each["Properties"] for each in prod.of("AWS::Lambda::Function").values()
    }
    for stage in TOPOLOGY:
        made = functions[prod.named(stage.name)]
        assert made["MemorySize"] == stage.memory_mb
        assert made["EphemeralStorage"]["Size"] == 512 + 1024 * SPOOL_GB
    sources = prod.of("AWS::Lambda::EventSourceMapping").values()
    assert len(sources) == len(TOPOLOGY)
    assert all("MaximumConcurrency" in each["Properties"]["ScalingConfig"] for each in sources)
    assert {each["TracingConfig"]["Mode"] for each in functions.values()} == {"Active"}


def test_the_task_is_counted(prod: Templates) -> None:
    """Processors, memory and disk of an extraction."""
    for each in prod.of("AWS::ECS::TaskDefinition").values():
        task = each["Properties"]
        assert (int(task["Cpu"]), int(task["Memory"])) == (1024 * TASK_VCPU, 1024 * TASK_GB)
        assert task["EphemeralStorage"]["SizeInGiB"] == TASK_DISK_GB > DISK_FREE_GB


def test_retention_and_tiers_are_counted(prod: Templates) -> None:
    """Logs as long as assumed; objects move when the bill says so, and nothing of the chain expires."""
    groups = prod.of("AWS::Logs::LogGroup").values()
    assert {each["Properties"]["RetentionInDays"] for each in groups} == {ASSUMED.log_days}
    moved = [
        transition["TransitionInDays"]
        for each in prod.of("AWS::S3::Bucket").values()
        for rule in each["Properties"].get("LifecycleConfiguration", {}).get("Rules", ())
        for transition in rule.get("Transitions", ())
        if transition["StorageClass"] == "INTELLIGENT_TIERING"
    ]
    assert set(moved) == {WATCHED_AFTER_DAYS}
    assert WATCHED_AFTER_DAYS + TIERED_AFTER_DAYS == FREQUENT_DAYS
