"""Runs in CDK's own environment: the stacks that an emulator can hold. Arguments: folder, configuration, bundle.

Not among them are the network, whose addresses and gateways it does not know, and the database: functions run outside any
network, and the ledger is at an address that is given when it is deployed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsii
from aws_cdk import App, Aspects, CfnParameter, CfnResource, CfnWaitConditionHandle, IAspect, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from constructs import IConstruct

from cdk.bundle import Bundle
from cdk.configuration import Configuration, read_configuration
from cdk.connections import connections_by_user
from cdk.dashboard import DashboardStack
from cdk.edge import EdgeStack
from cdk.environment import Environment
from cdk.extraction import ExtractionStack
from cdk.ledger import USER, Ledger, user_of
from cdk.observability import ObservabilityStack
from cdk.people import PeopleStack
from cdk.pipeline import PipelineStack
from cdk.place import Place
from cdk.storage import StorageStack

MIGRATION = "Custom::TieoutLedger"
AT_ONCE_MAX = 2
"""Each function at work is a process that unpacks its own layers; more of them than processors only wait for each other."""

PEOPLE = "arn:aws:iam::111122223333:user/"
CONNECTIONS = 2
"""Of one function at work; on AWS 1. The virtual clock of these tests asks the ledger for the time beside the work."""


class GivenStack(Stack):
    """What stands for network and database: their names, and the ledger's address as a parameter of the deployment."""

    def __init__(self, scope: App, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        # CloudFormation deploys no stack without a resource; this one is nothing but a name.
        CfnWaitConditionHandle(self, "Nothing")
        address = CfnParameter(self, "LedgerAddress", description="host:port/database")
        self.ledger = Ledger(
            url=f"postgresql://{USER}@{address.value_as_string}?sslmode=disable", owner="tieout", users_arn=""
        )
        vpc = ec2.Vpc.from_vpc_attributes(
            self,
            "Network",
            vpc_id="vpc-00000001",
            availability_zones=["eu-central-1a"],
            isolated_subnet_ids=["subnet-00000001"],
        )
        self.place = Place(
            vpc=vpc,
            subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            group=ec2.SecurityGroup.from_security_group_id(self, "Group", "sg-00000001"),
        )


@jsii.implements(IAspect)
class Emulated:
    """What differs from AWS: fewer of a function at once, and room for the virtual clock's connections."""

    def __init__(self, environment: Environment, configuration: Configuration) -> None:
        self._limits = ",".join(
            f"{user_of(name)}={CONNECTIONS * most}"
            for name, most in sorted(connections_by_user(environment, configuration).items())
        )

    def visit(self, node: IConstruct) -> None:
        if isinstance(node, lambda_.CfnEventSourceMapping):
            most = min(AT_ONCE_MAX, node.scaling_config.maximum_concurrency)
            node.scaling_config = lambda_.CfnEventSourceMapping.ScalingConfigProperty(maximum_concurrency=most)
        elif isinstance(node, CfnResource) and node.cfn_resource_type == MIGRATION:
            node.add_property_override("ConnectionsMax", self._limits)


def build(app: App, config: Path, folder: Path) -> None:
    made = json.loads((folder / "sizes.json").read_text())
    environment = Environment(name="emulated", auditors=[f"{PEOPLE}auditor"], operators=[f"{PEOPLE}operator"])
    bundle = Bundle(folder, architecture=made["architecture"], python=made["python"])
    given = GivenStack(app, environment.named("given"))
    storage = StorageStack(app, environment.named("storage"), environment=environment)
    observability = ObservabilityStack(
        app, environment.named("observability"), environment=environment, key=storage.key
    )
    configuration = read_configuration(config)
    common = {
        "environment": environment,
        "key": storage.key,
        "configuration": configuration,
        "ledger": given.ledger,
        "alarms": observability.topic,
        "overrides": {"ledger": {"connections_max": CONNECTIONS}},
    }
    PipelineStack(app, environment.named("pipeline"), bundle=bundle, **common)
    ExtractionStack(app, environment.named("extraction"), place=given.place, **common)
    edge = EdgeStack(app, environment.named("edge"), environment=environment)
    DashboardStack(app, environment.named("dashboard"), bundle=bundle, firewall_arn=edge.arn, **common)
    common.pop("alarms")
    PeopleStack(app, environment.named("people"), place=given.place, **common)
    Tags.of(app).add("environment", environment.name)
    Aspects.of(app).add(Emulated(environment, configuration))


if __name__ == "__main__":
    outdir, config, folder = sys.argv[1:]
    context = json.loads(Path("cdk.json").read_text())["context"]
    app = App(context=context, outdir=outdir)
    build(app, Path(config), Path(folder))
    app.synth()
