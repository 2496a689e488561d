"""The network stack: subnets with and without a way out, fixed addresses, endpoints, and the line to the legacy side."""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, Fn, Stack
from aws_cdk import aws_directconnect as directconnect
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk.addresses import FixedAddresses
from cdk.configuration import Configuration
from cdk.endpoints import Endpoints
from cdk.environment import Environment
from cdk.firewall import Firewall
from cdk.log_group import LogGroup
from cdk.place import Place, Zone

ISOLATED = ec2.SubnetSelection(subnet_group_name="inside")
OUTGOING = ec2.SubnetSelection(subnet_group_name="outgoing")


class NetworkStack(Stack):
    """`places` for functions and tasks by zone; `ledger` for the database."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        configuration: Configuration,
        key: kms.IKey,
        **stack: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack)
        self._zones = environment.zones
        vpc = self._vpc(environment, FixedAddresses(self, "Addresses", environment=environment))
        vpc.add_flow_log(
            "Flows",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                LogGroup(self, "FlowLogs", environment=environment, name="network", key=key).group, self._writer()
            ),
        )
        if environment.direct_connect_gateway:
            directconnect.CfnDirectConnectGatewayAssociation(
                self,
                "DirectConnect",
                associated_gateway_id=vpc.vpn_gateway_id,
                direct_connect_gateway_id=environment.direct_connect_gateway,
            )
        walls = Firewall(self, "Firewall", vpc=vpc, environment=environment, configuration=configuration)
        Endpoints(self, "Endpoints", vpc=vpc, group=walls.endpoints, subnets=ISOLATED)
        self.places: dict[Zone, Place] = {
            "inside": Place(vpc=vpc, subnets=ISOLATED, group=walls.inside),
            "partners": Place(vpc=vpc, subnets=OUTGOING, group=walls.partners),
            "legacy": Place(vpc=vpc, subnets=OUTGOING, group=walls.legacy),
            "web": Place(vpc=vpc, subnets=OUTGOING, group=walls.web),
        }
        self.ledger = Place(vpc=vpc, subnets=ISOLATED, group=walls.ledger)

    @property
    def availability_zones(self) -> list[str]:
        """By position. A stack that has an account would look them up there: whoever synthesises needs no credentials."""
        return [Fn.select(index, Fn.get_azs()) for index in range(self._zones)]

    def _writer(self) -> iam.Role:
        """For flow logs of this account only."""
        ours = f"arn:{Aws.PARTITION}:ec2:{Aws.REGION}:{Aws.ACCOUNT_ID}:vpc-flow-log/*"
        conditions = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}, "ArnLike": {"aws:SourceArn": ours}}
        return iam.Role(
            self,
            "FlowWriter",
            description="Writes the flow log of the network",
            assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com", conditions=conditions),
        )

    def _vpc(self, environment: Environment, addresses: FixedAddresses) -> ec2.Vpc:
        line = bool(environment.vpn_address or environment.direct_connect_gateway)
        vpn = ec2.VpnConnectionOptions(ip=environment.vpn_address, asn=environment.vpn_asn)
        return ec2.Vpc(
            self,
            "Network",
            vpc_name=environment.named("network"),
            ip_addresses=ec2.IpAddresses.cidr(environment.network),
            availability_zones=self.availability_zones,
            nat_gateways=environment.nat_addresses,
            nat_gateway_provider=ec2.NatProvider.gateway(eip_allocation_ids=addresses.allocations),
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=26, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="outgoing", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=22),
                ec2.SubnetConfiguration(name="inside", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=22),
            ],
            # The construct's own way to empty the default group is a custom resource; nothing here uses that group.
            restrict_default_security_group=False,
            vpn_gateway=line,
            vpn_connections={"legacy": vpn} if environment.vpn_address else None,
            vpn_route_propagation=[OUTGOING] if line else None,
        )
