"""The network and state stacks: who can reach whom, from which addresses, and what protects the ledger."""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path

import pytest

from functions.topology import BESIDE, TOPOLOGY
from tests.templates import ACCOUNT, REGION, Templates

LEDGER, HTTPS, SSH = 5432, 443, 22


def group(templates: Templates, name: str) -> str:
    [found] = [
        key
        for key, each in templates.of("AWS::EC2::SecurityGroup").items()
        if each["Properties"]["GroupName"] == templates.named(name)
    ]
    return f"{found}.GroupId"


def egress(templates: Templates, name: str) -> set[tuple[str, int]]:
    """(to whom, at which port) a group may open a connection."""
    own = templates.properties("AWS::EC2::SecurityGroup", GroupName=templates.named(name))
    found = {(each["CidrIp"], each["FromPort"]) for each in own.get("SecurityGroupEgress", ())}
    found |= {("S3", each["FromPort"]) for each in prefix_lists(templates, name)}
    for each in templates.of("AWS::EC2::SecurityGroupEgress").values():
        rule = each["Properties"]
        if rule["GroupId"] == group(templates, name) and "DestinationPrefixListId" not in rule:
            found.add((rule["DestinationSecurityGroupId"], rule["FromPort"]))
    return found


def prefix_lists(templates: Templates, name: str) -> list[dict]:
    rules = [each["Properties"] for each in templates.of("AWS::EC2::SecurityGroupEgress").values()]
    return [
        rule
        for rule in rules
        if rule["GroupId"] == group(templates, name) and rule.get("DestinationPrefixListId") == "pl-6ea54007"
    ]


def subnets(templates: Templates, kind: str) -> set[str]:
    return {
        key
        for key, each in templates.of("AWS::EC2::Subnet").items()
        if any(tag["Value"] == kind for tag in each["Properties"]["Tags"] if tag["Key"] == "aws-cdk:subnet-name")
    }


def test_nothing_is_looked_up_in_an_account(synthesised: Path) -> None:
    """Also with account and region the templates are made without credentials, and CDK keeps no file about the account."""
    for each in ("dev", "full"):
        assert "missing" not in json.loads((synthesised / each / "manifest.json").read_text())


def test_nothing_is_open_to_the_world(full: Templates) -> None:
    """Whatever comes in comes from one of our own groups."""
    for each in full.of("AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in each["Properties"]
    for each in full.of("AWS::EC2::SecurityGroupIngress").values():
        assert "SourceSecurityGroupId" in each["Properties"]
        assert not {"CidrIp", "CidrIpv6"} & set(each["Properties"])


def test_who_speaks_with_aws_only_has_no_way_out(dev: Templates) -> None:
    """Its subnets have no route out of the network but to S3's gateway, and its group reaches the ledger and 443."""
    tables = {
        each["Properties"]["RouteTableId"]
        for each in dev.of("AWS::EC2::SubnetRouteTableAssociation").values()
        if each["Properties"]["SubnetId"] in subnets(dev, "inside")
    }
    assert len(tables) == 2
    assert not [each for each in dev.of("AWS::EC2::Route").values() if each["Properties"]["RouteTableId"] in tables]
    for name in ("curate", "assemble", "read", "reconcile", "tick", "migrate"):
        place = dev.function(name)["VpcConfig"]
        assert set(place["SubnetIds"]) == subnets(dev, "inside")
        assert place["SecurityGroupIds"] == [group(dev, "inside")]
    assert egress(dev, "inside") == {
        (group(dev, "ledger"), LEDGER),
        (group(dev, "endpoints"), HTTPS),
        ("0.0.0.0/0", HTTPS),
    }


@pytest.mark.parametrize("name", ["deliver", "collect"])
def test_acquirers_are_reached_at_their_port_only(dev: Templates, full: Templates, name: str) -> None:
    """By a host name at any address, because rules know no names; in an environment that says the addresses, there only."""
    place = dev.function(name)["VpcConfig"]
    assert set(place["SubnetIds"]) == subnets(dev, "outgoing")
    assert place["SecurityGroupIds"] == [group(dev, "partners")]
    beyond = egress(dev, "partners") - egress(dev, "inside")
    assert beyond == {("0.0.0.0/0", SSH)}
    assert egress(full, "partners") - egress(full, "inside") == {("203.0.113.0/28", SSH), ("203.0.113.0/28", HTTPS)}


def test_where_s3_is_named_nothing_else_is_reached(full: Templates) -> None:
    """With AWS's list of S3's addresses, who speaks with partners reaches S3, AWS inside, the ledger and the partner: no more."""
    aws = {(group(full, "ledger"), LEDGER), (group(full, "endpoints"), HTTPS), ("S3", HTTPS)}
    assert egress(full, "inside") == aws
    assert egress(full, "partners") == aws | {("203.0.113.0/28", SSH), ("203.0.113.0/28", HTTPS)}
    assert egress(full, "legacy") == aws | {("10.8.0.0/16", LEDGER)}


def test_sources_are_reached_behind_the_line(dev: Templates, full: Templates) -> None:
    """The legacy side at its database's port; where on_premises is given, in those ranges only."""
    assert egress(full, "legacy") - egress(full, "inside") == {("10.8.0.0/16", LEDGER)}
    assert egress(dev, "legacy") - egress(dev, "inside") == {("0.0.0.0/0", LEDGER)}
    assert dev.function("extract")["VpcConfig"]["SecurityGroupIds"] == [group(dev, "legacy")]


def test_files_leave_from_addresses_of_ours(full: Templates) -> None:
    """Each NAT gateway has an address that is allocated apart, kept, and printed for the acquirers' allow lists."""
    addresses = full.of("AWS::EC2::EIP")
    gateways = {each["Properties"]["AllocationId"] for each in full.of("AWS::EC2::NatGateway").values()}
    assert gateways == {f"{name}.AllocationId" for name in addresses}
    outputs = full.stacks["network"]["Outputs"]
    printed = {outputs[name]["Value"]["Ref"] for name in outputs if name.startswith("AddressesNatAddress")} or {
        outputs[name]["Value"]["Ref"] for name in outputs if name.startswith("NatAddress")
    }
    assert printed == {name.partition("/")[2] for name in addresses}


def test_the_line_to_the_legacy_side_is_a_parameter(dev: Templates, full: Templates) -> None:
    """VPN and Direct Connect where they are given, none where they are not."""
    vpn = full.properties("AWS::EC2::CustomerGateway")
    assert (vpn["IpAddress"], vpn["BgpAsn"]) == ("198.51.100.7", 65000)
    assert len(full.of("AWS::EC2::VPNConnection")) == 1
    line = full.properties("AWS::DirectConnect::DirectConnectGatewayAssociation")
    assert line["DirectConnectGatewayId"] == "00000000-0000-4000-8000-000000000000"
    [propagated] = full.of("AWS::EC2::VPNGatewayRoutePropagation").values()
    assert len(propagated["Properties"]["RouteTableIds"]) == 3
    for kind in (
        "AWS::EC2::CustomerGateway",
        "AWS::EC2::VPNGateway",
        "AWS::DirectConnect::DirectConnectGatewayAssociation",
    ):
        assert not dev.of(kind)


def test_endpoints_serve_this_account_only(dev: Templates) -> None:
    """S3 by its gateway; the others by interfaces with private names and a policy that keeps foreign credentials out."""
    found = [each["Properties"] for each in dev.of("AWS::EC2::VPCEndpoint").values()]
    gateways = [each for each in found if each["VpcEndpointType"] == "Gateway"]
    assert [each["ServiceName"].rpartition(".")[2] for each in gateways] == ["s3"]
    interfaces = {each["ServiceName"].partition("eu-central-1.")[2]: each for each in found if each not in gateways}
    assert set(interfaces) == {"sqs", "ecs", "secretsmanager", "xray", "logs", "ecr.api", "ecr.dkr"}
    for each in interfaces.values():
        assert each["PrivateDnsEnabled"]
        [statement] = each["PolicyDocument"]["Statement"]
        assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}


def test_zones_and_addresses_follow_the_environment(dev: Templates, prod: Templates) -> None:
    """Two zones and one address in dev; three zones and two addresses in prod; flows are logged in both."""
    assert [len(subnets(each, "inside")) for each in (dev, prod)] == [2, 3]
    assert [len(each.of("AWS::EC2::NatGateway")) for each in (dev, prod)] == [1, 2]
    for each in (dev, prod):
        assert each.properties("AWS::EC2::FlowLog")["TrafficType"] == "ALL"


@pytest.mark.parametrize(
    ("environment", "days", "protected", "capacity"),
    [("dev", 7, False, (0.5, 2)), ("prod", 35, True, (1, 16))],
)
def test_the_ledger_is_encrypted_backed_up_and_not_public(
    environment: str, days: int, protected: bool, capacity: tuple[float, float], request: pytest.FixtureRequest
) -> None:
    """Log-in by IAM, the owner's password kept by RDS, TLS forced, backups and protection by environment."""
    templates: Templates = request.getfixturevalue(environment)
    found = templates.properties("AWS::RDS::DBCluster")
    assert found["EnableIAMDatabaseAuthentication"]
    assert found["ManageMasterUserPassword"]
    assert found["StorageEncrypted"]
    assert found["BackupRetentionPeriod"] == days
    assert found["DeletionProtection"] == protected
    assert found["EnableCloudwatchLogsExports"] == ["postgresql"]
    scaling = found["ServerlessV2ScalingConfiguration"]
    assert (scaling["MinCapacity"], scaling["MaxCapacity"]) == capacity
    assert found["VpcSecurityGroupIds"] == [group(templates, "ledger")]
    instances = templates.of("AWS::RDS::DBInstance").values()
    assert len(instances) == 1 + protected
    assert {each["Properties"]["PubliclyAccessible"] for each in instances} == {False}
    parameters = templates.properties("AWS::RDS::DBClusterParameterGroup")["Parameters"]
    assert parameters["rds.force_ssl"] == "1"
    assert not templates.of("AWS::RDS::DBProxy")


def test_the_flow_log_is_written_for_this_account_only(dev: Templates) -> None:
    """No flow log of anybody else makes AWS take the role that writes it."""
    role = dev.properties("AWS::EC2::FlowLog")["DeliverLogsPermissionArn"].removesuffix(".Arn")
    [trusted] = dev.of("AWS::IAM::Role")[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trusted["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/*"},
    }


@pytest.mark.parametrize("environment", ["dev", "prod", "full"])
def test_functions_and_tasks_leave_a_fifth_of_the_connections_free(
    environment: str, request: pytest.FixtureRequest
) -> None:
    """The sum of all maximum concurrencies, of tasks, people and functions beside them is at most 0.8 of max_connections."""
    templates: Templates = request.getfixturevalue(environment)
    parameters = templates.properties("AWS::RDS::DBClusterParameterGroup")["Parameters"]
    sources = [each["Properties"] for each in templates.of("AWS::Lambda::EventSourceMapping").values()]
    at_once = sum(each["ScalingConfig"]["MaximumConcurrency"] for each in sources)
    assert at_once == sum(stage.at_once_max for stage in TOPOLOGY)
    beside = sum(each.at_once_max for each in BESIDE if each.name != "migrate")
    # Two for each source, whose task is its own, and two for each acquirer: of the test's configurations dev has one, full three.
    acquirers = 3 if environment == "full" else 1
    tasks = 2 * len(templates.of("AWS::ECS::TaskDefinition", "extraction")) + 2 * acquirers
    # Four for each duty that somebody has.
    people = 4 * len(templates.of("AWS::ECS::TaskDefinition", "people"))
    everybody = at_once + beside + tasks + people
    limits = templates.properties("Custom::TieoutLedger")["ConnectionsMax"].split(",")
    assert reduce(lambda total, each: total + int(each.partition("=")[2]), limits, 0) == everybody
    assert everybody <= 0.8 * int(parameters["max_connections"])


def test_the_ledgers_certificate_is_checked_where_it_is_given(dev: Templates, full: Templates) -> None:
    """With AWS's certificates in a layer the server's name is proved; without them the connection is encrypted only."""
    [url] = [
        part
        for part in full.function("read")["Environment"]["Variables"]["TIEOUT_OVERRIDES"].split('"')
        if "sslmode" in part
    ]
    assert url.endswith("?sslmode=verify-full&sslrootcert=/opt/ledger-ca.pem")
    assert len(full.function("read")["Layers"]) == len(dev.function("read")["Layers"]) + 1
    assert "sslmode=require" in dev.function("read")["Environment"]["Variables"]["TIEOUT_OVERRIDES"]
