"""The environment's one KMS key: rotated every year, used through AWS services only."""

from __future__ import annotations

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk.environment import PRODUCT, Environment


class EnvironmentKey(Construct):
    """`key` encrypts buckets, ledger, logs and alarms."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        self.key = kms.Key(
            self,
            "Key",
            alias=f"alias/{PRODUCT}-{environment.name}",
            description=f"Encrypts everything that Tieout keeps in {environment.name}",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN if environment.protected else RemovalPolicy.DESTROY,
        )
        self._let_logs_encrypt(environment)
        self._let_alarms_reach_people()

    def _let_logs_encrypt(self, environment: Environment) -> None:
        """CloudWatch Logs acts for itself: it is let in for the log groups of this environment only."""
        account = f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:"
        groups = [
            f"{account}/{PRODUCT}/{environment.name}/*",
            f"{account}/aws/rds/cluster/{environment.named('ledger')}/*",
        ]
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Logs",
                principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.{Aws.URL_SUFFIX}")],
                actions=[
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:ReEncryptFrom",
                    "kms:ReEncryptTo",
                    "kms:GenerateDataKey",
                    "kms:GenerateDataKeyWithoutPlaintext",
                    "kms:DescribeKey",
                ],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
            )
        )

    def _let_alarms_reach_people(self) -> None:
        """An alarm is published to an encrypted topic by CloudWatch itself."""
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Alarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
