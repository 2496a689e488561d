"""Where in a network a function or a task runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aws_cdk import aws_ec2 as ec2

from functions.topology import Beside, Stage

Zone = Literal["inside", "partners", "legacy", "web"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Subnets and the security group."""

    vpc: ec2.IVpc
    subnets: ec2.SubnetSelection
    group: ec2.ISecurityGroup


def zone_of(function: Stage | Beside) -> Zone:
    """By what it speaks with: its layers say so. Whoever speaks with AWS only gets no route out of it."""
    if isinstance(function, Beside):
        return "web" if "web" in function.layers else "inside"
    if "sftp" in function.layers:
        return "partners"
    if "sources" in function.layers:
        return "legacy"
    return "web" if "web" in function.layers else "inside"
