"""The ways to AWS services that do not leave the network: only those that functions and tasks really call."""

from __future__ import annotations

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

SERVICES = {
    "Sqs": ec2.InterfaceVpcEndpointAwsService.SQS,  # tick sends wake-ups, the page asks for exports
    "Ecs": ec2.InterfaceVpcEndpointAwsService.ECS,  # deliver starts the task of a large delivery
    "Secrets": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "Xray": ec2.InterfaceVpcEndpointAwsService.XRAY,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,  # Lambda's own logs need none; Fargate's do
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrImages": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
}


class Endpoints(Construct):
    """S3 by a gateway (free), the others by interfaces that only principals of this account may use."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.Vpc,
        group: ec2.ISecurityGroup,
        subnets: ec2.SubnetSelection,
    ) -> None:
        super().__init__(scope, construct_id)
        vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        for name, service in SERVICES.items():
            endpoint = ec2.InterfaceVpcEndpoint(
                self,
                name,
                vpc=vpc,
                service=service,
                subnets=subnets,
                security_groups=[group],
                open=False,
                private_dns_enabled=True,
            )
            endpoint.add_to_policy(
                iam.PolicyStatement(
                    principals=[iam.AnyPrincipal()],
                    actions=["*"],
                    resources=["*"],
                    conditions={"StringEquals": {"aws:PrincipalAccount": Aws.ACCOUNT_ID}},
                )
            )
