"""The network's addresses towards acquirers: ours, fixed, and kept when gateways are replaced."""

from __future__ import annotations

from aws_cdk import CfnOutput, RemovalPolicy, Tags
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from cdk.environment import Environment


class FixedAddresses(Construct):
    """`allocations` are for NAT gateways. Acquirers write these addresses into their allow lists."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        self.allocations: list[str] = []
        for number in range(1, environment.nat_addresses + 1):
            address = ec2.CfnEIP(self, f"Address{number}", domain="vpc")
            address.apply_removal_policy(RemovalPolicy.RETAIN if environment.protected else RemovalPolicy.DESTROY)
            Tags.of(address).add("Name", environment.named(f"nat-{number}"))
            self.allocations.append(address.attr_allocation_id)
            CfnOutput(scope, f"NatAddress{number}", value=address.ref, description="For acquirers' allow lists")
