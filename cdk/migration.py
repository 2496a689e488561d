"""Brings the ledger's tables and users to what the code needs, in every deployment, before any message is handled."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.ledger import user_of

READERS = frozenset({"anchor", "dashboard"})
"""Functions that look at the ledger and never write to it."""
TIME_MAX = Duration.minutes(10)


class Migration(Construct):
    """The one custom resource. Its properties change with the code and with the users; then it is called again."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.Function,
        connections: Mapping[str, int],
        code: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.resource = CustomResource(
            self,
            "Ledger",
            resource_type="Custom::TieoutLedger",
            service_token=function.function_arn,
            service_timeout=TIME_MAX,
            properties={
                "Code": code,
                "Writers": ",".join(user_of(name) for name in sorted(connections) if name not in READERS),
                "Readers": ",".join(user_of(name) for name in sorted(READERS)),
                "ConnectionsMax": ",".join(f"{user_of(name)}={most}" for name, most in sorted(connections.items())),
            },
        )
